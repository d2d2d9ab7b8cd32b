"""Of images that look alike one is asked about: what the others add comes last."""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from store.store import Unit

Ints = NDArray[np.int64]
ALONE = -1


def nothing() -> Ints:
    """Return no items."""
    return np.empty(0, np.int64)


@dataclass(frozen=True, slots=True, eq=False)
class Lots:
    """Items (n,) in ascending order that look alike and share a group, and each one's lot.

    Lots that are `crowded` look like images of another split, too.
    """

    ids: Ints = field(default_factory=nothing)
    lots: Ints = field(default_factory=nothing)
    crowded: Ints = field(default_factory=nothing)

    def of(self, ids: Ints) -> Ints:
        """Return the lot (m,) of each item, `ALONE` where it looks like none of its group."""
        if not len(self.ids):
            return np.full(len(ids), ALONE)
        places = np.minimum(np.searchsorted(self.ids, ids), len(self.ids) - 1)
        return np.where(self.ids[places] == ids, self.lots[places], ALONE)

    def without_crowds(self) -> Lots:
        """Return those whose look-alikes all share their split."""
        lone = ~np.isin(self.lots, self.crowded)
        return Lots(self.ids[lone], self.lots[lone])


def read_lots(unit: Unit) -> Lots:
    """Return what looks alike within its group, by looks and by embeddings."""
    ends, together, apart = unit.leaks.kinship()
    if not together.any():
        return Lots()
    from labeller.services.near_duplicates import hanging_together  # scipy: only where it is needed

    found = Lots(*hanging_together(ends[together]))
    crowded = np.unique(found.of(ends[apart].ravel()))
    return Lots(found.ids, found.lots, crowded[crowded != ALONE])


def ask_once(ids: Ints, lots: Lots, asked: Ints | None = None) -> tuple[Ints, Ints]:
    """Part items into those to ask about, and those that look like one asked about.

    Parameters
    ----------
    ids : array of int, shape (n,)
        Items that may be asked about; of a lot the first counts.
    lots : Lots
    asked : array of int, shape (q,), optional
        Items that were asked about already, or are now.

    Returns
    -------
    first, again : array of int
        Together all of `ids`, each in their order.
    """
    lot = lots.of(ids)
    known, places = np.unique(lot, return_index=True)
    first = lot == ALONE
    first[
        places[(known != ALONE) & ~np.isin(known, lots.of(nothing() if asked is None else asked))]
    ] = True
    return ids[first], ids[~first]


def asked_about(unit: Unit, lots: Lots) -> Ints:
    """Return the items of lots that somebody has labelled, skipped or flagged."""
    if not len(lots.ids):
        return nothing()
    return np.setdiff1d(lots.ids, unit.items.ids(state="unlabelled"), assume_unique=True)


def draw_from(ids: Ints, number: int, lots: Lots, asked: Ints, rng: np.random.Generator) -> Ints:
    """Return the audit items to draw from, without those that look like one asked about.

    Each item has the same chance to be the one of its lot, and a lot the more of it the larger it
    is. A crowd is no lot: of it every item counts, lest the audit set hold too little of it.

    Parameters
    ----------
    ids : array of int, shape (n,)
    number : int
        How many are to be drawn, at most n.
    lots : Lots
    asked : array of int, shape (q,)
    rng : numpy.random.Generator

    Returns
    -------
    array of int
        All of `ids` where none looks like another, else as many as are to be drawn: those that
        look like one asked about only where no others are left.
    """
    lots = lots.without_crowds()
    if (lots.of(ids) == ALONE).all():
        return ids
    return np.concatenate(ask_once(rng.permutation(ids), lots, asked))[:number]
