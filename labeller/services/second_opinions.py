"""Labelled items that another annotator is asked about too, so that their agreement is known."""

from __future__ import annotations

from labeller.config import Settings
from labeller.services.cleaning import REASON
from labeller.services.emptiness import EmptyReason
from store.store import Unit

# Without a budget nobody is asked for anything, though a second opinion costs nothing of it.
STOPPED: tuple[EmptyReason, ...] = ("budget", "reserved")


def due(unit: Unit, settings: Settings, annotator: str, n: int) -> list[int]:
    """Return up to `n` items that an annotator is to be asked about a second time, blind.

    A random share of the labelled items, `Settings.second_opinions`, is put to one person who did
    not label them. No lease is needed: should two answer at once, their opinions count as well.

    Parameters
    ----------
    unit : Unit
    settings : Settings
    annotator : str
        Who would be asked.
    n : int
        At most so many.

    Returns
    -------
    list of int
        The same ones first until they are answered.
    """
    if not settings.second_opinions or n < 1:
        return []
    return unit.evidence.labelled_once(annotator, settings.second_opinions, n, seen=REASON)
