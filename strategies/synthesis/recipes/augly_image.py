"""AugLy: loaded when it is first needed, and kept from moving the global random state."""

from __future__ import annotations

import importlib
import importlib.util
import random
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import ModuleType
from typing import cast

import numpy as np
from PIL import Image

from strategies.synthesis.recipes.errors import AugmenterMissing
from strategies.synthesis.recipes.file_types import libmagic_or_pillow
from strategies.synthesis.recipes.recipe import Augment

_IMAGES = "augly.image"
_MISSING = "AugLy is not installed. Install the package augly with pip."
_ONE_AT_A_TIME = threading.RLock()  # the global random state is one for all threads


@contextmanager
def augmenting(seed: int) -> Iterator[Augment]:
    """Lend AugLy for one picture, with the global random state seeded, and put back afterwards.

    Parameters
    ----------
    seed : int
        0 to 2**32 - 1; some AugLy functions draw from the global state of `random` and numpy.

    Yields
    ------
    Augment

    Raises
    ------
    AugmenterMissing
        When AugLy is not installed.
    """
    with _ONE_AT_A_TIME:
        python_state = random.getstate()
        numpy_state = np.random.get_state()  # noqa: NPY002
        try:
            augment = load()
            random.seed(seed)
            np.random.seed(seed)  # noqa: NPY002
            yield augment
        finally:
            random.setstate(python_state)
            np.random.set_state(numpy_state)  # noqa: NPY002


def load() -> Augment:
    """Import AugLy, which takes about a second the first time.

    Raises
    ------
    AugmenterMissing
        When AugLy is not installed.
    """
    module = sys.modules.get(_IMAGES) or _import_images()

    def augment(function: str, image: Image.Image, /, **arguments: object) -> Image.Image:
        return cast("Image.Image", getattr(module, function)(image, **arguments))

    return augment


def _import_images() -> ModuleType:
    check_augmenter()
    try:
        with libmagic_or_pillow():
            return importlib.import_module(_IMAGES)
    except ImportError as error:
        raise AugmenterMissing(
            f"AugLy cannot be loaded ({error}). Install the package augly with pip once more."
        ) from error


def check_augmenter() -> None:
    """Find out whether pictures can be rendered, without loading AugLy: quick, and cheap.

    Raises
    ------
    AugmenterMissing
        When AugLy is not installed.
    """
    if importlib.util.find_spec("augly") is None:
        raise AugmenterMissing(_MISSING)


def asset(*parts: str) -> str:
    """Return the path of a font, emoji or template that AugLy brings along.

    Raises
    ------
    AugmenterMissing
        When AugLy is not installed.
    """
    spec = importlib.util.find_spec("augly")
    if spec is None or not spec.submodule_search_locations:
        raise AugmenterMissing(_MISSING)
    return str(Path(spec.submodule_search_locations[0]).joinpath("assets", *parts))
