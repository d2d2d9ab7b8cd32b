"""Apply a CSV file of labels: all of it, or nothing."""

from __future__ import annotations

import hashlib
import os
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labeller.errors import BudgetError, LabelFileError
from labeller.project import Project
from labeller.services.budget import amount
from labeller.services.class_names import class_ids, class_name
from labeller.services.originals import list_replaced
from labeller.services.path_lookup import items_by_path
from labeller.services.tables import NOBODY, BadRow, Row, TableError, read_table
from store.records import EventResult, NewEvent
from store.records_budget import BudgetRecord
from store.store import Unit

COLUMNS = {
    "path": ("path", "file", "filename", "image"),
    "sha256": ("sha256", "hash"),
    "class": ("class", "label"),
    "annotator": ("annotator",),
    "provenance": ("provenance",),
}
NEEDED = (("path", "sha256"), ("class",))
LISTED = 20


@dataclass(frozen=True, slots=True)
class LabelFileReport:
    """What a file of labels did.

    `unchanged` rows said what was known already, a second run of the same file included;
    `second_opinions` are kept beside the label that somebody else gave.
    """

    rows: int
    labelled: int
    unchanged: int
    second_opinions: int
    cost: float
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Label:
    """One valid row."""

    line: int
    item_id: int
    class_id: int
    annotator: str


def label_from_csv(project: Project, path: Path, annotator: str) -> LabelFileReport:
    """Apply the labels in a CSV file, in one transaction.

    Parameters
    ----------
    project : Project
    path : Path
        Columns ``path`` or ``sha256`` (which wins when both are filled), ``class``, and maybe
        ``annotator``. What a path means is said at
        :func:`~labeller.services.path_lookup.items_by_path`. Two rows may name an image by two
        names if they agree.
    annotator : str
        Whose labels they are where the file is silent.

    Returns
    -------
    LabelFileReport

    Raises
    ------
    LabelFileError
        When anything in the file is wrong: the text lists up to 20 lines, and nothing is applied.
    BudgetError
        When the labels cost more than what is left; the text has the numbers.
    """
    digest = _digest(path)
    price = project.settings.label_price
    with project.store.read() as unit:  # it may take long, and keeps nobody from labelling
        labels, notes = _checked(project, unit, path, annotator)
    with project.store.write() as unit:
        before = unit.budget.get()
        results = _record(unit, labels, digest, price)
        cost = unit.budget.get().spent - before.spent
        refused = [result for result in results if result.status == "refused"]
        short = sum(result.reason == "budget" for result in refused)
        if short:
            raise _too_dear(path, before, cost + short * price)
        if refused:
            raise LabelFileError(f"{path}: {refused[0].reason} Nothing was applied.")
    counts = Counter(result.status for result in results)
    return LabelFileReport(
        rows=len(labels),
        labelled=counts["accepted"],
        unchanged=len(labels) - counts["accepted"] - counts["second_opinion"],
        second_opinions=counts["second_opinion"],
        cost=cost,
        notes=notes,
    )


def _record(unit: Unit, labels: Sequence[_Label], digest: str, price: float) -> list[EventResult]:
    """Record what is new, annotator by annotator; keys of file and line make a rerun harmless."""
    events: dict[str, list[NewEvent]] = {}
    for label in labels:
        now = unit.labels.current(label.item_id)
        if now is None or (now.class_id, now.annotator) != (label.class_id, label.annotator):
            event = NewEvent(
                key=f"file:{digest[:32]}:{label.line}",
                kind="label",
                item_id=label.item_id,
                class_id=label.class_id,
            )
            events.setdefault(label.annotator, []).append(event)
    return [
        result
        for annotator, batch in events.items()
        for result in unit.labels.record(annotator, None, "cli", batch, price)
    ]


def _checked(
    project: Project, unit: Unit, path: Path, annotator: str
) -> tuple[list[_Label], tuple[str, ...]]:
    """Return every row as a label, and notes; or raise with what is wrong in the file."""
    problems: list[tuple[int, str]] = []
    rows: list[tuple[int, Row]] = []
    for step in _read(path):
        if isinstance(step, BadRow):
            problems.append((step.line, f"is no CSV ({step.reason})"))
        else:
            rows.append(step)
    classes = class_ids(unit)
    items, notes = _items(project, unit, path, rows)
    replaced = _replaced(project, rows, items)
    doubled: list[tuple[int, int]] = []
    labels: list[_Label] = []
    lines: dict[int, tuple[int, int | None]] = {}
    for line, row in rows:
        found = items[line]
        class_id = classes.get(class_name(row["class"]))
        if isinstance(found, str):
            problems.append((line, found))
        elif found in replaced and not row.get("sha256"):
            problems.append((line, f"{replaced[found]} holds another image now: import it first"))
        elif found in lines:
            first, before = lines[found]
            if before == class_id:  # maybe the same picture under two names
                doubled.append((line, first))
                continue
            problems.append((line, f"names the same image as line {first}, with another class"))
        else:
            lines[found] = line, class_id
        if row.get("provenance") in NOBODY:
            problems.append((line, "is a generated label, which no person gave: leave it out"))
        if class_id is None:
            problems.append((line, _no_class(row["class"], classes)))
        elif isinstance(found, int):
            labels.append(_Label(line, found, class_id, row.get("annotator") or annotator))
    if problems:
        raise _invalid(path, problems)
    return labels, (*notes, *_doubled(doubled))


def _read(path: Path) -> Iterator[tuple[int, Row] | BadRow]:
    try:
        yield from read_table(path, COLUMNS, NEEDED)
    except TableError as error:
        raise LabelFileError(f"{error} Nothing was applied.") from error


def _items(
    project: Project, unit: Unit, path: Path, rows: Sequence[tuple[int, Row]]
) -> tuple[dict[int, int | str], tuple[str, ...]]:
    """Return, by line, the item that a row names, or what is wrong with the name; and notes."""
    found: dict[int, int | str] = {}
    hashes = {line: row["sha256"].lower() for line, row in rows if row.get("sha256")}
    known = unit.items.known(list(set(hashes.values())))
    paths: dict[int, str] = {}
    for line, row in rows:
        if line in hashes:
            found[line] = known.get(
                hashes[line], f"no image has the sha256 {hashes[line][:16]}… (not imported?)"
            )
        elif row.get("path"):
            paths[line] = row["path"]
        else:
            found[line] = "names no image"
    places = (Path.cwd(), Path(os.path.abspath(path)).parent)  # noqa: PTH100 - keeps links
    matches = items_by_path(project, unit, paths, places)
    return found | dict(matches.by_line), matches.notes


def _replaced(
    project: Project, rows: Sequence[tuple[int, Row]], items: Mapping[int, int | str]
) -> dict[int, str]:
    """Return the items that rows name by a path which holds another image by now."""
    named = [items[line] for line, row in rows if not row.get("sha256")]
    return list_replaced(project, sorted({one for one in named if isinstance(one, int)}))


def _doubled(lines: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Say which rows name an image that a row before them named with the same class."""
    if lines:
        line, first = lines[0]
        yield (
            f"{len(lines):,} row{' says' if len(lines) == 1 else 's say'} what a row before "
            f"{'it' if len(lines) == 1 else 'them'} said of the same image, maybe by its other "
            f"name (line {line} as line {first})."
        )


def _no_class(name: str, classes: Mapping[str, int]) -> str:
    if not name:
        return "names no class"
    return f"there is no class {name!r} (classes: {', '.join(list(classes)[:12]) or 'none'})"


def _invalid(path: Path, problems: Sequence[tuple[int, str]]) -> LabelFileError:
    """List the first problems by line."""
    shown = [f"  line {line}: {text}" for line, text in sorted(problems)[:LISTED]]
    if len(problems) > LISTED:
        shown.append(f"  ... and {len(problems) - LISTED:,} more")
    head = f"{path}: {len(problems):,} problems. Nothing was applied; mend these and try again:"
    return LabelFileError("\n".join([head, *shown]))


def _too_dear(path: Path, budget: BudgetRecord, cost: float) -> BudgetError:
    """Say what the file costs and what there is."""
    free = budget.free or 0.0
    return BudgetError(
        f"{path}: its labels cost {amount(cost)}, and {amount(max(0.0, free))} of the budget of "
        f"{amount(budget.total or 0.0)} is free ({amount(budget.spent)} spent, "
        f"{amount(budget.reserved)} reserved by open pages). Nothing was applied. "
        f"Raise the budget by {amount(cost - free)}, or shorten the file."
    )


def _digest(path: Path) -> str:
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise LabelFileError(f"{path}: cannot be read ({error.strerror or error}).") from error
