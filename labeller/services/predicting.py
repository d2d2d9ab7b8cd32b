"""Keyed predictions of images that need not be items: the caller's key comes back with each.

The model runs in a process of its own, so that nobody who asks has to load torch.
"""

from __future__ import annotations

import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import numpy as np

from labeller.errors import PredictionError
from labeller.processes import make_command
from labeller.project import Project
from labeller.services.class_names import names_of
from labeller.services.import_sources import (
    Candidate,
    Refused,
    SingleFile,
    Source,
    Tick,
    open_source,
    shown,
)
from labeller.services.worker_pool import Answer, Pool, Request
from store.records import ModelRecord
from store.scratch import make_temporary

COMMAND = make_command("labeller.learning.prediction_worker")
START_SECONDS = 180.0  # torch is imported and the model loaded, on a machine with much else to do
DEPTH = 256
WAIT_SECONDS = 0.2


@dataclass(frozen=True, slots=True)
class Predicted:
    """What a model says of one image, or why it says nothing.

    `probs` are the calibrated probabilities of the predictor's classes; `energy` is the free energy
    of the calibrated logits, high for what looks like nothing that was learned. With a `reason`
    there are neither.
    """

    key: str
    class_name: str | None = None
    confidence: float | None = None
    probs: tuple[float, ...] = ()
    energy: float | None = None
    reason: str | None = None
    mend: str = ""


class Predictor:
    """A model of the project in a process of its own; use it as a context.

    Parameters
    ----------
    project : Project
    model_id : int, optional
        The one in use when not given.

    Raises
    ------
    PredictionError
        When there is no model yet, or it was deleted.
    NotFound
        When there is none of this number.
    """

    def __init__(self, project: Project, model_id: int | None = None) -> None:
        self.model: ModelRecord = chosen_model(project, model_id)
        self.refresh(project)
        config = {"project": str(project.root), "model": self.model.id}
        self._pool = Pool(
            COMMAND, 1, config, start_seconds=START_SECONDS, depth=DEPTH, in_turn=False
        )

    def refresh(self, project: Project) -> None:
        """Take the classes as they are now: renamed, or merged into others."""
        with project.store.read() as unit:
            targets = unit.classes.targets()
            merged = [targets[class_id] for class_id in self.model.class_ids]
            kept = list(dict.fromkeys(merged))
            self.classes: tuple[str, ...] = names_of(unit, kept)
        self._columns = np.array([kept.index(class_id) for class_id in merged])

    def __enter__(self) -> Self:
        """Nothing to do: the process runs."""
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """End the process at once."""
        self._pool.__exit__(kind, error, trace)

    def predict(self, files: Iterable[tuple[str, str]]) -> Iterator[Predicted]:
        """Yield a prediction for every (key, path), in any order.

        Parameters
        ----------
        files : iterable of (str, str)
            Read a few hundred ahead, never all.

        Raises
        ------
        WorkerError
            When the process cannot be started, or the model cannot be loaded.
        """
        steps: Iterator[Candidate | Refused] = (
            Candidate(key, path, _NOWHERE, key=key) for key, path in files
        )
        for _, found in self.stream(steps):
            yield found

    def stream(
        self, steps: Iterator[Candidate | Refused], check: Callable[[], None] = lambda: None
    ) -> Iterator[tuple[Candidate | None, Predicted]]:
        """Yield a prediction for every candidate, and an error for every problem.

        `check` is called a few times a second, also while the model is loaded; it may raise.
        """
        more = True
        while more or self._pool.outstanding:
            check()
            while more and self._pool.room:
                step = next(steps, None)
                if step is None:
                    more = False
                elif isinstance(step, Refused):
                    yield None, Predicted(step.key, reason=step.reason, mend=step.mend)
                else:
                    self._pool.submit(Request({"path": step.path}, step))
            for request, answer in self._pool.answers(WAIT_SECONDS):
                yield request.about, self._row(request.about.key, answer)

    def _row(self, key: str, answer: Answer) -> Predicted:
        """Put an answer into the classes there are now: of merged ones the sum."""
        if "reason" in answer:
            return Predicted(key, reason=answer["reason"], mend=answer["mend"])
        probs = np.bincount(self._columns, answer["probs"], len(self.classes))
        best = int(probs.argmax())
        return Predicted(
            key,
            self.classes[best],
            float(probs[best]),
            tuple(float(p) for p in probs),
            float(answer["energy"]),
        )


def chosen_model(project: Project, model_id: int | None = None) -> ModelRecord:
    """Return the model of a number, or the one in use; raises as :class:`Predictor` does."""
    with project.store.read() as unit:
        model = unit.models.in_use() if model_id is None else unit.models.get(model_id)
    if model is None:
        raise PredictionError(
            f"{project.name} has no model yet. Label some images, then start a round."
        )
    if model.deleted_at is not None:
        raise PredictionError(
            f"Model {model.id} was deleted, so nothing can be predicted with it any more. "
            f"Choose another and begin anew."
        )
    return model


_NOWHERE: Any = Path()


@dataclass(slots=True)
class Sources:
    """Folders, tables, archives and files to predict, with a key for each image in them."""

    opened: Sequence[Source]
    incoming: tempfile.TemporaryDirectory[str]

    @classmethod
    def open(cls, project: Project, paths: Sequence[Path]) -> Sources:
        """Recognise the sources; raises `ImportSourceError` when one cannot be read as a whole."""
        incoming = make_temporary("predict")
        most = 8 * project.settings.max_image_pixels + (64 << 20)
        try:
            opened = [
                open_source(path, project.root, Path(incoming.name), most, labelled=False)
                for path in paths
            ]
        except BaseException:
            incoming.cleanup()
            raise
        return cls(opened, incoming)

    def count(self, tick: Tick) -> int:
        """Count the files, quickly."""
        return sum(source.survey(tick).files for source in self.opened)

    def candidates(self) -> Iterator[Candidate | Refused]:
        """Yield every file; where there are several sources, the key begins with the source's name.

        That of a single file is its name. Where sources have the same name, the folders above that
        tell them apart are part of it.
        """
        names = _told_apart([source.path for source in self.opened])
        for source in self.opened:
            name = names[source.path]
            source.survey(lambda _: None)
            for step in source.candidates():
                if len(self.opened) == 1:
                    yield step
                elif isinstance(source, SingleFile):
                    yield replace(step, key=name)
                else:
                    yield replace(step, key=f"{name}/{step.key}")


def _told_apart(paths: Sequence[Path]) -> dict[Path, str]:
    """Name each path by its last part, and as many before it as tell it from the others."""
    parts = dict.fromkeys(paths, 1)
    while True:
        met = Counter(path.parts[-count:] for path, count in parts.items())
        alike = [
            path
            for path, count in parts.items()
            if met[path.parts[-count:]] > 1 and count < len(path.parts)
        ]
        if not alike:
            return {path: shown(str(Path(*path.parts[-n:]))) for path, n in parts.items()}
        for path in alike:
            parts[path] += 1
