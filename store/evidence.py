"""What the events say beyond the labels of now: who agreed with whom, and how long it took."""

from __future__ import annotations

from typing import Any
from zlib import crc32

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, and_, case, func, or_, select

from store.classes import Classes
from store.models import Annotator, Event, Item, Label
from store.repository import Repository

LONGEST_MS = 60_000  # a label that took longer was interrupted, and counts as this long
_DIGITS = 8  # of the 64 of a hash that decide by chance
_PLACES = 56  # where those begin that say which share an item is of; an order begins before


class Evidence(Repository):
    """Second opinions, and the time that labels took."""

    def last_event(self) -> int:
        """Return the number of the newest event, 0 without any: whether anything has happened."""
        return self._count(select(func.max(Event.id)))

    def second_opinions(
        self, seen: str | None = None
    ) -> tuple[NDArray[np.int64], list[str], NDArray[np.int64]]:
        """Return what each annotator said first of the items that somebody else was asked about.

        Undone labels do not count. Whoever corrects a label has seen it, so only items that have a
        label kept as a second opinion are there.

        Parameters
        ----------
        seen : str, optional
            Labels whose reason begins so were given by somebody who saw the label that was there,
            and do not count.

        Returns
        -------
        item_ids : ndarray of int64, shape (n,)
        annotators : list of str, length n
            One row per item and annotator.
        class_ids : ndarray of int64, shape (n,)
            Merged classes resolved.
        """
        asked = _unseen(select(Event.item_id), seen).where(Event.opinion.is_(True))
        query = _unseen(select(Event.item_id, Annotator.name, Event.class_id), seen)
        query = query.join(Annotator, Annotator.id == Event.annotator_id)
        query = query.where(Event.item_id.in_(asked)).order_by(Event.id)
        said: dict[tuple[int, str], int] = {}
        for item_id, annotator, class_id in self._connection.execute(query):
            said.setdefault((item_id, annotator), class_id)
        targets = Classes(self._connection, self._clock).targets()
        return (
            np.array([item for item, _ in said], np.int64),
            [annotator for _, annotator in said],
            np.array([targets[class_id] for class_id in said.values()], np.int64),
        )

    def labelled_once(
        self, annotator: str, share: float, limit: int, seen: str | None = None
    ) -> list[int]:
        """Return labelled items of a random share that no second annotator was asked about.

        Whether an item is of the share is read from the hash of its image, so that it stays so.

        Parameters
        ----------
        annotator : str
            Items that this one has labelled, skipped or flagged are left out, and those whose label
            no person gave here.
        share : float
            Of the labelled items, 0 to 1.
        limit : int
            Most to return.
        seen : str, optional
            As for :meth:`second_opinions`.

        Returns
        -------
        list of int
            In an order that is always the same for an annotator, and another one for others.
        """
        find = select(Annotator.id).where(Annotator.name == annotator)
        number = self._connection.execute(find).scalar() or 0
        own = select(Event.item_id).where(
            Event.annotator_id == number, Event.kind != "undo", Event.undone.is_(False)
        )
        # The class stands for the kind: by that SQLite would read all labels for each of them.
        others = _blind(select(Event.id), seen).where(
            Event.item_id == Label.item_id,
            Event.class_id.is_not(None),
            Event.undone.is_(False),
            Event.opinion.is_(True),
        )
        # By the name: whoever comes for the first time has no number yet.
        order = func.substr(Item.sha256, 1 + crc32(annotator.encode()) % _PLACES, _DIGITS)
        query = select(Label.item_id).join(Item, Item.id == Label.item_id)
        query = query.where(
            Label.source.in_(("page", "api")),
            Label.annotator_id != number,
            func.substr(Item.sha256, 1 + _PLACES, _DIGITS) < _below(share),
            Label.item_id.not_in(own),
            ~others.exists(),
        )
        query = query.order_by(order, Label.item_id).limit(limit)
        return list(self._connection.execute(query).scalars())

    def labelling_time(self, since: float, until: float) -> tuple[int, int, float]:
        """Return how many labels were given in a time, and how long people looked at them.

        Parameters
        ----------
        since, until : float
            UTC seconds; after the first, up to the second.

        Returns
        -------
        labels : int
            Labels by people that are not undone. Imported ones and those of a file took nobody's
            time; those by the API count where they say how long they took, for a script may be
            behind the others.
        timed : int
            Those whose time is known.
        seconds : float
            The time of the timed ones, interruptions cut to `LONGEST_MS`.
        """
        took = case((Event.duration_ms > LONGEST_MS, LONGEST_MS), else_=Event.duration_ms)
        query = _labels(select(func.count(), func.count(took), func.sum(took))).where(
            Event.at > since,
            Event.at <= until,
            or_(
                Event.source == "page",
                and_(Event.source == "api", Event.duration_ms.is_not(None)),
            ),
        )
        labels, timed, total = self._connection.execute(query).one()
        return int(labels), int(timed), float(total or 0) / 1000


def _below(share: float) -> str:
    """Return what the digits of a share of all hashes come before."""
    number = round(share * 16**_DIGITS)
    return "g" if number >= 16**_DIGITS else f"{number:0{_DIGITS}x}"


def _labels(query: Select[*tuple[Any, ...]]) -> Select[*tuple[Any, ...]]:
    """Restrict a query over events to labels that stand."""
    return query.where(Event.kind == "label", Event.undone.is_(False))


def _unseen(query: Select[*tuple[Any, ...]], seen: str | None) -> Select[*tuple[Any, ...]]:
    """Restrict a query over events to labels that stand and were given blind."""
    return _blind(_labels(query), seen)


def _blind(query: Select[*tuple[Any, ...]], seen: str | None) -> Select[*tuple[Any, ...]]:
    """Leave out events whose reason begins with `seen`."""
    if seen is None:
        return query
    return query.where(~func.coalesce(Event.reason, "").startswith(seen, autoescape=True))
