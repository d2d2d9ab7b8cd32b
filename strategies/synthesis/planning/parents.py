"""Labelled items that new ones may be made of, and what is known of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from strategies.base import Array, FloatArray, IntArray, Needs
from strategies.checks import check_floats, check_ids, check_probs
from strategies.synthesis.recipes import USUAL
from strategies.synthesis.recipes.errors import SynthesisError
from strategies.synthesis.recipes.recipe import Recipe

FIELDS: dict[Needs, tuple[str, ...]] = {
    Needs.EMBEDDINGS: ("embeddings",),
    Needs.LABELLED_PROBS: ("probs",),
    Needs.CHILD_PROBS: ("child_probs",),
    Needs.TRIAL_PROBS: ("trial_classes", "trial_probs", "trial_child_probs"),
}


@dataclass(frozen=True, slots=True, eq=False)
class Parents:
    """The labelled items of the training split, and no others; checked once, read-only.

    Children belong to the split of their parent, and those of the other splits have none. Trial
    children are rendered to be predicted and thrown away; so they may be of the validation split.

    Parameters
    ----------
    ids : array of int, shape (M,)
        The parents, each once.
    classes : array of int, shape (M,)
        Their classes, 0 to C - 1.
    class_count : int
        C; classes without a parent count as well.
    recipes : tuple of Recipe, length R
        Those that may be used, narrowed as the person set them; each name once.
    counts : array of int, shape (C,), optional
        How many training items each class has by now, synthetic ones included; by default as many
        as parents.
    probs : array of float, shape (M, C), optional
        Calibrated probabilities of the parents.
    child_probs : array of float, shape (R, M, C), optional
        The same of one trial child per recipe and parent.
    trial_classes : array of int, shape (V,), optional
        The labels of validation items.
    trial_probs : array of float, shape (V, C), optional
        Their probabilities.
    trial_child_probs : array of float, shape (R, V, C), optional
        The same of one trial child per recipe and validation item.
    embeddings : array of float, shape (M, D), optional
        Vectors of the parents.

    Raises
    ------
    PoolError, SynthesisError
        When an array cannot be used; the text names it.
    """

    ids: IntArray
    classes: IntArray
    class_count: int
    recipes: tuple[Recipe, ...] = USUAL
    counts: IntArray | None = None
    probs: FloatArray | None = None
    child_probs: FloatArray | None = None
    trial_classes: IntArray | None = None
    trial_probs: FloatArray | None = None
    trial_child_probs: FloatArray | None = None
    embeddings: FloatArray | None = None

    def __post_init__(self) -> None:
        """Check every array once, and keep read-only views."""
        names = [recipe.name for recipe in self.recipes]
        if len(set(names)) < len(names):
            raise SynthesisError(f"A recipe is there twice: {', '.join(names)}.")
        self._set("ids", check_ids("ids", self.ids))
        self._set("classes", self._columns("classes", self.classes, len(self.ids)))
        if self.counts is not None:
            self._set("counts", self._checked_counts(self.counts))
        trials = None if self.trial_classes is None else len(self.trial_classes)
        if self.trial_classes is not None:
            self._set("trial_classes", self._columns("trial_classes", self.trial_classes, trials))
        m, r, c = len(self.ids), len(self.recipes), self.class_count
        for name, shape in (
            ("probs", (m, c)),
            ("child_probs", (r, m, c)),
            ("trial_probs", (trials, c)),
            ("trial_child_probs", (r, trials, c)),
        ):
            if getattr(self, name) is not None:
                self._set(name, check_probs(name, getattr(self, name), shape))
        if self.embeddings is not None:
            self._set("embeddings", check_floats("embeddings", self.embeddings, (m, None)))

    def __len__(self) -> int:
        """Return M, the number of parents."""
        return len(self.ids)

    @property
    def totals(self) -> IntArray:
        """How many items (C,) each class has: `counts`, or else the parents."""
        if self.counts is not None:
            return self.counts
        return np.bincount(self.classes, minlength=self.class_count)

    def missing(self, needs: Needs) -> list[str]:
        """Return the names of the arrays that `needs` names and that are not there."""
        names = [name for need in needs for name in FIELDS.get(need, ())]
        return [name for name in names if getattr(self, name) is None]

    def _checked_counts(self, values: Any) -> IntArray:
        """Return `values` as counts (C,) of which none is lower than the parents, or raise."""
        counts = np.asarray(values, np.int64)
        parents = np.bincount(self.classes, minlength=self.class_count)
        if counts.shape != (self.class_count,) or (counts < parents).any():
            raise SynthesisError(
                f"counts must have one number for each of {self.class_count} classes, none lower"
                f" than its parents: {counts.tolist()}."
            )
        return counts

    def _columns(self, name: str, values: Any, length: int | None) -> IntArray:
        """Return `values` as that many classes below C, or raise."""
        classes = np.asarray(values)
        if classes.shape != (length,) or (classes.size and classes.dtype.kind not in "iu"):
            raise SynthesisError(
                f"{name} must be {length} whole numbers, not {classes.dtype} of shape"
                f" {classes.shape}."
            )
        if classes.size and not (classes.min() >= 0 and classes.max() < self.class_count):
            raise SynthesisError(f"{name} must be from 0 to {self.class_count - 1}.")
        return classes.astype(np.int64, copy=False)

    def _set(self, name: str, array: NDArray[Any]) -> None:
        """Keep a read-only view of a checked array."""
        view = array.view()
        view.flags.writeable = False
        object.__setattr__(self, name, view)


def known(array: Array | None) -> Array:
    """Return an array that the strategy named in its `needs`; the registry saw that it is there."""
    if array is None:
        raise SynthesisError("A strategy read an array that it did not name in its needs.")
    return array
