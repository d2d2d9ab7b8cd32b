"""The round: features, train, calibrate, evaluate, predict, select, queue. Runs as a job."""

from __future__ import annotations

import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import numpy as np

from labeller.errors import JobLost, RoundError
from labeller.learning import device, energy, picker, saved, selection, tidy
from labeller.learning import snapshot as snapshots
from labeller.learning.ablation import ablate
from labeller.learning.calibration import probabilities
from labeller.learning.device import Device
from labeller.learning.extraction import compute_missing
from labeller.learning.features import Features, Scaling, open_features
from labeller.learning.images import Ints
from labeller.learning.objective import Objective
from labeller.learning.predictors import TrainedModel
from labeller.learning.scoring import keep_audit, score
from labeller.learning.selection import Known, Wish
from labeller.learning.snapshot import Labels, Snapshot, lacking, take, without_examples
from labeller.learning.stopwatch import Stopwatch, versions
from labeller.learning.synthetic import Synthetic, described, gather, ready
from labeller.learning.training import (
    Calibration,
    Mode,
    Setup,
    calibrate,
    train,
    training_mode,
)
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import ablations, energies, rounds, streams_audit
from store.records import JobRecord, ModelRecord, NewModel, NewQueueEntry, RoundRecord
from store.vectors import VectorFile
from strategies.registry import StrategyInfo


def run_round_job(project: Project, job: JobRecord, progress: Progress) -> dict[str, Any]:
    """Train on the labels there are, predict every item and replace the queue.

    Without enough labels for a model the queue becomes a cold start, and the message says what is
    missing. Nothing that a page shows changes before the last transaction; a process killed before
    it leaves files that the next round removes.

    Parameters
    ----------
    project : Project
    job : JobRecord
        Running; its params are ``strategy`` and ``batch``.
    progress : Progress

    Returns
    -------
    dict
        JSON values: ``round``, ``model``, ``strategy``, ``queued``, ``audit_accuracy``,
        ``audit_interval``, ``message``, ``unreadable``, ``device``, ``timings``.

    Raises
    ------
    LabellerError
        With what went wrong and its mend; the round is then marked by whoever ends the job.
    """
    watch = Stopwatch(progress, {"start": max(0.0, time.time() - job.created_at)})
    strategy = rounds.chosen(project, str(job.params.get("strategy") or project.settings.strategy))
    batch = int(job.params.get("batch") or project.settings.batch)
    chosen = device.choose(project.settings.device)
    training_mode(project.settings.training, chosen, 0)  # a wrong setting is said at once
    Objective.of(project.settings)
    tidy.leftovers(project)
    snapshot = take(project)
    if not len(snapshot.ids):
        raise RoundError("There are no images yet. Import some, then start a round.")
    possible = lacking(snapshot, snapshot.part("train")) is None
    expected = picker.named(strategy, possible)
    with project.store.write() as unit:
        record = unit.rounds.start(expected.name, batch, job.id, snapshot.labels, snapshot.spent)
    work = project.models / f".round-{record.number:04d}"
    work.mkdir()
    try:
        return _Round(project, job, progress, watch, record, snapshot, strategy, chosen, work).run()
    finally:
        shutil.rmtree(work, ignore_errors=True)


@dataclass(slots=True)
class _Finished:
    """A trained model with its figures, registered only in the last transaction."""

    model: TrainedModel
    metrics: dict[str, Any]
    config: dict[str, Any]
    features: Features
    path: Path
    predictions: VectorFile
    predicted: int


@dataclass(slots=True)
class _Round:
    """One run of the job."""

    project: Project
    job: JobRecord
    progress: Progress
    watch: Stopwatch
    record: RoundRecord
    snapshot: Snapshot
    strategy: StrategyInfo
    device: Device
    work: Path
    notes: list[str] = field(default_factory=list)
    unreadable: int = 0

    @property
    def name(self) -> str:
        """Name of the model's folder, and part of the name of its predictions' file."""
        return f"round-{self.record.number:04d}"

    def run(self) -> dict[str, Any]:
        """Do all stages."""
        with self.watch.stage("features", device=self.device.text, round=self.record.number):
            features, scaling = self._features()
        labels = self.snapshot.part("train").among(features.having(self.snapshot.label_ids))
        lack = lacking(self.snapshot, labels)
        finished = self._train(features, scaling, labels) if lack is None else None
        with self.watch.stage("select"):
            used, entries = self._select(features, scaling, finished, lack)
        with self.watch.stage("queue"):
            model, queued = self._finish(finished, entries)
        self.progress.update("queue", 1, 1, self.message)
        metrics: Mapping[str, Any] = model.metrics if model else {}
        return {
            "round": self.record.number,
            "model": model.id if model else None,
            "strategy": used.name,
            "queued": queued,
            "audit_accuracy": metrics.get("accuracy"),
            "audit_interval": metrics.get("interval"),
            "message": self.message,
            "unreadable": self.unreadable,
            "device": self.device.text,
            "timings": dict(self.watch.timings),
        }

    @property
    def message(self) -> str:
        """All that the person should know of this round."""
        return " ".join(self.notes)

    def _features(self) -> tuple[Features, Scaling]:
        """Compute what is missing, and the scale of the pool; the audit set has no say in it."""
        features = open_features(self.project, self.snapshot.ids)
        if features.note:
            self.notes.append(features.note)
        bad = compute_missing(self.project, features, self.snapshot.ids, self.device, self.progress)
        self.unreadable = len(bad)
        if bad:
            self.notes.append(
                f"{len(bad):,} image{'s' if len(bad) > 1 else ''} cannot be read and "
                f"{'were' if len(bad) > 1 else 'was'} left out, first {bad[0].path}: "
                f"{bad[0].reason}. {bad[0].mend}".strip()
            )
        pool = features.having(self.snapshot.pool_ids)
        if not len(pool):
            pool = features.having(self.snapshot.ids)
        if not len(pool):
            raise RoundError(f"No image can be read. {self.message}")
        return features, features.scaling(pool)

    def _train(self, features: Features, scaling: Scaling, labels: Labels) -> _Finished:
        """Train, calibrate, evaluate, predict and write the model into its folder."""
        readable = features.having(self.snapshot.label_ids)
        valid = self.snapshot.part("valid").among(readable)
        mode, why = training_mode(self.project.settings.training, self.device, len(labels))
        classes = self.snapshot.class_ids
        setup = Setup(self.project, features, scaling, len(classes), self.device, self.work)
        synthetic = self._synthetic(setup, mode, readable)
        generated = self._generated(features)
        examples = labels.plus(generated)
        with self.watch.stage("train", training=mode, why=why):
            predictor = train(setup, mode, examples, valid, self.progress, synthetic)
        with self.watch.stage("calibrate"):
            calibration = calibrate(setup, predictor, labels, valid, self.progress, synthetic)
        model = TrainedModel(predictor, classes, calibration.temperature)
        with self.watch.stage("evaluate"):
            audit = self.snapshot.part("audit").among(readable)
            metrics = self._metrics(model, calibration, audit, labels)
        if synthetic is not None:
            with self.watch.stage("ablate"):
                metrics[ablations.KEY] = ablate(
                    setup, mode, examples, valid, synthetic, model, audit, self.progress
                )
        config = {
            "training": mode,
            "why": why,
            **asdict(setup.objective),
            "labels_at": self.snapshot.at,
            "labels_by_class": snapshots.by_class(self.snapshot),
            "backbone_hash": features.backbone.digest,
            **predictor.settings(),
            **described(synthetic),
            **snapshots.described(generated),
        }
        with self.watch.stage("predict"):
            predictions, known, predicted = self._predict(model)
            found = energy.familiarity(calibration, labels, known, audit.ids)
            metrics[energies.KEY] = found.to_json()
            path = self._write(model, predictions, metrics, config)
        return _Finished(model, metrics, config, features, path, predictions, predicted)

    def _generated(self, features: Features) -> Labels:
        """Return the generated labels to learn from: none unless the setting says so."""
        made = self.snapshot.generated
        found = made.among(features.having(made.ids))
        if len(found):
            self.notes.append(f"{len(found):,} generated labels were trained on as well.")
        return found

    def _synthetic(self, setup: Setup, mode: Mode, readable: Ints) -> Synthetic | None:
        """Return the synthetic items to learn from; most projects have none, and wait for none."""
        people = self.snapshot.part("train").among(readable)
        found = gather(self.project, self.snapshot.class_ids, people)
        if found is None:
            return None
        features = setup.features if mode == "features" else None
        with self.watch.stage("synthetic"):
            used = ready(
                self.project, found, people, setup.classes, features, self.device, self.progress
            )
        if used.left_out:
            self.notes.append(
                f"{used.left_out:,} synthetic items could not be learned from: unreadable, without "
                f"their parent, or mixtures while fine-tuning."
            )
        return used if len(used) else None

    def _metrics(
        self, model: TrainedModel, calibration: Calibration, audit: Labels, labels: Labels
    ) -> dict[str, Any]:
        """Measure on the audit set, and note what the model cannot know."""
        metrics = score(model, calibration, audit, self.work, self.progress)
        missing = without_examples(self.snapshot, labels)
        if missing:
            names = ", ".join(f"“{one.name}”" for one in missing)
            self.notes.append(f"No training example yet of {names}: never predicted so far.")
        if not metrics["n"]:
            self.notes.append("No audit item is labelled yet, so the accuracy is unknown.")
        return metrics | {
            "train_n": len(labels),
            "missing_classes": [one.id for one in missing],
        }

    def _predict(self, model: TrainedModel) -> tuple[VectorFile, VectorFile, int]:
        """Predict every item that can be read; return probabilities, energies, and how many."""
        ids, path = self.snapshot.ids, self.project.vectors / f"{tidy.PREDICTIONS}{self.name}.f32"
        file = VectorFile.open(path, len(model.class_ids), "float32", self.name)
        kept = VectorFile.open(energies.path_of(path), 1, "float32", self.name)
        done = 0
        for part, logits in model.predictor.logits(ids, self.progress):
            file.write(part, probabilities(logits, model.temperature))
            kept.write(part, energy.calibrated(logits, model.temperature)[:, None])
            done += len(part)
            self.progress.update("predict", done, len(ids))
        return file, kept, done

    def _write(
        self,
        model: TrainedModel,
        predictions: VectorFile,
        metrics: Mapping[str, Any],
        config: Mapping[str, Any],
    ) -> Path:
        """Write the model under its final name."""
        audit_ids = np.setdiff1d(self.snapshot.ids, self.snapshot.pool_ids)
        keep_audit(self.work, predictions, audit_ids)
        saved.save(self.work, model, {"metrics": dict(metrics), **config, **self._about()})
        final = self.project.models / self.name
        saved.publish(self.work, final)
        return final

    def _about(self) -> dict[str, Any]:
        return {
            "label_hash": self.snapshot.label_hash,
            "seed": self.project.settings.seed,
            "device": self.device.text,
            "versions": versions(),
        }

    def _select(
        self,
        features: Features,
        scaling: Scaling,
        finished: _Finished | None,
        lack: str | None,
    ) -> tuple[StrategyInfo, list[NewQueueEntry]]:
        """Pick from what is unlabelled now."""
        model = finished.model if finished else None
        predictions = finished.predictions if finished else None
        readable = (predictions or features.file).has(self.snapshot.label_ids)
        labelled = self.snapshot.part("train", "valid").among(self.snapshot.label_ids[readable])
        classes = len(self.snapshot.classes)
        known = Known(features, scaling, labelled, model, predictions, classes)
        used = picker.named(self.strategy, finished is not None)
        acting = picker.acting(used, finished is not None, len(labelled), classes)
        self.notes += picker.told(self.strategy, used, lack, len(labelled), classes)
        found = selection.candidates(self.project, known)
        if limit := selection.thinned(acting, found, known):
            self.notes.append(
                f"{acting.name} chose among {limit:,} of the {len(found.free):,} unlabelled "
                f"images, drawn at random."
            )
        settings = self.project.settings
        wish = Wish.of(settings, acting, self.record.batch, self.project.vectors)
        rng = np.random.default_rng([settings.seed, self.record.number])
        entries = selection.choose(wish, found, known, rng, self.progress)
        entries = streams_audit.mixed_in(self.project, entries, rng)
        if not entries:
            self.notes.append("No unlabelled image is left to ask for.")
        return used, entries

    def _finish(
        self, finished: _Finished | None, entries: list[NewQueueEntry]
    ) -> tuple[ModelRecord | None, int]:
        """Register the model and replace the queue in one transaction, then tidy up."""
        self.progress.check()
        model, old = None, []
        with self.project.store.write() as unit:
            if not unit.jobs.beat(self.job.id):
                raise JobLost(f"Job {self.job.id} was taken from this process; it stops.")
            if finished is not None:
                model = unit.models.add(self._new_model(finished), self.record.id)
                file = finished.predictions.path.relative_to(self.project.root)
                temperature = finished.model.temperature
                unit.predictions.add(model.id, file.as_posix(), finished.predicted, temperature)
                old = tidy.supersede(unit, model.id)
            queued = unit.queue.replace(entries, self.record.id)
            unit.rounds.finish(
                self.record.id,
                "done",
                model_id=model.id if model else None,
                queued=queued,
                timings=self.watch.timings,
            )
        if finished is not None:
            stays = finished.features
            # a backbone whose weights are missing for now will want its own features again
            tidy.delete_vectors(self.project, old, None if stays.note else stays.recipe.file)
            tidy.delete_checkpoints(self.project)
        return model, queued

    def _new_model(self, finished: _Finished) -> NewModel:
        about = self._about()
        return NewModel(
            path=finished.path.relative_to(self.project.root).as_posix(),
            label_hash=about["label_hash"],
            labels=self.snapshot.labels,
            seed=about["seed"],
            backbone=finished.features.backbone.name,
            device=about["device"],
            class_ids=finished.model.class_ids,
            config=finished.config,
            metrics=finished.metrics,
            timings=dict(self.watch.timings),
            versions=about["versions"],
        )
