"""How long each stage of a job takes, and what made it."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from labeller.progress import Progress

PACKAGES = ("labeller", "torch", "fastai", "numpy", "pillow")


@dataclass(slots=True)
class Stopwatch:
    """Seconds per stage; entering a stage tells the progress."""

    progress: Progress
    timings: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def stage(self, name: str, message: str = "", **detail: Any) -> Iterator[None]:
        """Time a stage; raises when the job should stop before it."""
        began = time.perf_counter()
        self.progress.check()
        self.progress.update(name, 0, None, message, **detail)
        yield
        self.timings[name] = round(time.perf_counter() - began, 3)


def versions() -> dict[str, str]:
    """Return what a model is made with; a checkout that is not installed has no version."""
    found = {}
    for package in PACKAGES:
        with suppress(PackageNotFoundError):
            found[package] = version(package)
    return found
