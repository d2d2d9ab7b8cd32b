"""What the tests of synthesis share: parents with every array, pictures, plans at the ends."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image

from strategies.synthesis import Parents, Plan, recipes
from strategies.synthesis.recipes.recipe import Recipe, Span, Value
from tests.strategies.pools import softmax

SOME = tuple(recipes.BY_NAME[name] for name in ("brightness", "rotate", "grayscale", "patch"))


def make_parents(m: int = 30, columns: int = 4, seed: int = 0, **changes: Any) -> Parents:
    """Return parents with every array: blobs of embeddings and probabilities at random."""
    rng = np.random.default_rng(seed)
    truth = rng.choice(columns, m, p=np.arange(1, columns + 1) / sum(range(1, columns + 1)))
    count, trials = len(SOME), 20
    arrays: dict[str, Any] = {
        "ids": rng.permutation(10 * m)[:m],
        "classes": truth,
        "class_count": columns,
        "recipes": SOME,
        "probs": softmax(rng.normal(size=(m, columns))),
        "child_probs": softmax(rng.normal(size=(count, m, columns))),
        "trial_classes": rng.integers(columns, size=trials),
        "trial_probs": softmax(rng.normal(size=(trials, columns))),
        "trial_child_probs": softmax(rng.normal(size=(count, trials, columns))),
        "embeddings": rng.normal(size=(m, 6)) + 3 * np.eye(columns, 6)[truth],
    }
    return Parents(**{**arrays, **changes})


def picture(width: int = 60, height: int = 48, mode: str = "RGB", seed: int = 0) -> Image.Image:
    """Return a colourful picture that is the same neither mirrored nor turned."""
    rng = np.random.default_rng(seed)
    pixels = rng.integers(20, 235, (height, width, 3), dtype=np.uint8)
    pixels[: height // 2, :, 0] //= 2
    pixels[:, width // 2 :, 2] //= 3
    return Image.fromarray(pixels).convert(mode)


def at_end(recipe: Recipe, end: str, seed: int = 3, **values: Value) -> Plan:
    """Return the plan with every parameter at its low or high end, but for the given ones."""
    found: dict[str, Value] = {}
    for parameter in recipe.parameters:
        if isinstance(parameter, Span):
            found[parameter.name] = parameter.low if end == "low" else parameter.high
        else:
            found[parameter.name] = parameter.options[0 if end == "low" else -1]
    checked = recipe.checked({**found, **values})
    return Plan(1, recipe.name, tuple(checked.items()), seed)


def plan_of(name: str, seed: int = 3, **values: Any) -> Plan:
    """Return a plan with these parameters."""
    return Plan(1, name, tuple(recipes.called(name).checked(values).items()), seed)


def run_python(code: str) -> str:
    """Return what another Python process prints, that can import the tests."""
    root = Path(__file__).parents[3]
    ran = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=root
    )
    return ran.stdout
