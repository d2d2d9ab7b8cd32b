"""What a strategy may ask for (`Needs`), is given (`Pool`) and gives back (`Selection`)."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from enum import Flag, auto
from typing import Any, TypeAlias, TypeVar

import numpy as np
from numpy.typing import NDArray

from strategies.checks import PoolError as PoolError
from strategies.checks import StrategyError as StrategyError
from strategies.checks import check_classes, check_floats, check_ids, check_probs

FloatArray: TypeAlias = NDArray[np.floating[Any]]
IntArray: TypeAlias = NDArray[np.int64]
BoolArray: TypeAlias = NDArray[np.bool_]
Array = TypeVar("Array", bound=NDArray[Any])


class Needs(Flag):
    """The arrays that a strategy reads; whoever builds the `Pool` computes only these."""

    NOTHING = 0
    PROBS = auto()
    LOGITS = auto()
    MC_PROBS = auto()
    EMBEDDINGS = auto()
    LABELLED = auto()
    LABELLED_PROBS = auto()
    CHILD_PROBS = auto()  # these two only for synthesis: strategies/synthesis/planning/parents.py
    TRIAL_PROBS = auto()


NEEDED_FIELDS: dict[Needs, tuple[str, ...]] = {
    Needs.PROBS: ("probs",),
    Needs.LOGITS: ("logits",),
    Needs.MC_PROBS: ("mc_probs",),
    Needs.EMBEDDINGS: ("embeddings",),
    Needs.LABELLED: ("labelled_embeddings", "labelled_classes"),
    Needs.LABELLED_PROBS: ("labelled_probs",),
}


@dataclass(frozen=True, slots=True, eq=False)
class Pool:
    """The unlabelled items and what is known of them; checked once, read-only from then on.

    Parameters
    ----------
    ids : array of int, shape (N,)
        The items that may be picked, each once.
    probs : array of float, shape (N, C), optional
        Calibrated probabilities of the classes; rows sum to one.
    logits : array of float, shape (N, C), optional
        The model's scores before the softmax.
    mc_probs : array of float, shape (S, N, C), optional
        Probabilities of S dropout passes, or of the S members of an ensemble.
    embeddings : array of float, shape (N, D), optional
        One vector per item.
    labelled_embeddings : array of float, shape (M, D), optional
        Vectors of the items labelled so far, in the same space as `embeddings`; M may be 0.
    labelled_classes : array of int, shape (M,), optional
        Their classes, as columns of `probs`.
    labelled_probs : array of float, shape (M, C), optional
        The model's probabilities on them.
    labelled_ids : array of int, shape (M,), optional
        Which items they are; only for distances kept from an earlier round.
    pending_embeddings : array of float, shape (Q, D), optional
        Vectors of items that were asked for already and have no label yet: covered, class unknown.
    class_count : int
        How many classes there are, when that is known and no array says so (before any model).

    Raises
    ------
    PoolError
        When an array has the wrong shape or type, ids repeat, a value is not finite, or a row of
        probabilities does not sum to one. The text names the array and the row.

    Notes
    -----
    float32 and float64 are used as they are, without a copy; float16 becomes float32, integers
    become float64. The arrays of the caller stay writable; the pool's views of them are not.
    """

    ids: IntArray
    probs: FloatArray | None = None
    logits: FloatArray | None = None
    mc_probs: FloatArray | None = None
    embeddings: FloatArray | None = None
    labelled_embeddings: FloatArray | None = None
    labelled_classes: IntArray | None = None
    labelled_probs: FloatArray | None = None
    labelled_ids: IntArray | None = None
    pending_embeddings: FloatArray | None = None
    class_count: int = 0

    def __post_init__(self) -> None:
        """Check every array once, and keep read-only views."""
        self._set("ids", check_ids("ids", self.ids))
        n = len(self.ids)
        for name, shape in (
            ("probs", (n, None)),
            ("mc_probs", (None, n, None)),
            ("labelled_probs", (None, None)),
        ):
            if getattr(self, name) is not None:
                self._set(name, check_probs(name, getattr(self, name), shape))
        for name, shape in (
            ("logits", (n, None)),
            ("embeddings", (n, None)),
            ("labelled_embeddings", (None, None)),
            ("pending_embeddings", (None, None)),
        ):
            if getattr(self, name) is not None:
                self._set(name, check_floats(name, getattr(self, name), shape))
        if self.labelled_ids is not None:
            self._set("labelled_ids", check_ids("labelled_ids", self.labelled_ids))
        if self.labelled_classes is not None:
            self._set("labelled_classes", check_classes(self.labelled_classes, self._columns()))
        self._agree("columns", 1, ("embeddings", "labelled_embeddings", "pending_embeddings"))
        self._agree("classes", -1, ("probs", "logits", "mc_probs", "labelled_probs"))
        self._agree(
            "rows", 0, ("labelled_embeddings", "labelled_classes", "labelled_probs", "labelled_ids")
        )

    def __len__(self) -> int:
        """Return N, the number of items that may be picked."""
        return len(self.ids)

    @property
    def given(self) -> Needs:
        """The needs that this pool can meet."""
        met = Needs.NOTHING
        for need, names in NEEDED_FIELDS.items():
            if all(getattr(self, name) is not None for name in names):
                met |= need
        return met

    @property
    def classes(self) -> int:
        """C, the number of classes, as far as the arrays or `class_count` say; 0 if unknown."""
        columns = self._columns()
        if columns is not None:
            return columns
        labelled = self.labelled_classes
        seen = int(labelled.max()) + 1 if labelled is not None and len(labelled) else 0
        return max(self.class_count, seen)

    @property
    def covered(self) -> FloatArray:
        """Vectors (M + Q, D) of all that is labelled or asked for already."""
        vectors = needed(self.embeddings)
        parts = [a for a in (self.labelled_embeddings, self.pending_embeddings) if a is not None]
        if not parts:
            return np.empty((0, vectors.shape[1]), vectors.dtype)
        return parts[0] if len(parts) == 1 else np.concatenate(parts)

    def take(self, rows: IntArray, needs: Needs | None = None) -> Pool:
        """Return the pool of some of the items.

        Parameters
        ----------
        rows : array of int, shape (n,)
            Positions in `ids`, each at most once.
        needs : Needs, optional
            Copy only the arrays that these need (all when not given); the others are left out.
        """
        kept = self.only(needs) if needs is not None else self
        parts: dict[str, Any] = {"ids": kept.ids[rows]}
        for name in ("probs", "logits", "embeddings"):
            if (array := getattr(kept, name)) is not None:
                parts[name] = array[rows]
        if kept.mc_probs is not None:
            parts["mc_probs"] = kept.mc_probs[:, rows]
        return replace(kept, **parts)

    def only(self, needs: Needs) -> Pool:
        """Return the pool without the arrays that `needs` does not name (nothing is copied)."""
        wanted = {name for need in needs for name in NEEDED_FIELDS[need]}
        wanted |= {"ids", "class_count"}
        wanted |= {"labelled_ids"} if Needs.LABELLED in needs else set()
        wanted |= {"pending_embeddings"} if Needs.EMBEDDINGS in needs else set()
        return Pool(**{f.name: getattr(self, f.name) for f in fields(self) if f.name in wanted})

    def _columns(self) -> int | None:
        """C as the arrays of probabilities or logits have it."""
        for array in (self.probs, self.logits, self.mc_probs, self.labelled_probs):
            if array is not None:
                return int(array.shape[-1])
        return None

    def _agree(self, what: str, axis: int, names: tuple[str, ...]) -> None:
        """Check that the arrays which are there have the same length along `axis`."""
        sizes = {
            name: array.shape[axis] for name in names if (array := getattr(self, name)) is not None
        }
        if len(set(sizes.values())) > 1:
            listed = ", ".join(f"{name} {size}" for name, size in sizes.items())
            raise PoolError(f"These must have the same number of {what}: {listed}.")

    def _set(self, name: str, array: NDArray[Any]) -> None:
        """Keep a read-only view of a checked array."""
        view = array.view()
        view.flags.writeable = False
        object.__setattr__(self, name, view)


@dataclass(frozen=True, slots=True, eq=False)
class Selection:
    """What a strategy picked, most wanted first.

    Parameters
    ----------
    ids : array of int, shape (k,)
        Items of the pool, each at most once, in the order in which to ask for them.
    scores : array of float, shape (k,)
        How much each was wanted when it was picked; finite, higher is more, in the unit that the
        strategy's docstring says. Non-increasing unless the strategy is registered as unordered.
    parts : tuple of str, length k, optional
        For strategies made of others: the name of the one that picked each item.

    Raises
    ------
    StrategyError
        When the lengths differ, an id repeats, or a score is not finite.
    """

    ids: IntArray
    scores: FloatArray
    parts: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        """Check what every reader of a selection relies on."""
        k = len(self.ids)
        if len(self.scores) != k or (self.parts and len(self.parts) != k):
            raise StrategyError(
                f"A selection of {k} ids has {len(self.scores)} scores and {len(self.parts)} parts."
            )
        if len(np.unique(self.ids)) != k:
            raise StrategyError("A selection holds an item twice.")
        if not np.isfinite(self.scores).all():
            raise StrategyError("A selection holds a score that is not a finite number.")

    def __len__(self) -> int:
        """Return k, the number of items picked."""
        return len(self.ids)


def needed(array: Array | None) -> Array:
    """Return an array that the strategy named in its `needs`; the registry saw that it is there."""
    if array is None:
        raise PoolError("A strategy read an array that it did not name in its needs.")
    return array
