"""The leak guard: near-duplicates share a group, and with it a split.

Otherwise a model would be measured on pictures that it has all but seen. Images that look the same
find each other while they are imported (:mod:`labeller.services.import_twins`); what embeddings
find, a round looks for before it trains.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import numpy as np

from labeller.config import Settings
from labeller.errors import JobLost, LeakError
from labeller.project import Project
from labeller.services.mergers import CrowdLimits, Merger, Mergers, merged, most_together
from labeller.services.splits import burst_size, piece_size, room_for_looks
from store.errors import NotFound
from store.records import ItemRecord
from store.records_leaks import (
    GroupFacts,
    LinkMethod,
    LinkRecord,
    RegroupedItemRecord,
    RegroupingRecord,
)
from store.store import Unit

KEY = "leak_guard"
AGAIN = "leak_guard_again"  # which regroupings do which others again
BATCH = 200  # items in one transaction, a tenth of a second, unless a single group is larger
MOST_LEFT = 10_000  # items without features that are kept to be compared later


@dataclass(frozen=True, slots=True)
class Checked:
    """Items up to `item`, less those `left` out, have been compared at `distance`."""

    item: int
    distance: float
    left: tuple[int, ...] = ()


def checked(unit: Unit) -> Checked | None:
    """Return how far the guard has come; None when it never ran."""
    kept = unit.settings.get(KEY)
    if kept is None:
        return None
    return Checked(int(kept["item"]), float(kept["distance"]), tuple(kept.get("left", ())))


def note_checked(unit: Unit, upto: Checked) -> None:
    """Keep how far the guard has come; with very many items left out all are compared again."""
    if len(upto.left) <= MOST_LEFT:
        value = {"item": upto.item, "distance": upto.distance, "left": list(upto.left)}
        unit.settings.set(KEY, value)


def regroup(
    project: Project, links: Sequence[LinkRecord], job_id: int | None = None
) -> RegroupingRecord | None:
    """Join the groups of near-duplicates, and bring each into one split.

    The group with the oldest item decides, whatever is labelled. Labelled items of the audit set
    that leave it become training labels. Items that would join the audit set become ``unused``:
    they neither train nor measure. Pairs stay apart whose group would be too large, or would bring
    together what a person took apart; they are looked at again the next time. Where such pairs look
    the same, the younger group takes the split of the older, or is ``unused`` beside the audit set,
    while that has room. Of a crowd, more than may share a split, only those that look most alike
    come together.

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

    Raises
    ------
    JobLost
        When the job was taken from this process.
    """
    with project.store.read() as unit:
        waiting = unit.leaks.unchecked()
        plan = _plan(unit, project.settings, [*waiting, *links])
    known = {(one.item_id, one.other_id) for one in waiting}
    new_left = [one for one in plan.left if (one.item_id, one.other_id) not in known]
    if not plan.mergers and not new_left:
        return None
    with _ours(project, job_id) as unit:
        unit.leaks.link(new_left, checked=False)
        unit.leaks.settle(plan.crowded)
        number = unit.regroupings.start(project.settings.leak_distance, plan.apart, job_id)
    for some in _batches(plan.mergers):
        with _ours(project, job_id) as unit:
            links = [link for merger in some for link in merger.links]
            unit.leaks.link(links, checked=True)
            unit.leaks.settle(links)
            unit.regroupings.join(number, [_move(merger, number) for merger in some])
    with project.store.read() as unit:
        return unit.regroupings.run(number)


@contextmanager
def _ours(project: Project, job_id: int | None) -> Iterator[Unit]:
    """Begin a write that only the job which still has its row may make."""
    with project.store.write() as unit:
        if job_id is not None and not unit.jobs.beat(job_id):
            raise JobLost(f"Job {job_id} was taken from this process; it stops.")
        yield unit


def _batches(mergers: Sequence[Merger]) -> Iterator[list[Merger]]:
    """Yield some mergers at a time, each whole: a group is never half in two splits."""
    held: list[Merger] = []
    items = 0
    for merger in mergers:
        held.append(merger)
        items += sum(one.size for one in merger.others)
        items += merger.into.size if merger.follows else 0
        if items >= BATCH:
            yield held
            held, items = [], 0
    if held:
        yield held


def _move(merger: Merger, number: int) -> tuple[GroupFacts, list[str]]:
    """Return where groups go, and which."""
    keys = [one.key for one in merger.others]
    if merger.follows is None:
        return merger.into, keys
    into = merger.into.key
    return replace(merger.follows, key=f"{into}+{number}"), [into, *keys]


def _plan(unit: Unit, settings: Settings, links: Sequence[LinkRecord]) -> Mergers:
    """Decide which groups become one."""
    groups = unit.leaks.groups({i for one in links for i in (one.item_id, one.other_id)})
    ordered = sorted(links, key=lambda one: (one.method == "embedding", one.distance))
    held = unit.items.splits()
    room = room_for_looks(held, settings.audit_share, settings.valid_share)
    items = sum(held.values())
    partings = unit.regroupings.partings()
    crowds = _crowds(unit, ordered, items)
    return merged(ordered, groups, most_together(items), room, partings, crowds)


def _crowds(unit: Unit, links: Sequence[LinkRecord], items: int) -> CrowdLimits:
    """Find the groups of what hangs together, by new links and known ones, and is no burst."""
    from labeller.services.near_duplicates import hanging_together  # scipy: not for a page

    fresh = np.array([(one.item_id, one.other_id) for one in links], np.int64).reshape(-1, 2)
    ids, crowd = hanging_together(np.concatenate([unit.leaks.pairs(), fresh]))
    burst = burst_size(items)
    large = ids[np.bincount(crowd)[crowd] > burst].tolist()
    number = dict(zip(ids.tolist(), crowd.tolist(), strict=True))
    groups = unit.leaks.groups(large)
    of = {groups[item].key: number[item] for item in large}
    return CrowdLimits(of, piece_size(items), burst)


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
            f"{'are' if run.unused > 1 else 'is'} in no split any more."
        )
    if run.apart:
        parts.append(
            f"{run.apart:,} pair{'s' if run.apart > 1 else ''} of near-duplicates stayed apart: "
            f"together their groups would be too large, or hold what was taken apart. See the "
            f"Evaluation page."
        )
    return " ".join(["Leak guard:", *parts])


def tell_looks(project: Project, aside: int, crowded: int) -> Iterator[str]:
    """Say what an import did with images that look alike, and what to do about it.

    Parameters
    ----------
    project : Project
    aside : int
        Images put aside, for they look like some of the audit set.
    crowded : int
        Images of a crowd that were spread over the splits.
    """
    with project.store.read() as unit:
        items = unit.items.count().items
    if aside:
        yield (
            f"{aside:,} images look like ones of the audit set and are put aside (split unused): "
            "nobody is asked about them, and labels of them neither train nor measure a model, for "
            "that would flatter it. `labeller leaks` lists them and takes it back; a column "
            "`group` in a table, or leak_distance = 0, decides otherwise."
        )
    if crowded:
        yield (
            f"{crowded:,} images look like more than {burst_size(items):,} others, as those of a "
            "fixed camera, a video or a scanner do: they are spread over all splits, in pieces of "
            f"up to {piece_size(items)} that look most alike. So images that measure a model look "
            "like images that it learned from; where that is not wanted, name what belongs "
            "together (a day, a document, a video) in the column `group` of a table."
        )


def tell_put_aside(project: Project) -> str:
    """Say how many labels are of images put aside, and what that means; nothing without any."""
    with project.store.read() as unit:
        labels = unit.items.page_count(state="labelled", split="unused")
    if not labels:
        return ""
    return (
        f"{labels:,} label{'s are' if labels > 1 else ' is'} of images put aside (split unused), "
        "which look like images of the audit set: they neither train nor measure a model. "
        "`labeller leaks` shows why."
    )


@dataclass(frozen=True, slots=True)
class Twin:
    """A changed item beside the one that it looks like, if that is known."""

    change: RegroupedItemRecord
    item: ItemRecord
    link: LinkRecord | None
    other: ItemRecord | None


@dataclass(frozen=True, slots=True)
class Guarded:
    """What the guard has done.

    `links` counts by method those whose images share a split or of which one is ``unused``, `apart`
    those in two splits: together their group would be too large, or a person took it back. `runs`
    are the regroupings, newest first. `unused` images are put aside; `unused_labels` of them were
    labelled all the same.
    """

    links: Mapping[LinkMethod, int]
    apart: int
    runs: tuple[RegroupingRecord, ...]
    unused: int
    checked: Checked | None
    unused_labels: int = 0


def overview(project: Project) -> Guarded:
    """Return what the guard has found and done so far."""
    with project.store.read() as unit:
        links, apart = unit.leaks.count_links()
        return Guarded(
            links=links,
            apart=apart,
            runs=tuple(unit.regroupings.runs()),
            unused=unit.items.page_count(split="unused"),
            checked=checked(unit),
            unused_labels=unit.items.page_count(state="labelled", split="unused"),
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
        others = {
            one.item_id: _other(one.item_id, closest[one.item_id])
            if one.item_id in closest
            else one.anchor_id
            for one in changes
        }
        items = unit.items.many([*ids, *others.values()])
    return [
        Twin(one, items[one.item_id], closest.get(one.item_id), items.get(others[one.item_id]))
        for one in changes
    ]


def _other(item: int, link: LinkRecord) -> int:
    return link.other_id if link.item_id == item else link.item_id


def undo(project: Project, number: int, anchor: int | None = None) -> int:
    """Take a regrouping back; its images are not brought together again.

    What left the audit set and was seen since stays where it is: a model may have learned from it,
    or a suggestion was shown. So does what a later regrouping has put elsewhere, until that is
    taken back. Killed halfway, the next call does the rest.

    Parameters
    ----------
    project : Project
    number : int
    anchor : int, optional
        Oldest item of the one group to be taken apart; all are when not given.

    Returns
    -------
    int
        How many images have their old group again.

    Raises
    ------
    LeakError
        When there is none of this number, it was taken back already, or a later regrouping has put
        all of it elsewhere.
    """
    try:
        with project.store.read() as unit:
            standing = unit.regroupings.standing(number, anchor)
    except NotFound as error:
        raise LeakError(str(error)) from error
    done = 0
    for anchors in _whole(standing):
        with project.store.write() as unit:
            done += unit.regroupings.undo(number, anchors)
    if not done:
        with project.store.read() as unit:
            holder = unit.regroupings.holder(number, anchor)
        if holder is None:
            raise LeakError(f"Regrouping {number} was taken back already.")
        raise LeakError(
            f"Regrouping {number} cannot be taken back: regrouping {holder} has put its images "
            f"elsewhere since. Take regrouping {holder} back first."
        )
    return done


def redo(project: Project, number: int, anchor: int | None = None) -> RegroupingRecord:
    """Do again what was taken back of a regrouping, as a new one.

    The groups come into the split that the oldest of them has by now; images that would join the
    audit set become ``unused``, as with every regrouping. Killed halfway, the next call does the
    rest.

    Parameters
    ----------
    project : Project
    number : int
    anchor : int, optional
        Oldest item of the one group to be put together again; all are when not given.

    Returns
    -------
    RegroupingRecord
        The new one, which can be taken back like any other.

    Raises
    ------
    LeakError
        When nothing of it was taken back, or its images have been put elsewhere since.
    """
    with project.store.write() as unit:
        moves = _moves_again(unit, number, anchor)
        if not moves:
            raise LeakError(
                f"Nothing of regrouping {number} can be done again: it was not taken back, or its "
                f"images have been put elsewhere since."
            )
        new = unit.regroupings.start(project.settings.leak_distance)
        unit.settings.set(AGAIN, {**unit.settings.get(AGAIN, {}), str(new): number})
    for first in range(0, len(moves), BATCH):
        with project.store.write() as unit:
            unit.regroupings.join(new, moves[first : first + BATCH])
    with project.store.read() as unit:
        return unit.regroupings.run(new)


def _moves_again(unit: Unit, number: int, anchor: int | None) -> list[tuple[GroupFacts, list[str]]]:
    """Return the groups that were taken out of a regrouping, with those they go into again."""
    taken = unit.regroupings.taken_back(number, anchor)
    groups = unit.leaks.groups(taken)
    moves = [
        (groups[oldest], [key for key in keys if key != groups[oldest].key])
        for oldest, keys in taken.items()
    ]
    return [(into, keys) for into, keys in moves if keys]


def done_again(project: Project) -> dict[int, int]:
    """Return which regroupings do which others again."""
    with project.store.read() as unit:
        return {int(new): old for new, old in unit.settings.get(AGAIN, {}).items()}


def _whole(standing: Mapping[int, int]) -> Iterator[list[int]]:
    """Yield the oldest items of some groups at a time, by how many each is to give back."""
    held: list[int] = []
    items = 0
    for anchor, number in standing.items():
        held.append(anchor)
        items += number
        if items >= BATCH:
            yield held
            held, items = [], 0
    if held:
        yield held
