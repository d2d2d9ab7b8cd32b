"""What peers' strategies want around them."""

from __future__ import annotations

from typing import Any

import numpy as np
from skactiveml.base import SkactivemlClassifier

from tests.strategies.pools import softmax


class Linear(SkactivemlClassifier):  # type: ignore[misc]
    """A classifier whose probabilities are a fixed function of the vector; fitting does nothing."""

    def fit(self, X: Any, y: Any) -> Linear:
        return self

    def predict_proba(self, X: np.ndarray) -> np.ndarray:
        weights = np.random.default_rng(5).normal(size=(X.shape[1], len(self.classes)))
        return softmax(X @ weights)
