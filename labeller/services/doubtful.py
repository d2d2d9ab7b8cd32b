"""The images of a prediction that a model is least sure of, brought into the queue."""

from __future__ import annotations

import csv
import hashlib
import zipfile
from collections.abc import Collection, Iterator
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from labeller.errors import ImageError, PredictionError
from labeller.progress import Progress
from labeller.project import Project
from labeller.services import prediction_images, prediction_index, predictions
from labeller.services.importing import import_sources
from labeller.services.prediction_images import Place
from labeller.services.prediction_index import Rows, Wanted
from labeller.services.prediction_plans import folder_of
from labeller.services.rounds import RANDOM
from labeller.services.tables import guarded
from store.records import NewQueueEntry
from store.scratch import make_temporary

STRATEGY = "drift"  # what the queue says of where these images come from
MOST = 1_000


@dataclass(frozen=True, slots=True)
class QueuedImages:
    """What became of the images that were asked for.

    `queued` are in the queue now; `added` of them are new in the project. `passed_over` are in it
    already, in the audit set, labelled or queued; `gone` cannot be read any more.
    """

    queued: int
    added: int
    passed_over: int
    gone: int

    @property
    def text(self) -> str:
        """Say it in a sentence."""
        parts = [f"{self.queued:,} images are first in the queue, {self.added:,} of them new."]
        if self.passed_over:
            parts.append(
                f"{self.passed_over:,} were passed over: labelled, queued, in the audit set, or "
                "near-duplicates of it."
            )
        if self.gone:
            parts.append(f"{self.gone:,} cannot be read any more.")
        return " ".join(parts)


def queue_doubtful(
    project: Project, number: int, count: int, progress: Progress | None = None
) -> QueuedImages:
    """Import the least sure images of a prediction and put them first in the queue.

    A model chose them, so they are no random sample: they go to training, never to the audit set.

    Parameters
    ----------
    project : Project
    number : int
        Of the prediction.
    count : int
        How many images, 1 to 1,000.
    progress : Progress, optional

    Raises
    ------
    PredictionError
        When there is no such prediction, it is not finished, or `count` is out of range.
    ImportSourceError
        When the project cannot be written.
    """
    if not 1 <= count <= MOST:
        raise PredictionError(f"{count} images cannot be queued at once. Choose 1 to {MOST:,}.")
    prediction = predictions.get(project, number)
    if prediction.summary is None:
        raise PredictionError(f"Prediction {number} is not finished. Go on with it first.")
    folder = folder_of(project, number)
    rows = prediction_index.read_rows(folder)
    chosen = prediction_index.find(rows, Wanted(), None)[:count].tolist()
    with make_temporary("doubtful") as scratch:
        files = _Files(folder, Path(scratch))
        hashes: dict[str, float] = {}
        for row in chosen:
            digest = files.take(rows, row)
            if digest is not None:
                hashes.setdefault(digest, 1.0 - float(rows["confidence"][row]))
        with project.store.read() as unit:
            known = unit.items.known(list(hashes))
        before = set(known.values())
        added = sum(
            import_sources(project, [table], copy, progress, "none").added
            for table, copy in files.tables(known.keys())  # those that are in keep their split
        )
    queued = _put_first(project, hashes, before)
    return QueuedImages(queued, added, len(chosen) - files.gone - queued, files.gone)


class _Files:
    """The files of the chosen images; what will not stay where it is goes to a scratch folder."""

    def __init__(self, folder: Path, scratch: Path) -> None:
        self._folder, self._scratch = folder, scratch
        self._stay: dict[str, Path] = {}  # by hash
        self._copied: dict[str, Path] = {}
        self.gone = 0

    def take(self, rows: Rows, row: int) -> str | None:
        """Return the hash of a row's file; None when it cannot be read any more."""
        offset = int(rows["place"][row])
        try:
            if offset < 0:
                raise ImageError("no note says where it lies")
            place = prediction_images.place(self._folder, offset)
            path = self._file(place, row)
            with path.open("rb") as file:
                digest = hashlib.file_digest(file, "sha256").hexdigest()
        except (ImageError, OSError, KeyError, ValueError, zipfile.BadZipFile):
            self.gone += 1
            return None
        stays = path == place.path and not path.is_relative_to(self._folder)
        (self._stay if stays else self._copied).setdefault(digest, path)
        return digest

    def tables(self, known: Collection[str]) -> Iterator[tuple[Path, bool]]:
        """Yield tables of what is not known, and whether their images are to be copied."""
        for by_hash, copy in ((self._stay, False), (self._copied, True)):
            if paths := [path for digest, path in by_hash.items() if digest not in known]:
                yield self._table(paths, copy), copy

    def _file(self, place: Place, row: int) -> Path:
        if place.entry is None:
            return place.path
        path = self._scratch / f"{row}{Path(place.entry).suffix}"
        with ExitStack() as stack:
            archive = stack.enter_context(zipfile.ZipFile(place.path))
            if archive.getinfo(place.entry).file_size != place.bytes:
                raise ImageError("it was changed since")
            path.write_bytes(archive.read(place.entry))
        return path

    def _table(self, paths: list[Path], copy: bool) -> Path:
        table = self._scratch / f"{'copied' if copy else 'referenced'}.csv"
        with table.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(["path", "split"])
            writer.writerows([guarded(str(path)), "train"] for path in paths)
        return table


def _put_first(project: Project, hashes: dict[str, float], before: set[int]) -> int:
    """Put the unlabelled ones of some images before the queue, the least sure first.

    `before` are those that were items already: where a queue has them, they keep their place.
    """
    with project.store.read() as unit:
        ids = unit.items.known(list(hashes))
        records = unit.items.many(list(ids.values()))
    entries = [
        NewQueueEntry(ids[digest], STRATEGY, score)
        for digest, score in hashes.items()
        if digest in ids and records[ids[digest]].split in ("train", "valid")
    ]
    new = [entry.item_id for entry in entries if entry.item_id not in before]
    with project.store.write() as unit:
        # An import fills an empty queue at random, with these images among others.
        unit.queue.withdraw(new, RANDOM)
        return unit.queue.prepend(entries)
