"""Labelled items that another annotator is asked about too, so that their agreement is known."""

from __future__ import annotations

from labeller.project import Project
from labeller.services.cleaning import REASON
from labeller.services.emptiness import EmptyReason

# Without a budget nobody is asked for anything, though a second opinion costs nothing of it.
STOPPED: tuple[EmptyReason, ...] = ("budget", "reserved")


def due(project: Project, annotator: str, n: int) -> list[int]:
    """Return up to `n` items that an annotator is to be asked about a second time, blind.

    A random share of the labelled items, `Settings.second_opinions`, is put to one person who did
    not label them. No lease is needed: should two answer at once, their opinions count as well. So
    no write is needed either, and looking through many labels keeps nobody from labelling.

    Parameters
    ----------
    project : Project
    annotator : str
        Who would be asked.
    n : int
        At most so many.

    Returns
    -------
    list of int
        The same ones first until they are answered.
    """
    share = project.settings.second_opinions
    if not share:
        return []
    with project.store.read() as unit:
        return unit.evidence.labelled_once(annotator, share, n, seen=REASON)
