"""What the model of a round learns from: labels whose image can be read, and what joins them."""

from __future__ import annotations

from dataclasses import replace

from labeller.errors import RoundError
from labeller.learning import interrupted
from labeller.learning.examples import Examples, Images
from labeller.learning.features import Features
from labeller.learning.images import Ints
from labeller.learning.pictures import load_images, seen_in_training
from labeller.learning.round_context import RoundContext
from labeller.learning.snapshot import Labels, lacking
from labeller.learning.synthetic import Synthetic, gather, ready
from labeller.learning.training import Mode
from labeller.services.feature_recipes import Recipe


def gathered(context: RoundContext, features: Features, mode: Mode, labels: Labels) -> Examples:
    """Return what there is to learn from, as far as features tell.

    Parameters
    ----------
    context : RoundContext
    features : Features
        Of all items that could be read.
    mode : {"features", "fine_tune", "progressive"}
    labels : Labels
        Training labels whose features are there.
    """
    snapshot = context.snapshot
    readable = features.having(snapshot.label_ids)
    generated = snapshot.generated.among(features.having(snapshot.generated.ids))
    synthetic = _synthetic(context, features, mode, readable)
    return Examples(labels, generated, snapshot.part("valid").among(readable), synthetic)


def decoded(context: RoundContext, recipe: Recipe, mode: Mode, found: Examples) -> Examples:
    """Decode the images to train on; what cannot be read (any more) is left out and noted.

    Parameters
    ----------
    context : RoundContext
    recipe : Recipe
        With the side of the images in pixels.
    mode : {"fine_tune", "progressive"}
    found : Examples

    Raises
    ------
    JobCancelled
        When the work should stop.
    RoundError
        When too few can be read for a model, or the disk has no room for them.
    """
    project, progress = context.project, context.progress
    train = load_images(project, found.train, seen_in_training(recipe), progress, found.synthetic)
    valid = load_images(project, found.valid, recipe.resize, progress)
    labels = found.labels.among(train.labels.ids)
    if train.lost and lacking(context.snapshot, labels) is not None:
        first = train.lost[0]
        raise RoundError(
            f"{first.path}: {first.reason}. {len(labels):,} of the {len(found.labels):,} labelled "
            f"training images can still be read, too few for a model. Bring the files back, then "
            f"start the round again."
        )
    context.left_out((*train.lost, *valid.lost))
    about = interrupted.told(context.snapshot, interrupted.identity(context, recipe, mode))
    return replace(
        found,
        labels=labels,
        generated=found.generated.among(train.labels.ids),
        valid=valid.labels,
        synthetic=train.synthetic,
        images=Images(train.examples, valid.examples, about),
    )


def tell(context: RoundContext, examples: Examples) -> None:
    """Note what was learned from besides labels by people."""
    if len(examples.generated):
        context.notes.append(
            f"{len(examples.generated):,} generated labels were trained on as well."
        )
    if examples.synthetic is not None and examples.synthetic.left_out:
        context.notes.append(
            f"{examples.synthetic.left_out:,} synthetic items could not be learned from: "
            f"unreadable, without their parent, or mixtures while fine-tuning."
        )


def _synthetic(
    context: RoundContext, features: Features, mode: Mode, readable: Ints
) -> Synthetic | None:
    """Return the synthetic items to learn from; most projects have none, and wait for none."""
    people = context.snapshot.part("train").among(readable)
    found = gather(context.project, context.snapshot.class_ids, people)
    if found is None:
        return None
    with context.watch.stage("synthetic"):
        return ready(
            context.project,
            found,
            people,
            len(context.snapshot.classes),
            features if mode == "features" else None,
            context.device,
            context.progress,
        )
