"""Classes: add, rename, recolour, reorder, merge, archive; every change can be taken back."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from labeller.errors import ClassError
from labeller.project import Project
from labeller.services import class_log
from labeller.services.class_keys import KEYS as KEYS
from labeller.services.class_keys import Held, assign_keys, explain_key, key_owners, own_key
from labeller.services.class_log import Change as Change
from labeller.services.class_names import class_name
from labeller.services.palette import check_colour, free_colours
from store.records import ClassRecord
from store.store import Unit

LONGEST = 100


def check_names(names: Sequence[str]) -> list[str]:
    """Return the names trimmed, in composed Unicode form (NFC), without what cannot be seen.

    Raises
    ------
    ClassError
        When one is empty, too long, holds a line break or other control character, or comes twice.
    """
    clean: list[str] = []
    for name in names:
        text = class_name(name)
        if not text:
            raise ClassError("A class name is empty. Give every class a name.")
        if len(text) > LONGEST:
            raise ClassError(f"“{text[:30]}…” is longer than {LONGEST} characters. Shorten it.")
        if any(unicodedata.category(c) in ("Cc", "Cs", "Zl", "Zp") for c in text):
            raise ClassError(f"{text!r} holds a line break or control character. Take it out.")
        if text in clean:
            raise ClassError(f"“{text}” comes twice. Every class needs a name of its own.")
        clean.append(text)
    return clean


def listed(project: Project, archived: bool = False) -> list[ClassRecord]:
    """Return the classes in the order of their positions."""
    with project.store.read() as unit:
        return unit.classes.all(archived=archived)


def counts(project: Project) -> dict[int, int]:
    """Return how many items carry each class now, merged classes under their target."""
    with project.store.read() as unit:
        return unit.labels.counts_by_class()


def explain_keys(records: Sequence[ClassRecord]) -> dict[int, str]:
    """Say of classes in use why they have not the key that they are named like."""
    keys = {record.name: record.key for record in records}
    texts = {}
    for record in records:
        others = {name: key for name, key in keys.items() if name != record.name}
        if own_key(record.name) != record.key or record.key is None:
            texts[record.id] = explain_key(record.name, record.key, others)
    return {class_id: text for class_id, text in texts.items() if text}


def add(project: Project, names: Sequence[str]) -> list[ClassRecord]:
    """Add classes, each with a colour and a key (see :func:`.class_keys.assign_keys`).

    A class that is named like a key gets it, also from a class that has it by chance. An archived
    class of the same name comes back with its labels instead.

    Returns
    -------
    list of ClassRecord
        The classes in the order of `names`.

    Raises
    ------
    ClassError
        When a name cannot be used or is a class already; nothing is added then.
    """
    wanted = check_names(names)
    if not wanted:
        return []
    with project.store.write() as unit:
        return _add(unit, wanted)


def rename(project: Project, class_id: int, name: str) -> None:
    """Give a class another name; its labels go along.

    Raises
    ------
    ClassError
        When the name cannot be used, or another class has it, which may be an archived one that
        labels or models know.
    """
    wanted = check_names([name])[0]

    def change(unit: Unit, record: ClassRecord) -> dict[int, dict[str, Any]]:
        _refuse_taken(unit, wanted, besides=record.id)
        _refuse_asleep(unit, wanted)
        fields: dict[int, dict[str, Any]] = {record.id: {"name": wanted}}
        if own_key(wanted) is None:
            return fields
        named = [replace(c, name=wanted) if c.id == record.id else c for c in unit.classes.all()]
        keys = assign_keys(_held(unit, named))
        moved = {c.id: {"key": keys[c.name]} for c in named if keys[c.name] != c.key}
        fields[record.id] |= moved.pop(record.id, {})
        return fields | moved

    _one(project, class_id, lambda r: f"Renamed “{r.name}” to “{wanted}”", change)


def set_key(project: Project, class_id: int, key: str | None) -> None:
    """Give a class another key, or none.

    Raises
    ------
    ClassError
        When it is no key for classes or another class has it; the text names free ones.
    """
    wanted = key.strip().lower() if key else None
    if wanted is not None and wanted not in KEYS:
        raise ClassError(f"{key!r} cannot label. Use a digit or a letter from a to z.")

    def change(unit: Unit, record: ClassRecord) -> dict[int, dict[str, Any]]:
        others = [c for c in unit.classes.all() if c.id != record.id]
        keys = {c.key: c.name for c in others if c.key}
        owners = key_owners(c.name for c in others)
        free = ", ".join([k for k in KEYS if k not in keys | owners][:5]) or "none"
        if wanted in keys:
            raise ClassError(
                f"Key {wanted} already labels “{keys[wanted]}”. Free that one first, "
                f"or take another; free keys: {free}."
            )
        if wanted in owners and own_key(record.name) != wanted:
            raise ClassError(
                f"Key {wanted} is kept for the class “{owners[wanted]}”, which is named like it. "
                f"Take another; free keys: {free}."
            )
        return {record.id: {"key": wanted}}

    _one(project, class_id, lambda r: f"Key of “{r.name}” is now {wanted or 'none'}", change)


def set_colour(project: Project, class_id: int, colour: str) -> None:
    """Give a class another colour (``#rrggbb``).

    Raises
    ------
    ClassError
        When it is no such colour.
    """
    wanted = check_colour(colour)
    _one(
        project,
        class_id,
        lambda r: f"Colour of “{r.name}” is now {wanted}",
        lambda _unit, record: {record.id: {"colour": wanted}},
    )


def move(project: Project, class_id: int, place: int) -> None:
    """Move a class to `place` (0 is first) in the list; keys stay with their classes."""

    def change(unit: Unit, record: ClassRecord) -> dict[int, dict[str, Any]]:
        order = [c for c in unit.classes.all() if c.id != record.id]
        order.insert(max(0, min(place, len(order))), record)
        return {c.id: {"position": n} for n, c in enumerate(order) if c.position != n}

    _one(project, class_id, lambda r: f"Moved “{r.name}”", change)


def archive(project: Project, class_id: int) -> None:
    """Take a class out of use; its labels stay, its key gets free."""
    _one(
        project,
        class_id,
        lambda r: f"Archived “{r.name}”",
        lambda _unit, record: {record.id: {"archived": True, "key": None}},
    )


def merge(project: Project, class_id: int, into: int) -> None:
    """Let every label of one class count as another's; label events stay as they were given.

    Raises
    ------
    ClassError
        When either is not in use, or both are the same.
    """
    if class_id == into:
        raise ClassError("A class cannot be merged into itself. Choose another one.")
    with project.store.write() as unit:
        source, target = _active(unit, class_id), _active(unit, into)
        fields = {"archived": True, "key": None, "merged_into": target.id}
        _apply(unit, f"Merged “{source.name}” into “{target.name}”", {source.id: fields})


def changes(project: Project, limit: int = 20) -> list[Change]:
    """Return the latest changes, newest first."""
    with project.store.read() as unit:
        return class_log.lines(unit)[::-1][:limit]


@dataclass(frozen=True, slots=True)
class Step:
    """A change that can be taken back or done again, and what that would put out of use.

    `classes` are the names of the classes with labels that it archives: no model is trained on
    their `labels`, given for `images`, until they come back.
    """

    change: Change
    classes: tuple[str, ...] = ()
    labels: int = 0
    images: int = 0


def next_undo(project: Project) -> Step | None:
    """Return what :func:`undo_last_change` would take back."""
    with project.store.read() as unit:
        change = class_log.next_undo(unit)
        return (
            None if change is None else _step(unit, change, class_log.before(unit, change.number))
        )


def next_redo(project: Project) -> Step | None:
    """Return what :func:`redo_last_change` would do again."""
    with project.store.read() as unit:
        change = class_log.next_redo(unit)
        return None if change is None else _step(unit, change, class_log.after(unit, change.number))


def undo_last_change(project: Project, number: int | None = None) -> str | None:
    """Take back the latest change that is still in force.

    Parameters
    ----------
    project : Project
    number : int, optional
        The change that is meant; another one that came since is not taken back.

    Returns
    -------
    str or None
        What was taken back; None when there was nothing.

    Raises
    ------
    ClassError
        When a name or key it would bring back is in use by now, or another change came since.
    """
    with project.store.write() as unit:
        last = class_log.next_undo(unit)
        _check_meant(last, number)
        if last is None:
            return None
        replaced = _restore(unit, class_log.before(unit, last.number))
        class_log.note_undo(unit, last.number, replaced)
        return last.text


def redo_last_change(project: Project, number: int | None = None) -> str | None:
    """Do again what was taken back last, unless something else was changed since.

    Parameters, result and errors are those of :func:`undo_last_change`.
    """
    with project.store.write() as unit:
        last = class_log.next_redo(unit)
        _check_meant(last, number)
        if last is None:
            return None
        _restore(unit, class_log.after(unit, last.number))
        class_log.note_redo(unit, last.number)
        return last.text


def _check_meant(last: Change | None, number: int | None) -> None:
    if number is not None and (last is None or last.number != number):
        raise ClassError("The classes were changed meanwhile. Look at them again, then decide.")


def _step(unit: Unit, change: Change, fields: Mapping[int, Mapping[str, Any]]) -> Step:
    """Work out which classes with labels go out of use with their fields set so."""
    active = {one.id: one.name for one in unit.classes.all()}
    out = [
        class_id
        for class_id, values in fields.items()
        if class_id in active and values.get("archived") and values.get("merged_into") is None
    ]
    images, labels = unit.labels.counts_by_class(), unit.labels.given_by_class()
    out = [class_id for class_id in out if labels.get(class_id)]
    return Step(
        change,
        tuple(active[class_id] for class_id in out),
        sum(labels[class_id] for class_id in out),
        sum(images.get(class_id, 0) for class_id in out),
    )


def _add(unit: Unit, names: Sequence[str]) -> list[ClassRecord]:
    """Add or bring back the named classes and log it."""
    everything = unit.classes.all(archived=True)
    active = [c for c in everything if not c.archived]
    taken = {c.name for c in active}
    if double := [name for name in names if name in taken]:
        raise ClassError(f"“{double[0]}” is a class already. Leave it out.")
    asleep = {c.name: c for c in everything if c.archived and c.merged_into is None}
    keys = _keys(unit, active, names)
    moved = [c for c in active if keys[c.name] != c.key]
    _free_keys(unit, moved)
    woken = [asleep[name] for name in names if name in asleep]
    colours = free_colours(c.colour for c in (*active, *woken))
    position = max((c.position for c in active), default=-1)
    before: dict[int, dict[str, Any]] = {}
    ids: list[int] = []
    for name in names:
        position += 1
        if name in asleep:
            record = asleep[name]
            before[record.id] = class_log.fields(record)
            unit.classes.update(record.id, archived=False, key=keys[name], position=position)
        else:
            record = unit.classes.add(name, keys[name], next(colours), position)
            before[record.id] = {"archived": True, "key": None}
        ids.append(record.id)
    for record in moved:
        unit.classes.update(record.id, key=keys[record.name])
    before |= {c.id: {"key": c.key} for c in moved}
    text = "Added " + ", ".join(f"“{name}”" for name in names)
    class_log.note(unit, text + _moves({c.name: keys[c.name] for c in moved}), before)
    now = {c.id: c for c in unit.classes.all()}
    return [now[i] for i in ids]


def _keys(unit: Unit, active: Sequence[ClassRecord], names: Sequence[str]) -> dict[str, str | None]:
    """Return the keys of the classes in use and of new ones.

    Those in use keep theirs where no new class is named like a key.
    """
    if any(own_key(name) is not None for name in names):
        held = _held(unit, active)
    else:
        held = [Held(c.name, c.key, chosen=True) for c in active]
    return assign_keys([*held, *map(Held, names)])


def _held(unit: Unit, records: Sequence[ClassRecord]) -> list[Held]:
    chosen = class_log.chosen_keys(unit)
    return [Held(record.name, record.key, record.id in chosen) for record in records]


def _moves(keys: Mapping[str, str | None]) -> str:
    """Say which classes got another key to make room, for the log."""
    moves = ", ".join(f"“{name}” {key or 'none'}" for name, key in keys.items())
    return f" (other keys: {moves})" if moves else ""


def _free_keys(unit: Unit, records: Sequence[ClassRecord]) -> None:
    """Take keys away that others are about to get."""
    for record in records:
        unit.classes.update(record.id, key=None)


def _one(
    project: Project,
    class_id: int,
    text: Callable[[ClassRecord], str],
    change: Callable[[Unit, ClassRecord], dict[int, dict[str, Any]]],
) -> None:
    """Change what `change` says about one class in use, and log it."""
    with project.store.write() as unit:
        record = _active(unit, class_id)
        _apply(unit, text(record), change(unit, record))


def _apply(unit: Unit, text: str, fields: Mapping[int, dict[str, Any]]) -> None:
    """Write changed fields and log what they were; nothing when nothing changes."""
    records = {c.id: c for c in unit.classes.all(archived=True)}
    before = {i: class_log.fields(records[i], new) for i, new in fields.items()}
    if all(before[i] == new for i, new in fields.items()):
        return
    _free_keys(unit, [records[i] for i, new in fields.items() if "key" in new])
    for i, new in fields.items():
        unit.classes.update(i, **new)
    besides = list(fields.items())[1:]
    moved = {records[i].name: new["key"] for i, new in besides if "key" in new}
    class_log.note(unit, text + _moves(moved), before)


def _restore(unit: Unit, wanted: Mapping[int, Mapping[str, Any]]) -> dict[int, dict[str, Any]]:
    """Give fields the values they had, refusing what others took since; return what they were."""
    records = {c.id: c for c in unit.classes.all(archived=True)}
    _free_keys(unit, [c for c in unit.classes.all() if "key" in wanted.get(c.id, {})])
    for class_id, fields in wanted.items():
        if fields.get("archived") is not True:
            if "name" in fields:
                _refuse_taken(unit, fields["name"], besides=class_id)
            holders = [c for c in unit.classes.all() if c.id != class_id]
            if fields.get("key") and any(c.key == fields["key"] for c in holders):
                raise ClassError(f"Key {fields['key']} is in use by now. Free it, then try again.")
        unit.classes.update(class_id, **fields)
    return {i: class_log.fields(records[i], fields) for i, fields in wanted.items()}


def _refuse_taken(unit: Unit, name: str, besides: int) -> None:
    """Raise when another class in use has this name."""
    other = unit.classes.by_name(name)
    if other is not None and other.id != besides and not other.archived:
        raise ClassError(f"“{name}” is a class already. Merge the two, or choose another name.")


def _refuse_asleep(unit: Unit, name: str) -> None:
    """Raise when an archived class that something was called by has this name."""
    asleep = {
        one.id
        for one in unit.classes.all(archived=True)
        if one.archived and one.merged_into is None and one.name == name
    }
    known = {*unit.labels.counts_by_class(), *(i for m in unit.models.all() for i in m.class_ids)}
    if asleep & known:
        raise ClassError(
            f"“{name}” is an archived class that labels or models know. Add “{name}” to bring it "
            f"back; then merge the two, or give it another name."
        )


def _active(unit: Unit, class_id: int) -> ClassRecord:
    """Return a class in use."""
    record = next((c for c in unit.classes.all() if c.id == class_id), None)
    if record is None:
        raise ClassError("That class is no longer in use. Load the page again.")
    return record
