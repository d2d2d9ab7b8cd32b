"""Which groups become one when their images look alike. Pure arithmetic."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass

from store.records_leaks import GroupFacts, LinkRecord

LARGE = 50  # items that a joined group may hold in any project
SHARE = 0.02  # of all items that it may hold in a large one


def most_together(items: int) -> int:
    """Return how many of a project's items a joined group may hold."""
    return max(LARGE, int(SHARE * items))


@dataclass(frozen=True, slots=True)
class Merger:
    """Groups that become one: `into` takes up the others. `links` are why."""

    into: GroupFacts
    others: tuple[GroupFacts, ...]
    links: tuple[LinkRecord, ...]


@dataclass(frozen=True, slots=True)
class Mergers:
    """What links do to groups.

    `apart` links were left: their group would have become too large, or would have brought
    together what a person took apart.
    """

    mergers: tuple[Merger, ...]
    apart: tuple[LinkRecord, ...]


def merged(
    links: Sequence[LinkRecord],
    groups: Mapping[int, GroupFacts],
    most: int,
    partings: Iterable[Collection[str]] = (),
) -> Mergers:
    """Join the groups of items that look alike, closest first, as long as they stay small.

    A chain of links may join images that look nothing alike; with `most` no chain swallows a
    split. The group with the oldest item gives name and split: which that is depends on no label
    and no strategy, so the audit set stays a random sample of groups.

    Parameters
    ----------
    links : sequence of LinkRecord
        In the order in which they are to count.
    groups : mapping of int to GroupFacts
        By item.
    most : int
        Items that a joined group may hold.
    partings : iterable of collection of str
        Groups that a person took apart: no two of a parting come together, through others neither.

    Returns
    -------
    Mergers
        Links between two groups of one parting are nowhere in it.
    """
    parted = _parted(partings)
    union = _Union({one.key: one for one in groups.values()}, parted)
    apart: list[LinkRecord] = []
    for link in links:
        one, other = groups[link.item_id].key, groups[link.other_id].key
        if one != other and parted.get(one, _NONE) & parted.get(other, _NONE):
            continue
        if not union.join(one, other, link, most):
            apart.append(link)
    left: dict[tuple[str, str], LinkRecord] = {}
    for link in apart:  # one for two groups says it all
        ends = union.find(groups[link.item_id].key), union.find(groups[link.other_id].key)
        left.setdefault((min(ends), max(ends)), link)
    return Mergers(union.mergers(), tuple(left.values()))


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
        self, facts: Mapping[str, GroupFacts], parted: Mapping[str, frozenset[int]]
    ) -> None:
        self._facts = facts
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

    def join(self, one: str, other: str, link: LinkRecord, most: int) -> bool:
        """Make two groups one unless it may not be; say whether they are one now."""
        one, other = self.find(one), self.find(other)
        if one == other:
            return True
        if self._size[one] + self._size[other] > most:
            return False
        ours, theirs = self._parted.get(one, _NONE), self._parted.get(other, _NONE)
        if ours & theirs:
            return False
        into, gone = sorted((one, other), key=lambda key: self._facts[key].oldest)
        self._above[gone] = into
        self._size[into] += self._size[gone]
        if ours or theirs:
            self._parted[into] = ours | theirs
        kept = self._links.setdefault(into, [])
        kept += [*self._links.pop(gone, []), link]
        return True

    def mergers(self) -> tuple[Merger, ...]:
        """Return the groups that take up others, oldest first."""
        members: dict[str, list[GroupFacts]] = {}
        for key, one in self._facts.items():
            if (into := self.find(key)) != key:
                members.setdefault(into, []).append(one)

        def age(key: str) -> int:
            return self._facts[key].oldest

        return tuple(
            Merger(
                self._facts[key],
                tuple(sorted(members[key], key=lambda one: one.oldest)),
                tuple(self._links[key]),
            )
            for key in sorted(members, key=age)
        )
