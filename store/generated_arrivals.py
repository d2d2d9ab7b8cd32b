"""Which items a run may decide."""

from __future__ import annotations

from typing import Any

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Select, func, select

from store.generated import COUNTING
from store.models import Item, Queue
from store.models_made import GeneratedDecision, GeneratedRun
from store.repository import Repository


class Arrivals(Repository):
    """The pool as a run sees it: items in the order in which they came."""

    def arrivals(
        self, after: int = 0, upto: int | None = None, limit: int = 500
    ) -> NDArray[np.int64]:
        """Return one page of the items (n,) that a run may decide, in order of id.

        They are unlabelled, of training or validation, have no place in the queue, and no
        generated label of a run that counts.

        Parameters
        ----------
        after : int
            The last item of the page before.
        upto : int, optional
            The last item to look at.
        limit : int
        """
        query = self._arrivals(select(Item.id), after, upto).order_by(Item.id).limit(limit)
        return np.fromiter(self._connection.execute(query).scalars(), dtype=np.int64)

    def arrivals_count(self, after: int = 0) -> int:
        """Count what :meth:`arrivals` lists."""
        return self._count(self._arrivals(select(func.count(Item.id)), after, None))

    def _arrivals(
        self, query: Select[*tuple[Any, ...]], after: int, upto: int | None
    ) -> Select[*tuple[Any, ...]]:
        """Restrict a query over items to those that a run may decide."""
        made = (
            select(GeneratedDecision.item_id)
            .join(GeneratedRun, GeneratedRun.id == GeneratedDecision.run_id)
            .where(
                GeneratedDecision.item_id == Item.id,
                GeneratedDecision.outcome == "accept",
                GeneratedRun.verdict.in_(COUNTING),
            )
        )
        query = query.where(
            Item.id > after,
            Item.state == "unlabelled",
            Item.split.in_(["train", "valid"]),
            ~select(Queue.id).where(Queue.item_id == Item.id).exists(),
            ~made.exists(),
        )
        return query if upto is None else query.where(Item.id <= upto)
