"""The model of a round: train, calibrate, evaluate, predict, write. Nothing is registered here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labeller.learning import energy, saved
from labeller.learning import snapshot as snapshots
from labeller.learning.ablation import ablate
from labeller.learning.features import Features, Scaling
from labeller.learning.images import Ints
from labeller.learning.pool_files import PoolFiles, predict
from labeller.learning.predictors import TrainedModel
from labeller.learning.round_context import RoundContext
from labeller.learning.scoring import keep_audit, score
from labeller.learning.snapshot import Labels, without_examples
from labeller.learning.synthetic import Synthetic, described, gather, ready
from labeller.learning.training import (
    Calibration,
    Mode,
    Setup,
    calibrate,
    train,
    training_mode,
)
from labeller.services import ablations, energies, pool_predictions
from store.vectors import VectorFile


@dataclass(slots=True)
class Finished:
    """A trained model with its figures, registered only in the last transaction."""

    model: TrainedModel
    metrics: dict[str, Any]
    config: dict[str, Any]
    features: Features
    path: Path
    predictions: VectorFile
    predicted: int


def made(context: RoundContext, features: Features, scaling: Scaling, labels: Labels) -> Finished:
    """Train, calibrate, evaluate, predict and write the model into its folder.

    Parameters
    ----------
    context : RoundContext
        Told by stages; its notes say what the person should know.
    features : Features
        Of all items that can be read.
    scaling : Scaling
    labels : Labels
        Training labels whose features are there, enough for a model.

    Raises
    ------
    LabellerError
        With what went wrong and its mend.
    """
    project, snapshot, watch = context.project, context.snapshot, context.watch
    readable = features.having(snapshot.label_ids)
    valid = snapshot.part("valid").among(readable)
    mode, why = training_mode(project.settings.training, context.device, len(labels))
    classes = snapshot.class_ids
    setup = Setup(project, features, scaling, len(classes), context.device, context.work)
    synthetic = _synthetic(context, setup, mode, readable)
    generated = _generated(context, features)
    examples = labels.plus(generated)
    with watch.stage("train", training=mode, why=why):
        predictor = train(setup, mode, examples, valid, context.progress, synthetic)
    with watch.stage("calibrate"):
        calibration = calibrate(setup, predictor, labels, valid, context.progress, synthetic)
    model = TrainedModel(predictor, classes, calibration.temperature)
    with watch.stage("evaluate"):
        audit = snapshot.part("audit").among(readable)
        metrics = _metrics(context, model, calibration, audit, labels)
    if synthetic is not None:
        with watch.stage("ablate"):
            metrics[ablations.KEY] = ablate(
                setup, mode, examples, valid, synthetic, model, audit, context.progress
            )
    config = {
        "training": mode,
        "why": why,
        **asdict(setup.objective),
        "labels_at": snapshot.at,
        "labels_by_class": snapshots.by_class(snapshot),
        "backbone_hash": features.backbone.digest,
        "examples_seen": predictor.members[0].examples_seen,
        **predictor.settings(),
        **described(synthetic),
        **snapshots.described(generated),
    }
    with watch.stage("predict"):
        path = context.project.vectors / f"{pool_predictions.PREFIX}{context.name}.f32"
        files = PoolFiles.open(path, len(model.class_ids), context.name)
        predicted = predict(model, files, snapshot.ids, context.progress)
        found = energy.familiarity(calibration, labels, files.energies, audit.ids)
        metrics[energies.KEY] = found.to_json()
        path = _write(context, model, files.probs, metrics, config)
    return Finished(model, metrics, config, features, path, files.probs, predicted)


def _generated(context: RoundContext, features: Features) -> Labels:
    """Return the generated labels to learn from: none unless the setting says so."""
    made = context.snapshot.generated
    found = made.among(features.having(made.ids))
    if len(found):
        context.notes.append(f"{len(found):,} generated labels were trained on as well.")
    return found


def _synthetic(context: RoundContext, setup: Setup, mode: Mode, readable: Ints) -> Synthetic | None:
    """Return the synthetic items to learn from; most projects have none, and wait for none."""
    people = context.snapshot.part("train").among(readable)
    found = gather(context.project, context.snapshot.class_ids, people)
    if found is None:
        return None
    features = setup.features if mode == "features" else None
    with context.watch.stage("synthetic"):
        used = ready(
            context.project,
            found,
            people,
            setup.classes,
            features,
            context.device,
            context.progress,
        )
    if used.left_out:
        context.notes.append(
            f"{used.left_out:,} synthetic items could not be learned from: unreadable, without "
            f"their parent, or mixtures while fine-tuning."
        )
    return used if len(used) else None


def _metrics(
    context: RoundContext,
    model: TrainedModel,
    calibration: Calibration,
    audit: Labels,
    labels: Labels,
) -> dict[str, Any]:
    """Measure on the audit set, and note what the model cannot know."""
    metrics = score(model, calibration, audit, context.work, context.progress)
    missing = without_examples(context.snapshot, labels)
    if missing:
        names = ", ".join(f"“{one.name}”" for one in missing)
        context.notes.append(f"No training example yet of {names}: never predicted so far.")
    if not metrics["n"]:
        context.notes.append("No audit item is labelled yet, so the accuracy is unknown.")
    return metrics | {
        "train_n": len(labels),
        "missing_classes": [one.id for one in missing],
    }


def _write(
    context: RoundContext,
    model: TrainedModel,
    predictions: VectorFile,
    metrics: Mapping[str, Any],
    config: Mapping[str, Any],
) -> Path:
    """Write the model under its final name."""
    keep_audit(context.work, predictions, context.snapshot.audit_ids)
    saved.save(context.work, model, {"metrics": dict(metrics), **config, **context.about()})
    final = context.project.models / context.name
    saved.publish(context.work, final)
    return final
