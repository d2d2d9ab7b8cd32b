"""The first stage of a round: features of all images, and the splits that the leak guard wants."""

from __future__ import annotations

from labeller.errors import RoundError
from labeller.learning import guarding
from labeller.learning.extraction import compute_missing
from labeller.learning.features import Features, Scaling, open_features
from labeller.learning.images import Unreadable
from labeller.learning.round_context import RoundContext
from labeller.learning.snapshot import take
from labeller.services import leak_guard
from labeller.services.originals import MEND, REPLACED


def prepared(context: RoundContext) -> tuple[Features, Scaling]:
    """Compute what is missing, bring near-duplicates together, and scale the pool.

    The audit set has no say in the scaling.

    Parameters
    ----------
    context : RoundContext
        Its snapshot is read anew where items moved to other splits.

    Raises
    ------
    RoundError
        When no image can be read.
    """
    with context.watch.stage("features", device=context.device.text, round=context.record.number):
        features = _computed(context)
    if context.project.settings.leak_distance:
        with context.watch.stage(guarding.STAGE):
            _guard(context, features)
    return features, _scaling(context, features)


def _computed(context: RoundContext) -> Features:
    features = open_features(context.project, context.snapshot.ids)
    features = features.leaving_out_replaced(context.project, context.snapshot.label_ids)
    if features.note:
        context.notes.append(features.note)
    ids = context.snapshot.ids
    bad = compute_missing(context.project, features, ids, context.device, context.progress)
    seen = {one.item_id for one in bad}
    replaced = [
        Unreadable(item, path, REPLACED, MEND)
        for item, path in features.replaced.items()
        if item not in seen
    ]
    context.left_out([*bad, *replaced])
    return features


def _guard(context: RoundContext, features: Features) -> None:
    """Bring near-duplicates into one split; labels are read again where that moved some."""
    scaling, project = _scaling(context, features), context.project
    run = guarding.guard(
        project, features, scaling, context.snapshot.ids, context.job.id, context.progress
    )
    if run is None:
        return
    context.notes += filter(None, [leak_guard.told(run)])
    context.snapshot = take(project)
    with project.store.write() as unit:
        unit.rounds.take_again(context.record.id, context.snapshot.labels, context.snapshot.spent)


def _scaling(context: RoundContext, features: Features) -> Scaling:
    pool = features.having(context.snapshot.pool_ids)
    if not len(pool):
        pool = features.having(context.snapshot.ids)
    if not len(pool):
        raise RoundError(f"No image can be read. {context.message}")
    return features.scaling(pool)
