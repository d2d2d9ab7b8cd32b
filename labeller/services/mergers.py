"""Which groups become one when their images look alike. Pure arithmetic."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from store.records import Split
from store.records_leaks import GroupFacts, LinkRecord

LARGE = 50  # items that a joined group may hold in any project
SHARE = 0.02  # of all items that it may hold in a large one


def most_together(items: int) -> int:
    """Return how many of a project's items a joined group may hold."""
    return max(LARGE, int(SHARE * items))


@dataclass(frozen=True, slots=True)
class Merger:
    """Groups that become one: `into` takes up the others. `links` are why.

    Where it looks the same as a group that has no room for it, it takes the split of that, which
    it `follows`, and needs a new name: what was in it is in another split from then on.
    """

    into: GroupFacts
    others: tuple[GroupFacts, ...]
    links: tuple[LinkRecord, ...]
    follows: GroupFacts | None = None


@dataclass(frozen=True, slots=True)
class Mergers:
    """What links do to groups.

    `left` are links between two groups still: together they would have become too large, or would
    have brought together what a person took apart. `apart` of these lie in two splits. `crowded`
    are those within a crowd, which need not be looked at again.
    """

    mergers: tuple[Merger, ...]
    left: tuple[LinkRecord, ...]
    apart: int
    crowded: tuple[LinkRecord, ...] = ()


@dataclass(frozen=True, slots=True)
class CrowdLimits:
    """How far the groups of a crowd may become one.

    A crowd looks alike and is too large for one split. `of` numbers the crowd of each group that is
    part of one. A group of it may hold `piece` items, and `moves` items of it may get another
    split: those that look most alike, but not so many that a split has none of the crowd left.
    """

    of: Mapping[str, int]
    piece: int
    moves: int


NO_CROWDS = CrowdLimits({}, 0, 0)


def merged(
    links: Sequence[LinkRecord],
    groups: Mapping[int, GroupFacts],
    most: int,
    room: Mapping[Split, int],
    partings: Iterable[Collection[str]] = (),
    crowds: CrowdLimits = NO_CROWDS,
) -> Mergers:
    """Join the groups of items that look alike, closest first, as long as they stay small.

    A chain of links may join images that look nothing alike; with `most` no chain of embeddings
    swallows a split. Groups that look the same and have no room for each other, as those of a long
    burst, follow one in its split while that has room. The group with the oldest item gives name
    and split: which that is depends on no label and no strategy, so the audit set stays a random
    sample of groups.

    Parameters
    ----------
    links : sequence of LinkRecord
        In the order in which they are to count.
    groups : mapping of int to GroupFacts
        By item.
    most : int
        Items that a joined group may hold.
    room : mapping of Split to int
        Items that each split may take up of groups that follow.
    partings : iterable of collection of str
        Groups that a person took apart: no two of a parting come together, through others neither.
    crowds : CrowdLimits
        Which groups are parts of a crowd, of which only the closest become one.

    Returns
    -------
    Mergers
        Links between two groups of one parting are nowhere in it.
    """
    parted = _parted(partings)
    facts = {one.key: one for one in groups.values()}
    union = _Union(facts, parted, most, crowds)
    left: list[LinkRecord] = []
    for link in links:
        one, other = groups[link.item_id].key, groups[link.other_id].key
        if one != other and parted.get(one, _NONE) & parted.get(other, _NONE):
            continue
        if not union.join(one, other, link):
            left.append(link)
    pairs: dict[tuple[str, str], LinkRecord] = {}
    for link in left:  # one for two groups says it all
        ends = union.find(groups[link.item_id].key), union.find(groups[link.other_id].key)
        pairs.setdefault((min(ends), max(ends)), link)
    crowded = {ends: link for ends, link in pairs.items() if union.is_crowd(*ends)}
    follows = union.follows({k: v for k, v in pairs.items() if k not in crowded}, room)
    splits = {key: one.split for key, one in facts.items()}
    splits |= {key: split_beside(one.split) for key, one in follows.items()}
    apart = sum(_straddle(splits[one], splits[other]) for one, other in pairs)
    return Mergers(union.mergers(follows), tuple(pairs.values()), apart, tuple(crowded.values()))


def split_beside(split: Split) -> Split:
    """Return the split of what looks the same as a group and has no room in it.

    Beside the audit set that is none: else a burst could fill it.
    """
    return "unused" if split == "audit" else split


def _straddle(one: Split, other: Split) -> bool:
    return one != other and "unused" not in (one, other)


_NONE: frozenset[int] = frozenset()


def _parted(partings: Iterable[Collection[str]]) -> dict[str, frozenset[int]]:
    """Return the numbers of the partings that each group is part of."""
    found: dict[str, frozenset[int]] = {}
    for number, keys in enumerate(partings):
        for key in keys:
            found[key] = found.get(key, _NONE) | {number}
    return found


class _Union:
    """Groups that become one, under the name of the one with the oldest item."""

    def __init__(
        self,
        facts: Mapping[str, GroupFacts],
        parted: Mapping[str, frozenset[int]],
        most: float,
        crowds: CrowdLimits = NO_CROWDS,
    ) -> None:
        self._facts, self._most, self._crowds = facts, most, crowds
        self._moved: Counter[int] = Counter()  # items of each crowd that get another split
        self._parted = dict(parted)
        self._above: dict[str, str] = {}
        self._size = {key: one.size for key, one in facts.items()}
        self._links: dict[str, list[LinkRecord]] = {}

    def find(self, key: str) -> str:
        """Return the group that a group is part of."""
        while (above := self._above.get(key, key)) != key:
            self._above[key] = self._above.get(above, above)
            key = above
        return key

    def join(self, one: str, other: str, link: LinkRecord) -> bool:
        """Make two groups one unless it may not be; say whether they are one now."""
        one, other = self.find(one), self.find(other)
        if one == other:
            return True
        crowded = self.is_crowd(one, other)
        if self._size[one] + self._size[other] > (self._crowds.piece if crowded else self._most):
            return False
        ours, theirs = self._parted.get(one, _NONE), self._parted.get(other, _NONE)
        if ours & theirs:
            return False
        into, gone = sorted((one, other), key=lambda key: self._facts[key].oldest)
        if crowded and not self._may_move(into, gone):
            return False
        self._above[gone] = into
        self._size[into] += self._size[gone]
        if ours or theirs:
            self._parted[into] = ours | theirs
        kept = self._links.setdefault(into, [])
        kept += [*self._links.pop(gone, []), link]
        return True

    def is_crowd(self, one: str, other: str) -> bool:
        """Say whether two groups are parts of one crowd."""
        crowd = self._crowds.of.get(one)
        return crowd is not None and crowd == self._crowds.of.get(other)

    def _may_move(self, into: str, gone: str) -> bool:
        """Say whether a crowd can spare what would get another split, and count it then."""
        if self._facts[into].split == self._facts[gone].split:
            return True
        crowd = self._crowds.of[into]
        if self._moved[crowd] + self._size[gone] > self._crowds.moves:
            return False
        self._moved[crowd] += self._size[gone]
        return True

    def follows(
        self, left: Mapping[tuple[str, str], LinkRecord], room: Mapping[Split, int]
    ) -> dict[str, GroupFacts]:
        """Return the groups that take the split of another: they look the same, without room."""
        bursts = _Union(self._facts, self._parted, math.inf)
        for (one, other), link in left.items():
            if link.method != "embedding":
                bursts.join(one, other, link)
        members: dict[str, list[GroupFacts]] = {}
        for key in dict.fromkeys(key for ends in left for key in ends):
            members.setdefault(bursts.find(key), []).append(self._facts[key])
        found: dict[str, GroupFacts] = {}
        free = dict(room)
        for burst in members.values():
            first = min(burst, key=lambda one: (one.split == "unused", one.oldest))
            split = split_beside(first.split)
            for group in sorted(burst, key=lambda one: one.oldest):
                size = self._size[group.key]
                if group.split not in (first.split, "unused") and size <= free[split]:
                    found[group.key] = first
                    free[split] -= size
        return found

    def mergers(self, follows: Mapping[str, GroupFacts]) -> tuple[Merger, ...]:
        """Return the groups that take up others or follow one, oldest first."""
        members: dict[str, list[GroupFacts]] = {key: [] for key in follows}
        for key, one in self._facts.items():
            if (into := self.find(key)) != key:
                members.setdefault(into, []).append(one)

        def age(key: str) -> int:
            return self._facts[key].oldest

        return tuple(
            Merger(
                self._facts[key],
                tuple(sorted(members[key], key=lambda one: one.oldest)),
                tuple(self._links.get(key, ())),
                follows.get(key),
            )
            for key in sorted(members, key=age)
        )
