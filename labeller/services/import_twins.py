"""New images that look like known ones join their group while they come in, before any label."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from labeller.config import Settings
from labeller.perceptual_hash import mirrored
from labeller.services.crowds import Crowds
from labeller.services.mergers import most_together, split_beside
from labeller.services.near_duplicates import close_hashes
from labeller.services.splits import burst_size, piece_size, sealed_size, split_in_crowd
from store.records import Split
from store.records_leaks import GroupFacts, Joined, LinkMethod, LinkRecord
from store.store import Unit

WORDS = 4
LINKS = 4  # closest ones, of different groups, that an image is linked with
UNKNOWN = -1


class Match(NamedTuple):
    """What a newcomer looks like: an item, or another newcomer, numbered from −1 downwards."""

    bits: int
    other: int
    method: LinkMethod

    @property
    def rank(self) -> tuple[int, bool, int, str]:
        """Order the closest first, then the oldest, in whatever batches they came in."""
        return self.bits, self.other < 0, abs(self.other), self.method


@dataclass(slots=True)
class Newcomer:
    """An image that was found: `looks` are the 32 bytes of its perceptual hash, if it has one.

    `matches` with items and `peers`, newcomers before it, are found by :meth:`Twins.compare`. Then
    either it is an `item` already, or it is :meth:`named` and gets its group, split and `links` by
    :meth:`Twins.place`; `anchor` is what it joined a group for, and `crowded` says that it looks
    like more images than may share a split.
    """

    looks: bytes | None
    matches: list[Match] = field(default_factory=list)
    peers: _Alike | None = None
    item: int = 0
    group: str = ""
    split: Split = "train"
    free: bool = False
    own: tuple[str, Split] = ("", "train")
    anchor: int = 0
    links: list[Match] = field(default_factory=list)
    crowded: bool = False

    def named(self, group: str, split: Split, free: bool) -> None:
        """Say what group and split it has by itself, and whether its looks may decide instead."""
        self.group, self.split, self.free = group, split, free
        self.own = group, split


class Twins:
    """The perceptual hashes of all items, read once and kept up to date.

    Parameters
    ----------
    settings : Settings
        Say whether newcomers join the groups of their twins; links are noted in any case.
    """

    def __init__(self, settings: Settings) -> None:
        self._settings = settings
        self._ids: NDArray[np.int64] = np.empty(0, np.int64)
        self._words: NDArray[np.uint64] = np.empty((0, WORDS), np.uint64)
        # Only thin out crowds: a round beside this import may give other groups at any time.
        self._groups: NDArray[np.int64] = np.empty(0, np.int64)
        self._crowds = Crowds()
        self._total = 0  # of items, once all that are to come are in
        self._numbered = 0  # newcomers of batches before
        self._run: int | None = None
        self._beside: dict[str, str] = {}  # the last group that was begun beside a full one
        self._anchors: dict[str, int] = {}  # by group, what newcomers joined it for
        self.aside = self.crowded = 0

    def expect(self, items: int) -> None:
        """Say how many items there will be, so that a burst is told from a crowd all along.

        What images share a split would else depend on how many come in at once.
        """
        self._total = items

    def compare(self, unit: Unit, newcomers: Sequence[Newcomer]) -> None:
        """Find what newcomers look like, among the items so far and among themselves.

        This takes seconds where there are a million: call it before the transaction that adds them.
        """
        self._refresh(unit)
        self._match_items(unit, newcomers)
        self._match_peers(newcomers)

    def place(self, unit: Unit, newcomers: Sequence[Newcomer]) -> None:
        """Give newcomers the group of what they look like, and note what they look like.

        Parameters
        ----------
        unit : Unit
            Of the transaction in which they are added: what other imports have added since
            :meth:`compare` is compared now.
        newcomers : sequence of Newcomer
            Those that :meth:`compare` was given, each an item or named. Changed in place.
        """
        before = len(self._ids)
        self._refresh(unit)
        self._match_items(unit, newcomers, before)
        groups = unit.leaks.groups(
            {one.other for new in newcomers for one in new.matches if one.other > 0}
        )
        known = {one.key: one for one in groups.values()}
        fresh = [one for one in newcomers if not one.item]
        others = {*(one.group for one in newcomers), *self._beside.values()} - known.keys()
        known |= unit.leaks.facts(sorted(others))
        items = max(self._total, sum(unit.items.splits().values()) + len(fresh))
        for row, newcomer in enumerate(newcomers):
            if newcomer.item:
                continue
            newcomer.matches = sorted(
                [*newcomer.matches, *_peers(newcomer, newcomers)], key=lambda one: one.rank
            )
            keys = {
                one.other: groups[one.other].key
                if one.other > 0
                else newcomers[-1 - one.other].group
                for one in newcomer.matches
            }
            numbers = {other: self._number(other, newcomers) for other in keys}
            for other, number in numbers.items():
                self._crowds.add(number, known[keys[other]].split)
            self._place(newcomer, keys, numbers, known, items)
            if newcomer.links:
                alike = [numbers[one.other] for one in newcomer.links]
                self._crowds.add(self._number(-1 - row, newcomers), newcomer.split, alike)

    def _number(self, other: int, newcomers: Sequence[Newcomer]) -> int:
        """Return the number of an image among the crowds: of its item, once it is one."""
        if other > 0:
            return other
        return newcomers[-1 - other].item or other - self._numbered

    def _match_items(self, unit: Unit, newcomers: Sequence[Newcomer], start: int = 0) -> None:
        """Compare newcomers with the items from the row `start` on."""

        def groups(rows: NDArray[np.int64]) -> NDArray[np.int64]:
            rows = rows + start
            asked = np.unique(rows[self._groups[rows] == UNKNOWN])
            if len(asked):
                self._groups[asked] = unit.leaks.group_numbers(self._ids[asked].tolist())
            return self._groups[rows]

        with_looks = [one for one in newcomers if one.looks is not None]
        looks = [one.looks for one in newcomers if one.looks is not None]
        found = look_alikes(looks, self._ids[start:], self._words[start:], LINKS, groups)
        for newcomer, matches in zip(with_looks, found, strict=True):
            newcomer.matches += matches

    def _match_peers(self, newcomers: Sequence[Newcomer]) -> None:
        """Compare newcomers with those before them, whose groups are not known yet."""
        rows = np.array([row for row, one in enumerate(newcomers) if one.looks is not None], int)
        looks = [one.looks for one in newcomers if one.looks is not None]
        for row, found in zip(rows.tolist(), _alike(looks, as_words(looks)), strict=True):
            earlier = found.of(rows[found.rows] < row)
            newcomers[row].peers = replace(earlier, rows=rows[earlier.rows])

    def _place(
        self,
        newcomer: Newcomer,
        keys: dict[int, str],
        numbers: dict[int, int],
        known: dict[str, GroupFacts],
        items: int,
    ) -> None:
        """Join a group of look-alikes, or one beside it, and link with an item of the closest."""
        closest: dict[str, Match] = {}
        for one in newcomer.matches:
            closest.setdefault(keys[one.other], one)
        newcomer.links = list(closest.values())[:LINKS]
        if self._settings.leak_distance and newcomer.free and closest:
            held = self._crowds.around(numbers[one.other] for one in newcomer.links)
            if held.total() < burst_size(items):
                self._join_burst(newcomer, closest, known, items)
            else:
                self._join_crowd(newcomer, closest, known, held, items)
        before = known.get(newcomer.group, GroupFacts(newcomer.group, 0, 0, newcomer.split))
        known[newcomer.group] = GroupFacts(before.key, before.oldest, before.size + 1, before.split)

    def _join_burst(
        self,
        newcomer: Newcomer,
        closest: dict[str, Match],
        known: dict[str, GroupFacts],
        items: int,
    ) -> None:
        """Share the split of the closest group, and the group while that has room."""
        first = next(iter(closest))
        key, split = first, known[first].split
        most = most_together(items)
        if split == "audit":
            most = min(most, sealed_size(items, self._settings.audit_share))
        if known[first].size >= most:
            split = split_beside(split)
            most = most_together(items)
            for key in (*closest, self._beside.get(first, "")):
                if key in known and known[key].size < most and known[key].split == split:
                    break
            else:
                # Not its own name: that stays free for the day when this is taken back.
                key = self._beside[first] = f"{newcomer.group}+"
        self._join(newcomer, key, split, first, closest[first], known)

    def _join_crowd(
        self,
        newcomer: Newcomer,
        closest: dict[str, Match],
        known: dict[str, GroupFacts],
        held: Mapping[Split, int],
        items: int,
    ) -> None:
        """Join the closest piece of the crowd that has room, or begin one where the crowd lacks."""
        newcomer.crowded = True
        for key, match in closest.items():
            facts = known[key]
            if facts.size < piece_size(items) and facts.split != "unused":
                self._join(newcomer, key, facts.split, key, match, known)
                return
        shares = self._settings.audit_share, self._settings.valid_share
        split = split_in_crowd(newcomer.group, held, *shares)
        if split != newcomer.split:
            first, match = next(iter(closest.items()))
            self._join(newcomer, newcomer.group, split, first, match, known)

    def _join(
        self,
        newcomer: Newcomer,
        key: str,
        split: Split,
        first: str,
        match: Match,
        known: dict[str, GroupFacts],
    ) -> None:
        """Give a newcomer group and split, for it looks like the group `first`."""
        newcomer.group, newcomer.split, newcomer.free = key, split, False
        newcomer.anchor = self._anchors.setdefault(
            key, self._anchors.get(first, known[first].oldest or match.other)
        )

    def added(self, unit: Unit, newcomers: Sequence[Newcomer], placed: Sequence[Newcomer]) -> None:
        """Keep hashes, links and new groups of those that were `placed` and are items now."""
        pairs = [(one.item, one) for one in placed]
        unit.leaks.add_hashes([(item, one.looks) for item, one in pairs])

        def item_of(number: int) -> int:
            return number if number > 0 else newcomers[-1 - number].item

        self._anchors = {key: item_of(number) for key, number in self._anchors.items()}
        for crowded in (False, True):  # of a crowd it is settled that it lies in several splits
            links = [
                LinkRecord(*_ordered(item, item_of(one.other)), one.method, one.bits)
                for item, newcomer in pairs
                if newcomer.crowded is crowded
                for one in newcomer.links
            ]
            unit.leaks.link(links, checked=crowded)
        numbers = {-1 - row - self._numbered: one.item for row, one in enumerate(newcomers)}
        self._crowds.rename(numbers)
        self._numbered += len(newcomers)
        self.crowded += sum(one.crowded for one in placed)
        self.aside += sum(one.anchor != 0 and one.split == "unused" for one in placed)
        joined = [
            Joined(item, item_of(one.anchor), one.own[0], one.group, one.own[1], one.split)
            for item, one in pairs
            if one.anchor
        ]
        if joined:
            if self._run is None:
                self._run = unit.regroupings.start(self._settings.leak_distance)
            unit.regroupings.joined(self._run, joined)

    def _refresh(self, unit: Unit) -> None:
        """Read the hashes of what came in since the last time, by this import or another."""
        before = int(self._ids[-1]) if len(self._ids) else 0
        ids, words = unit.leaks.hashes(before)
        if len(ids):
            self._ids = np.concatenate([self._ids, ids])
            self._words = np.concatenate([self._words, words])
            self._groups = np.concatenate([self._groups, np.full(len(ids), UNKNOWN)])
            for item, split, others in unit.leaks.alike(before):
                self._crowds.add(item, split, others)


def _peers(newcomer: Newcomer, newcomers: Sequence[Newcomer]) -> list[Match]:
    """Return the closest few of the newcomers before one, which have their groups."""
    if newcomer.peers is None:
        return []
    rows = newcomer.peers.rows.tolist()
    groups = np.array([hash(newcomers[row].group) for row in rows], np.int64)
    return newcomer.peers.apart(groups, LINKS).matches(-1 - np.arange(len(newcomers)))


def look_alikes(
    looks: Sequence[bytes],
    ids: NDArray[np.int64],
    words: NDArray[np.uint64],
    most: int,
    groups: Callable[[NDArray[np.int64]], NDArray[np.int64]] | None = None,
) -> list[list[Match]]:
    """Return what each hash looks like, mirrored or not, closest first.

    Parameters
    ----------
    looks : sequence of bytes
    ids : array of int, shape (n,)
    words : array of uint64, shape (n, 4)
        Hashes of these ids.
    most : int
        How many to return of each, in a crowd of look-alikes.
    groups : callable, optional
        Returns a number (m,) for each of the rows (m,) of `ids`: of rows of one number only the
        closest counts. Asked where there are more than `most`.
    """
    found: list[list[Match]] = []
    for one in _alike(looks, words):
        if len(one.rows) > most:
            one = one.first(most) if groups is None else one.apart(groups(one.rows), most)
        found.append(one.matches(ids))
    return found


@dataclass(frozen=True, slots=True, eq=False)
class _Alike:
    """What one hash looks like, closest first: rows, their bits, and whether it is mirrored."""

    rows: NDArray[np.int64]
    bits: NDArray[np.uint8]
    turned: NDArray[np.bool_]

    def of(self, places: NDArray[Any]) -> _Alike:
        return _Alike(self.rows[places], self.bits[places], self.turned[places])

    def first(self, most: int) -> _Alike:
        return self.of(np.arange(min(most, len(self.rows))))

    def apart(self, groups: NDArray[np.int64], most: int) -> _Alike:
        """Return the closest few of different groups, given by a number for each row."""
        kept: list[int] = []
        places = np.arange(len(groups))
        while len(places) and len(kept) < most:
            kept.append(int(places[0]))
            places = places[groups[places] != groups[places[0]]]
        return self.of(np.array(kept, np.int64))

    def matches(self, ids: NDArray[np.int64]) -> list[Match]:
        """Return these rows as items, by their `ids`."""
        facts = zip(self.bits.tolist(), ids[self.rows].tolist(), self.turned.tolist(), strict=True)
        return [Match(bits, other, "mirror" if turned else "hash") for bits, other, turned in facts]


def _alike(looks: Sequence[bytes], words: NDArray[np.uint64]) -> Iterator[_Alike]:
    """Yield what each hash looks like among others."""
    direct = close_hashes(words, as_words(looks))
    turned = close_hashes(words, as_words(map(mirrored, looks)))
    for (rows, bits), (others, more) in zip(direct, turned, strict=True):
        both = np.concatenate([bits, more])
        mirror = np.arange(len(both)) >= len(bits)
        yield _Alike(np.concatenate([rows, others]), both, mirror).of(
            np.argsort(both, kind="stable")
        )


def as_words(looks: Iterable[bytes]) -> NDArray[np.uint64]:
    """Return hashes as words (n, 4)."""
    return np.frombuffer(b"".join(looks), np.uint64).reshape(-1, WORDS)


def _ordered(one: int, other: int) -> tuple[int, int]:
    return max(one, other), min(one, other)
