"""The leak guard: near-duplicates share a group, and with it a split.

Otherwise a model would be measured on pictures that it has all but seen. Images that look the same
find each other while they are imported (:mod:`labeller.services.import_twins`); what embeddings
find, a round looks for before it trains.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from labeller.errors import LeakError
from labeller.project import Project
from labeller.services.near_duplicates import Mergers, merged, most_together
from store.errors import Conflict, NotFound
from store.records import ItemRecord
from store.records_leaks import (
    GroupFacts,
    LinkRecord,
    Regroup,
    RegroupedItemRecord,
    RegroupingRecord,
)
from store.repository import chunks
from store.store import Unit

KEY = "leak_guard"
BATCH = 500  # items in one transaction


@dataclass(frozen=True, slots=True)
class Checked:
    """Items up to `item` have been compared with each other at `distance`."""

    item: int
    distance: float


def checked(unit: Unit) -> Checked | None:
    """Return how far the guard has come; None when it never ran."""
    kept = unit.settings.get(KEY)
    return None if kept is None else Checked(int(kept["item"]), float(kept["distance"]))


def note_checked(unit: Unit, item: int, distance: float) -> None:
    """Keep that items up to this one have been compared."""
    unit.settings.set(KEY, {"item": item, "distance": distance})


def regroup(
    project: Project, links: Sequence[LinkRecord], job_id: int | None = None
) -> RegroupingRecord | None:
    """Join the groups of near-duplicates, and bring each into one split.

    The group with the oldest item decides, whatever is labelled. Labelled items of the audit set
    that leave it become training labels. Items that would join the audit set, but were seen with
    the eyes of a strategy, become ``unused``: they neither train nor measure.

    Parameters
    ----------
    project : Project
    links : sequence of LinkRecord
        What embeddings found; links noted by imports are added.
    job_id : int, optional
        The job that does it.

    Returns
    -------
    RegroupingRecord or None
        None when nothing had to change. Killed halfway, the next call does the rest.
    """
    distance = project.settings.leak_distance
    with project.store.read() as unit:
        found = _wanted(unit, [*unit.leaks.unchecked(), *links])
        plan = _plan(unit, found)
        members = unit.leaks.members([one.key for m in plan.mergers for one in m.others])
    if not plan.mergers and not plan.apart:
        with project.store.write() as unit:
            unit.leaks.check_all()
        return None
    changes = [
        Regroup(item, merger.into.key, merger.into.split)
        for merger in plan.mergers
        for other in merger.others
        for item in members[other.key]
    ]
    why = [*(link for merger in plan.mergers for link in merger.links), *plan.apart]
    with project.store.write() as unit:
        number = unit.regroupings.start(distance, len(plan.apart), job_id)
    for some in chunks(why, BATCH):
        with project.store.write() as unit:
            unit.leaks.link(some, checked=True)
    for part in chunks(changes, BATCH):
        with project.store.write() as unit:
            unit.regroupings.regroup(number, part)
    with project.store.write() as unit:
        unit.leaks.check_all()
        return unit.regroupings.run(number)


def _plan(unit: Unit, links: Sequence[LinkRecord]) -> Mergers:
    """Decide which groups become one."""
    groups = unit.leaks.groups({i for one in links for i in (one.item_id, one.other_id)})
    ordered = sorted(links, key=lambda one: (one.method == "embedding", one.distance))
    return merged(ordered, groups, most_together(unit.items.count().items))


def _wanted(unit: Unit, links: Sequence[LinkRecord]) -> list[LinkRecord]:
    """Leave out what a person said are no near-duplicates, by taking a regrouping back."""
    declined = list(unit.regroupings.declined().values())
    if not declined:
        return list(links)
    now = unit.leaks.groups({i for one in links for i in (one.item_id, one.other_id)})
    return [one for one in links if not any(_parted(one, put, now) for put in declined)]


def _parted(link: LinkRecord, put: dict[int, str], now: dict[int, GroupFacts]) -> bool:
    """Whether a regrouping that was taken back had put these two together."""
    one, other = link.item_id, link.other_id
    if one not in put and other not in put:
        return False
    return put.get(one, now[one].key) == put.get(other, now[other].key)


def told(run: RegroupingRecord | None) -> str:
    """Say in a sentence or two what a regrouping did; nothing when it changed no split."""
    if run is None or not (run.moved or run.unused or run.apart):
        return ""
    parts = []
    if run.moved:
        parts.append(
            f"{run.moved:,} near-duplicate{'s' if run.moved > 1 else ''} moved to the split of "
            f"{'their' if run.moved > 1 else 'its'} twin."
        )
    if run.unused:
        parts.append(
            f"{run.unused:,} near-duplicate{'s' if run.unused > 1 else ''} of audit images "
            f"{'are' if run.unused > 1 else 'is'} no longer trained on."
        )
    if run.apart:
        parts.append(
            f"{run.apart:,} pair{'s' if run.apart > 1 else ''} of near-duplicates stayed apart: "
            f"their groups would be too large. See the Evaluation page."
        )
    return " ".join(["Leak guard:", *parts])


@dataclass(frozen=True, slots=True)
class Twin:
    """A changed item beside the one that it looks like, if that is known."""

    change: RegroupedItemRecord
    item: ItemRecord
    link: LinkRecord | None
    other: ItemRecord | None


@dataclass(frozen=True, slots=True)
class Guarded:
    """What the guard has done: links by method, and regroupings, newest first."""

    links: dict[str, int]
    runs: tuple[RegroupingRecord, ...]
    unused: int
    checked: Checked | None


def overview(project: Project) -> Guarded:
    """Return what the guard has found and done so far."""
    with project.store.read() as unit:
        return Guarded(
            links=unit.leaks.count_links(),
            runs=tuple(unit.regroupings.runs()),
            unused=unit.items.page_count(split="unused"),
            checked=checked(unit),
        )


def twins(project: Project, number: int, offset: int = 0, limit: int = 24) -> list[Twin]:
    """Return one page of the items that a regrouping changed, each beside its twin.

    Parameters
    ----------
    project : Project
    number : int
        Of the regrouping.
    offset, limit : int
        How many to leave out first, and the longest page.
    """
    with project.store.read() as unit:
        changes = unit.regroupings.changes(number, offset, limit)
        ids = [one.item_id for one in changes]
        closest: dict[int, LinkRecord] = {}
        for link in unit.leaks.links_of(ids):
            closest.setdefault(link.item_id, link)
            closest.setdefault(link.other_id, link)
        pairs = {i: _other(i, closest[i]) for i in ids if i in closest}
        items = unit.items.many([*ids, *pairs.values()])
    return [
        Twin(
            one,
            items[one.item_id],
            closest.get(one.item_id),
            items.get(pairs.get(one.item_id, 0)),
        )
        for one in changes
    ]


def _other(item: int, link: LinkRecord) -> int:
    return link.other_id if link.item_id == item else link.item_id


def undo(project: Project, number: int) -> int:
    """Take a regrouping back; its images are not brought together again.

    Labelled images that left the audit set stay where they are: a model may have learned from them.

    Returns
    -------
    int
        How many images have their old group again.

    Raises
    ------
    LeakError
        When there is none of this number, or it was taken back already.
    """
    try:
        with project.store.write() as unit:
            return unit.regroupings.undo(number)
    except (NotFound, Conflict) as error:
        raise LeakError(str(error)) from error
