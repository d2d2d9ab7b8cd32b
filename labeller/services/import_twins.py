"""New images that look like known ones join their group while they come in, before any label."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from labeller.perceptual_hash import mirrored
from labeller.services.near_duplicates import close_hashes, most_together
from store.records import Split
from store.records_leaks import GroupFacts, LinkMethod, LinkRecord
from store.store import Unit

WORDS = 4


class Match(NamedTuple):
    """What a newcomer looks like: an item, or another newcomer, numbered from −1 downwards."""

    bits: int
    other: int
    method: LinkMethod


@dataclass(slots=True)
class Newcomer:
    """A new image with its group and split so far.

    `free` says that nobody named its group or split, so that its looks may decide. `looks` are
    the 32 bytes of its perceptual hash, if it has one. `links` are filled in by :class:`Twins`.
    """

    group: str
    split: Split
    free: bool
    looks: bytes | None
    links: list[Match] = field(default_factory=list)


class Twins:
    """The perceptual hashes of all items, read once and kept up to date.

    Parameters
    ----------
    join : bool
        Whether newcomers join the groups of their twins; links are noted in any case.
    """

    def __init__(self, join: bool) -> None:
        self._join = join
        self._ids: NDArray[np.int64] = np.empty(0, np.int64)
        self._words: NDArray[np.uint64] = np.empty((0, WORDS), np.uint64)

    def place(self, unit: Unit, newcomers: Sequence[Newcomer]) -> None:
        """Give newcomers the group of what they look like, and note what they look like.

        Parameters
        ----------
        unit : Unit
            Of the transaction in which they are added, so that no other import comes in between.
        newcomers : sequence of Newcomer
            Changed in place, in order.
        """
        rows = [row for row, one in enumerate(newcomers) if one.looks is not None]
        if not rows:
            return
        self._refresh(unit)
        looks = [newcomers[row].looks or b"" for row in rows]
        plain = _words(looks)
        found: list[list[Match]] = [[] for _ in newcomers]
        sides: dict[LinkMethod, NDArray[np.uint64]] = {
            "hash": plain,
            "mirror": _words(map(mirrored, looks)),
        }
        for method, queries in sides.items():
            for query, row, bits in close_hashes(self._words, queries):
                found[rows[query]].append(Match(bits, int(self._ids[row]), method))
            for query, row, bits in close_hashes(plain, queries):
                if row < query:
                    found[rows[query]].append(Match(bits, -1 - rows[row], method))
        matched = {one.other for pairs in found for one in pairs if one.other > 0}
        groups = unit.leaks.groups(matched)
        known = {one.key: one for one in groups.values()}
        most = most_together(unit.items.count().items)
        for newcomer, pairs in zip(newcomers, found, strict=True):
            keys = {
                one.other: groups[one.other].key
                if one.other > 0
                else newcomers[-1 - one.other].group
                for one in pairs
            }
            self._place(newcomer, sorted(pairs), keys, known, most)

    def _place(
        self,
        newcomer: Newcomer,
        pairs: Sequence[Match],
        keys: dict[int, str],
        known: dict[str, GroupFacts],
        most: int,
    ) -> None:
        """Join the closest group that has room, and link with one item of every group."""
        linked: set[str] = set()
        for one in pairs:
            key = keys[one.other]
            if key in linked:
                continue
            linked.add(key)
            newcomer.links.append(one)
            if self._join and newcomer.free and known[key].size < most:
                newcomer.group, newcomer.split, newcomer.free = key, known[key].split, False
        before = known.get(newcomer.group, GroupFacts(newcomer.group, 0, 0, newcomer.split))
        known[newcomer.group] = GroupFacts(before.key, before.oldest, before.size + 1, before.split)

    def added(self, unit: Unit, newcomers: Sequence[Newcomer], ids: Sequence[int]) -> None:
        """Keep hashes and links of newcomers that are items now, under these ids."""
        unit.leaks.add_hashes(
            [(i, one.looks) for i, one in zip(ids, newcomers, strict=True) if one.looks is not None]
        )
        unit.leaks.link(
            [
                LinkRecord(
                    *_ordered(i, one.other if one.other > 0 else ids[-1 - one.other]),
                    one.method,
                    one.bits,
                )
                for i, newcomer in zip(ids, newcomers, strict=True)
                for one in newcomer.links
            ],
            checked=False,
        )

    def _refresh(self, unit: Unit) -> None:
        """Read the hashes of what came in since the last time, by this import or another."""
        ids, words = unit.leaks.hashes(int(self._ids[-1]) if len(self._ids) else 0)
        if len(ids):
            self._ids = np.concatenate([self._ids, ids])
            self._words = np.concatenate([self._words, words])


def _words(looks: Iterable[bytes]) -> NDArray[np.uint64]:
    """Return hashes as words (n, 4)."""
    return np.frombuffer(b"".join(looks), np.uint64).reshape(-1, WORDS)


def _ordered(one: int, other: int) -> tuple[int, int]:
    return max(one, other), min(one, other)
