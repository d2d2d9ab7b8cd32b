"""What the labels of the audit set say of a model's confidences: a random sample of the images.

The audit set is drawn at random and never trained on, so its labels show what confidences are worth
in the pool; validation labels do not, as strategies picked them. They correct what is expected of
generated labels and from where on labels are generated; the model and its confidences stay as they
are.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from labeller.services.streams_pool import Source
from labeller.services.streams_shown import Floats, Ints
from store.store import Unit
from strategies import stream as streaming
from strategies.stream import Reliability, Wrong

FEW = 30  # audit labels; fewer bound hardly anything


@dataclass(frozen=True, slots=True, eq=False)
class Evidence:
    """Labelled audit items: `columns` (n,) predicted, `confidences` (n,), whether each was `right`.

    `reliability` is what they say of any confidence.
    """

    columns: Ints
    confidences: Floats
    right: NDArray[np.bool_]
    reliability: Reliability

    def count_wrong(self, sure: Floats, limits: Floats, scale: float) -> Wrong:
        """Say how many of some generated labels will be wrong.

        Parameters
        ----------
        sure : array of float, shape (m,)
            Their confidences.
        limits : array of float, shape (C,)
            The confidence from which labels of each column are generated.
        scale : float
            How many labels each of them stands for.
        """
        alike = self.confidences >= limits[self.columns]
        return streaming.count_wrong(
            sure,
            self.confidences[alike],
            self.right[alike],
            reliability=self.reliability,
            scale=scale,
        )

    @property
    def note(self) -> str | None:
        """What a person should know where the sample is small."""
        if len(self.right) >= FEW:
            return None
        labels = "label" if len(self.right) == 1 else "labels"
        return (
            f"{len(self.right)} {labels} of the audit set are too few to say how many generated "
            f"labels will be wrong: label at least {FEW} audit images first, or take the expected "
            f"number as the model's own word."
        )


def gather_evidence(unit: Unit, source: Source) -> Evidence:
    """Hold a model's predictions against the labels of the audit set.

    Raises
    ------
    StreamRunError
        When the predictions cannot be read.
    """
    ids, truth, _ = unit.labels.arrays("audit")
    live = np.isin(truth, [one.id for one in unit.classes.all()])
    ids, truth = ids[live], truth[live]
    judged = source.read(ids)
    said = np.array([-1 if one is None else one for one in source.targets], np.int64)
    right = said[judged.columns] == truth[np.searchsorted(ids, judged.ids)]
    known = streaming.fit_reliability(judged.confidences, right)
    return Evidence(judged.columns, judged.confidences, right, known)
