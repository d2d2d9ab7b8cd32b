"""The partial file of a prediction: what it was begun with, and the rows that are there.

The first line is JSON; every other is the origin of an image, a tab, and the row as JSON.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from labeller.errors import PredictionError
from labeller.services.import_sources import Candidate, shown
from store.errors import FileBusy, VectorError
from store.files import locked

COLUMNS = ("key", "class", "confidence", "energy", "model", "error", "mend")
PROBABILITIES = "probabilities"
TWICE = "another image of these sources has the same key"


@dataclass(frozen=True, slots=True)
class Begun:
    """What a prediction is made from: rows that were made from something else do not belong to it.

    Sources that lie in the folder of the result are named relative to it, so that both can move.
    """

    project: str
    sources: tuple[str, ...]
    model: int
    classes: tuple[str, ...]

    @classmethod
    def of(
        cls, project: str, sources: Iterable[Path], out: Path, model: int, classes: tuple[str, ...]
    ) -> Begun:
        """Name the absolute paths of sources as seen from the result."""
        return cls(project, tuple(_seen_from(out, path) for path in sources), model, classes)


@dataclass(slots=True)
class Kept:
    """The rows that are there: origins by key, how often a key is told to come again, and errors.

    Behind them were `damaged` lines, whose rows have to be made again.
    """

    out: Path
    origins: dict[str, str] = field(default_factory=dict)
    again: Counter[str] = field(default_factory=Counter)
    failed: int = 0
    damaged: int = 0

    @property
    def rows(self) -> int:
        """How many there are."""
        return len(self.origins) + self.again.total()

    def take(self, origin: str, row: Mapping[str, Any]) -> None:
        """Note a row."""
        self.failed += row["error"] is not None
        if row["error"] == TWICE:
            self.again[row["key"]] += 1
        else:
            self.origins[row["key"]] = origin

    def check(self, key: str, origin: str) -> None:
        """Refuse another image under the key of a row; one that is gone is none.

        Raises
        ------
        PredictionError
            When the image has another place, size or time than the one that the row is of.
        """
        if origin and origin != self.origins[key]:
            raise PredictionError(
                f"{self.out}: {key} is another image, or was changed, since its row was made. Put "
                f"the first one back to go on, or begin anew (--restart)."
            )


def origin_of(candidate: Candidate, out: Path) -> str:
    """Return a digest of the place, size and time of an image, empty when it is gone.

    Of an entry of an archive it is the archive that counts, which cannot change in part.
    """
    path, entry = candidate.entry or (Path(candidate.path), "")
    try:
        about = os.stat(path)  # noqa: PTH116 - a million times
    except OSError:
        return ""
    text = "\0".join(
        (_seen_from(out, path), shown(entry), str(about.st_size), str(about.st_mtime_ns))
    )
    return hashlib.sha256(text.encode("utf-8")).hexdigest()[:16]


def _seen_from(out: Path, path: Path) -> str:
    """Return a path as text, relative to the folder of the result if it lies in there."""
    folder = out.parent
    return shown(str(path.relative_to(folder) if path.is_relative_to(folder) else path))


@contextmanager
def held(partial: Path, out: Path) -> Iterator[None]:
    """Keep every other prediction from writing a partial file, which is made when it is missing.

    Raises
    ------
    PredictionError
        When another prediction writes it, or it cannot be opened.
    """
    try:
        with locked(partial, wait_seconds=0.0, create=True):
            yield
    except FileBusy as error:
        raise PredictionError(
            f"{out}: another prediction writes this file. Wait until it ends, or name another file."
        ) from error
    except VectorError as error:
        raise PredictionError(f"{out}: cannot be written ({error})") from error


def begin(partial: Path, begun: Begun, out: Path, restart: bool) -> Kept:
    """Return the rows that are there, and have the file end with the last of them.

    Parameters
    ----------
    partial : Path
        Held by the caller (:func:`held`).
    begun : Begun
    out : Path
        The result, as errors name it.
    restart : bool
        Throw all rows away.

    Raises
    ------
    PredictionError
        When the rows were made from something else.
    OSError
        When it cannot be read or written.
    """
    if restart:
        os.truncate(partial, 0)
    kept, whole = _read(partial, begun, out)
    os.truncate(partial, whole)
    if not whole:
        partial.write_text(json.dumps(asdict(begun)) + "\n", "ascii")
    return kept


def _read(partial: Path, begun: Begun, out: Path) -> tuple[Kept, int]:
    """Return the rows, and how many bytes they take; what follows a damaged line does not count.

    A last line without an end is what a kill leaves behind, and no damage.
    """
    kept = Kept(out)
    whole = 0
    with partial.open("rb") as file:
        for line in file:
            if not line.endswith(b"\n"):
                break
            if kept.damaged or not _taken(line, whole == 0, begun, kept):
                kept.damaged += 1
            else:
                whole += len(line)
    return kept, whole


def _taken(line: bytes, first: bool, begun: Begun, kept: Kept) -> bool:
    """Take a line in; false when it is damaged."""
    if first:
        before = _begun(line)
        if before is not None:
            _compare(before, begun, kept.out)
        return before is not None
    found = _row(line)
    if found is not None:
        kept.take(*found)
    return found is not None


def _begun(line: bytes) -> Begun | None:
    """Read the first line; None when it is damaged."""
    try:
        values = json.loads(line)
        lists = {name: tuple(values[name]) for name in ("sources", "classes")}
        return Begun(**(values | lists))
    except (ValueError, KeyError, TypeError):
        return None


def _row(line: bytes) -> tuple[str, dict[str, Any]] | None:
    """Read the origin and the row of a line; None when it is damaged."""
    try:
        origin, _, text = line.decode("utf-8").partition("\t")
        row = json.loads(text)
    except ValueError:
        return None
    whole = isinstance(row, dict) and row.keys() == {*COLUMNS, PROBABILITIES}
    whole = whole and isinstance(row["key"], str) and isinstance(row[PROBABILITIES], dict)
    return (origin, row) if whole else None


def _compare(before: Begun, now: Begun, out: Path) -> None:
    """Refuse to go on with what was begun with something else."""
    if before.project != now.project:
        raise PredictionError(
            f"{out}: was begun by another project. Name another file, or begin anew (--restart)."
        )
    if before.model != now.model:
        raise PredictionError(
            f"{out}: was begun with model {before.model}, and this is model {now.model}. Name that "
            f"model to go on, or begin anew (--restart)."
        )
    if before.sources != now.sources:
        raise PredictionError(
            f"{out}: was begun with other sources ({', '.join(before.sources)}). Name those to go "
            f"on, or begin anew (--restart)."
        )
    if before.classes != now.classes:
        raise PredictionError(
            f"{out}: was begun when the classes were others ({', '.join(before.classes)}). "
            f"Begin anew (--restart)."
        )


def line_of(origin: str, row: Mapping[str, Any]) -> str:
    """Return the line of a row."""
    return f"{origin}\t{json.dumps(row, ensure_ascii=False)}\n"


def rows_of(partial: Path) -> Iterator[str]:
    """Yield the rows of a whole file, each a line of JSON."""
    with partial.open(encoding="utf-8") as file:
        next(file)
        for line in file:
            yield line.partition("\t")[2]
