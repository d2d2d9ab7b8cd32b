"""The model of a round: train, calibrate, evaluate, predict, write. Nothing is registered here."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

from labeller.learning import energy, round_examples, saved
from labeller.learning import snapshot as snapshots
from labeller.learning.ablation import ablate
from labeller.learning.examples import Examples
from labeller.learning.features import Features, Scaling
from labeller.learning.objective import Objective
from labeller.learning.pool_files import PoolFiles, predict
from labeller.learning.predictors import Predictor, TrainedModel
from labeller.learning.round_context import RoundContext
from labeller.learning.scoring import keep_audit, score
from labeller.learning.snapshot import Labels, without_examples
from labeller.learning.synthetic import described
from labeller.learning.training import Calibration, Setup, calibrate, train, training_mode
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
    mode, why = training_mode(project.settings.training, context.device, len(labels))
    setup = Setup(project, features, scaling, len(snapshot.classes), context.device)
    examples = round_examples.gathered(context, features, mode, labels)
    with watch.stage("train", training=mode, why=why):
        if mode != "features":
            examples = round_examples.decoded(context, features.recipe, mode, examples)
        predictor = train(setup, mode, examples, context.progress)
    round_examples.tell(context, examples)
    course = _course(context, predictor, setup.objective)
    with watch.stage("calibrate"):
        calibration = calibrate(setup, predictor, examples, context.progress)
    model = TrainedModel(predictor, snapshot.class_ids, calibration.temperature)
    with watch.stage("evaluate"):
        audit = snapshot.part("audit").among(features.having(snapshot.label_ids))
        metrics = _metrics(context, model, calibration, audit, examples.labels)
    if examples.synthetic is not None and len(examples.synthetic):
        with watch.stage("ablate"):
            metrics[ablations.KEY] = ablate(setup, mode, examples, model, audit, context.progress)
    config = {
        "training": mode,
        "why": why,
        **asdict(setup.objective),
        "labels_at": snapshot.at,
        "labels_by_class": _by_class(examples, audit, setup.classes),
        "backbone_hash": features.backbone.digest,
        **course,
        **predictor.settings(),
        **described(examples.synthetic),
        **snapshots.described(examples.generated),
    }
    with watch.stage("predict"):
        path = context.project.vectors / f"{pool_predictions.PREFIX}{context.name}.f32"
        files = PoolFiles.open(path, len(model.class_ids), context.name)
        predicted = predict(model, files, snapshot.ids, context.progress)
        with project.store.read() as unit:
            waiting = unit.items.ids(state="unlabelled", split="audit")
        waiting = np.intersect1d(waiting, snapshot.audit_ids)
        found = energy.familiarity(files.energies, audit, examples.labels, waiting)
        metrics[energies.KEY] = found.to_json()
        path = _write(context, model, files.probs, metrics, config)
    return Finished(model, metrics, config, features, path, files.probs, predicted)


def _course(context: RoundContext, predictor: Predictor, objective: Objective) -> dict[str, Any]:
    """Return how the training of the first model went, and note what could not be had."""
    course = predictor.members[0].course
    if course is None:
        raise ValueError("the model was not trained here")
    if objective.keeps_best and not course.best_known:
        context.notes.append(
            "No validation label could tell the best epoch: training went on to the end, and the "
            "weights of its last epoch were kept."
        )
    return asdict(course)


def _by_class(examples: Examples, audit: Labels, classes: int) -> dict[str, list[int]]:
    """Return for each split how many of the labels used each class has."""
    parts = {"train": examples.labels, "valid": examples.valid, "audit": audit}
    return {
        split: np.bincount(part.columns, minlength=classes).tolist()
        for split, part in parts.items()
    }


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
