"""Apply a file of labels, a table or JSON Lines: all of it, or nothing.

What a row says is news when it is not what the last row for its image and annotator said, in this
file or an earlier one. So a file that is applied twice changes nothing, nor does it bring back what
was changed by hand since; and going back to an earlier version of a file goes back.
"""

from __future__ import annotations

import os
import uuid
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labeller.errors import BudgetError, LabelFileError
from labeller.project import Project
from labeller.services.budget import amount
from labeller.services.class_names import ClassIds, class_ids
from labeller.services.originals import list_replaced
from labeller.services.path_lookup import items_by_path
from labeller.services.table_columns import Meaning
from labeller.services.table_labels import LabelCells
from labeller.services.tables import (
    NOBODY,
    BadRow,
    Row,
    Table,
    TableError,
    name_lines,
    open_table,
)
from store.records import EventRecord, EventResult, NewEvent
from store.records_budget import BudgetRecord
from store.store import Unit

WANTED: tuple[Meaning, ...] = ("path", "sha256", "label", "annotator", "provenance")
NEEDED: tuple[tuple[Meaning, ...], ...] = (("path", "sha256"), ("label",))
KEYS = "file:"  # what the keys of events from files begin with
LISTED = 20


@dataclass(frozen=True, slots=True)
class LabelFileReport:
    """What a file of labels did with its rows.

    `labelled` images had no label before, `changed` ones another one by the same annotator.
    `unchanged` rows said what was known already, a second run of the same file included; of them,
    `overruled` ones are no longer what the image's annotator says, by hand since. `second_opinions`
    are kept beside the label that somebody else gave. `empty` rows have no label. `notes` say how
    the file was understood.
    """

    rows: int
    labelled: int = 0
    changed: int = 0
    unchanged: int = 0
    overruled: int = 0
    second_opinions: int = 0
    empty: int = 0
    cost: float = 0.0
    notes: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class _Label:
    """What one annotator says of one image, in a row of a file."""

    line: int
    item_id: int
    class_id: int
    annotator: str


@dataclass(frozen=True, slots=True)
class _Sheet:
    """A file of labels without anything wrong; `repeated` rows say what others said before."""

    labels: Sequence[_Label]
    rows: int
    repeated: int
    empty: int
    notes: Sequence[str]


def label_from_csv(
    project: Project, path: Path, annotator: str, again: bool = False
) -> LabelFileReport:
    """Apply the labels in a file, in one transaction.

    Parameters
    ----------
    project : Project
    path : Path
        A table or JSON Lines file with ``path`` or ``sha256`` (which wins when both are filled),
        ``label``, and maybe ``annotator``, under any of the names that
        :mod:`~labeller.services.table_columns` knows. What a path means is said at
        :func:`~labeller.services.path_lookup.items_by_path`.
    annotator : str
        Whose labels they are where the file is silent.
    again : bool
        Apply rows that a file applied before and that were changed by hand since, too.

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
    price = project.settings.label_price
    with project.store.read() as unit:  # it may take long, and keeps nobody from labelling
        sheet = _read_sheet(project, unit, path, annotator)
    with project.store.write() as unit:
        unit.labels.hold()
        before = unit.budget.get()
        histories = unit.labels.histories([label.item_id for label in sheet.labels])
        news, overruled = _find_news(unit, sheet.labels, histories, again)
        results = _record(unit, news, price)
        cost = unit.budget.get().spent - before.spent
        refused = [result for result in results if result.status == "refused"]
        short = sum(result.reason == "budget" for result in refused)
        if short:
            raise _too_dear(path, before, cost + short * price)
        if refused:
            raise LabelFileError(f"{path}: {refused[0].reason} Nothing was applied.")
    counts = Counter(result.status for result in results)
    changed = sum(
        result.status == "accepted" and _is_labelled(histories.get(result.item_id or 0, []))
        for result in results
    )
    return LabelFileReport(
        rows=sheet.rows,
        labelled=counts["accepted"] - changed,
        changed=changed,
        unchanged=sheet.repeated + len(sheet.labels) - len(results),
        overruled=len(overruled),
        second_opinions=counts["second_opinion"],
        empty=sheet.empty,
        cost=cost,
        notes=(*sheet.notes, *_tell_overruled(overruled)),
    )


def _find_news(
    unit: Unit,
    labels: Sequence[_Label],
    histories: Mapping[int, Sequence[EventRecord]],
    again: bool,
) -> tuple[list[_Label], list[int]]:
    """Return the labels to record, and the lines of those that were changed by hand since."""
    targets = unit.classes.targets()
    news: list[_Label] = []
    overruled: list[int] = []
    for label in labels:
        events = histories.get(label.item_id, [])
        own = [event for event in events if event.annotator == label.annotator]
        stands = _stands(events, own, targets) == label.class_id
        filed = next((e for e in reversed(own) if e.key.startswith(KEYS)), None)
        known = filed is not None and targets.get(filed.class_id or 0) == label.class_id
        if not stands and (again or not known):
            news.append(label)
        elif not stands:
            overruled.append(label.line)
    return news, overruled


def _stands(
    events: Sequence[EventRecord], own: Sequence[EventRecord], targets: Mapping[int, int]
) -> int | None:
    """Return the class that somebody says an image is of, unless it was taken back or cleared."""
    said = [event for event in own if event.kind in ("label", "skip", "flag") and not event.undone]
    if not said or said[-1].class_id is None:
        return None
    cleared = (e for e in events if e.kind == "clear" and not e.undone)
    if any(event.id > said[-1].id for event in cleared):
        return None
    return targets.get(said[-1].class_id)


def _is_labelled(events: Sequence[EventRecord]) -> bool:
    return any(event.current and event.kind == "label" for event in events)


def _record(unit: Unit, labels: Sequence[_Label], price: float) -> list[EventResult]:
    """Record labels so that of several for an image the first row counts.

    Events are recorded annotator by annotator: first the first label of every image, then the
    second ones, and so on.
    """
    run = uuid.uuid4().hex
    turns: Counter[int] = Counter()
    batches: defaultdict[tuple[int, str], list[NewEvent]] = defaultdict(list)
    for label in labels:
        turn = turns[label.item_id]
        turns[label.item_id] += 1
        event = NewEvent(
            key=f"{KEYS}{run}:{label.line}",
            kind="label",
            item_id=label.item_id,
            class_id=label.class_id,
        )
        batches[turn, label.annotator].append(event)
    return [
        result
        for turn, annotator in sorted(batches, key=lambda batch: batch[0])
        for result in unit.labels.record(annotator, None, "cli", batches[turn, annotator], price)
    ]


def _tell_overruled(lines: Sequence[int]) -> Iterator[str]:
    if lines:
        yield (
            f"{len(lines):,} rows were applied before and changed by hand since, and stay as they "
            f"are ({name_lines(lines)}). With --again they are applied again."
        )


def _read_sheet(project: Project, unit: Unit, path: Path, annotator: str) -> _Sheet:
    """Return every row as a label, or raise with what is wrong in the file."""
    classes = class_ids(unit)
    table, rows, problems = _read(path)
    cells = LabelCells(list(classes), table.columns.several)
    for line, row in rows:
        cells.count(line, row["label"])
    filled = [(line, row) for line, row in rows if not cells.is_missing(row["label"])]
    items, path_notes = _items(project, unit, path, filled)
    replaced = _replaced(project, filled, items)
    labels: dict[tuple[int, str], _Label] = {}
    doubled: list[tuple[int, int]] = []
    for line, row in filled:
        item = items[line]
        if isinstance(item, int) and item in replaced and not row.get("sha256"):
            item = f"{replaced[item]} holds another image now: import it first"
        label = _check(line, row, item, cells, classes, row.get("annotator") or annotator)
        if isinstance(label, list):
            problems += [(line, wrong) for wrong in label]
            continue
        first = labels.setdefault((label.item_id, label.annotator), label)
        if first.class_id != label.class_id:
            text = f"names the same image as line {first.line}, with another class"
            problems.append((line, f"{text} by the same annotator ({label.annotator})"))
        elif first is not label:
            doubled.append((line, first.line))
    if problems:
        raise _invalid(path, problems)
    return _Sheet(
        labels=list(labels.values()),
        rows=len(rows),
        repeated=len(filled) - len(labels),
        empty=len(rows) - len(filled),
        notes=[*table.notes(), *cells.notes(), *path_notes, *_tell_doubled(doubled)],
    )


def _check(
    line: int,
    row: Row,
    item: int | str,
    cells: LabelCells,
    classes: ClassIds,
    annotator: str,
) -> _Label | list[str]:
    """Return a row as a label, or what is wrong with it."""
    wrong = [item] if isinstance(item, str) else []
    if row.get("provenance") in NOBODY:
        wrong.append("is a generated label, which no person gave: leave it out")
    name = cells.name(row["label"])
    class_id = None if name is None else classes.get(name)
    if class_id is None:
        several = cells.is_several(row["label"])
        said = row["label"]
        wrong.append(cells.describe_several(said) if several else _no_class(said, classes))
    if wrong or class_id is None or isinstance(item, str):
        return wrong
    return _Label(line, item, class_id, annotator)


def _read(path: Path) -> tuple[Table, list[tuple[int, Row]], list[tuple[int, str]]]:
    """Return a table with its rows, and what is wrong with lines that are none."""
    rows: list[tuple[int, Row]] = []
    problems: list[tuple[int, str]] = []
    try:
        table = open_table(path, WANTED, NEEDED)
        for step in table.rows():
            if isinstance(step, BadRow):
                problems.append((step.line, step.reason))
            else:
                rows.append(step)
    except TableError as error:
        raise LabelFileError(f"{error} Nothing was applied.") from error
    return table, rows, problems


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
    return list_replaced(project, sorted({item for item in named if isinstance(item, int)}))


def _tell_doubled(lines: Sequence[tuple[int, int]]) -> Iterator[str]:
    """Say which rows name an image that a row before them named with the same class."""
    if lines:
        line, first = lines[0]
        yield (
            f"{len(lines):,} row{' says' if len(lines) == 1 else 's say'} what a row before "
            f"{'it' if len(lines) == 1 else 'them'} said of the same image, maybe by its other "
            f"name (line {line} as line {first})."
        )


def _no_class(name: str, classes: ClassIds) -> str:
    alike = classes.alike(name)
    if len(alike) > 1:
        return f"{name!r} fits {' and '.join(map(repr, alike))}: write one of them exactly"
    return f"there is no class {name!r} (classes: {', '.join(list(classes)[:12]) or 'none'})"


def _invalid(path: Path, problems: Sequence[tuple[int, str]]) -> LabelFileError:
    """List the first problems by line."""
    shown = [f"  line {line}: {text}" for line, text in sorted(problems)[:LISTED]]
    if len(problems) > LISTED:
        shown.append(f"  ... and {len(problems) - LISTED:,} more")
    number = "1 problem" if len(problems) == 1 else f"{len(problems):,} problems"
    head = f"{path}: {number}. Nothing was applied; mend and try again:"
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
