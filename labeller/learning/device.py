"""Where to compute, and how to get the same numbers there every time."""

from __future__ import annotations

import contextlib
import random
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch

from labeller.errors import ConfigError


@dataclass(frozen=True, slots=True)
class Device:
    """A processor; `text` is how people read it."""

    kind: Literal["cpu", "cuda"]
    text: str

    @property
    def cuda(self) -> bool:
        """Whether it is a GPU, used with mixed precision."""
        return self.kind == "cuda"

    @property
    def torch(self) -> torch.device:
        """The same as torch names it."""
        return torch.device(self.kind)

    @property
    def amp(self) -> Literal["bf16", "fp16"] | None:
        """How a GPU trains in mixed precision: ``bf16`` needs no scaling of gradients."""
        if not self.cuda:
            return None
        return "bf16" if torch.cuda.is_bf16_supported(including_emulation=False) else "fp16"

    def mixed(self) -> contextlib.AbstractContextManager[object]:
        """Return the context in which a forward pass uses half precision on a GPU."""
        if self.cuda:
            return torch.autocast("cuda", dtype=torch.float16)
        return contextlib.nullcontext()


def choose(setting: str) -> Device:
    """Choose the device that the setting ``device`` asks for.

    Parameters
    ----------
    setting : {"auto", "cpu", "cuda"}
        ``auto`` takes a GPU when there is one.

    Returns
    -------
    Device

    Raises
    ------
    ConfigError
        When the setting is none of these, or asks for a GPU that torch does not find.
    """
    if setting not in ("auto", "cpu", "cuda"):
        raise ConfigError(f"device = {setting!r} is unknown. Set it to auto, cpu or cuda.")
    found = setting != "cpu" and torch.cuda.is_available()
    if setting == "cuda" and not found:
        raise ConfigError(
            "device = 'cuda', but torch finds no NVIDIA GPU here. "
            "Mend the driver, or set device to auto or cpu."
        )
    if found:
        return Device("cuda", f"{torch.cuda.get_device_name()}, mixed precision")
    threads = torch.get_num_threads()
    return Device("cpu", f"CPU, {threads} thread{'s' if threads != 1 else ''}")


@contextlib.contextmanager
def reproducible(seed: int) -> Iterator[None]:
    """Make everything random inside depend on `seed` alone; put the generators back afterwards.

    Parameters
    ----------
    seed : int
        Not negative.
    """
    states = random.getstate(), np.random.get_state()  # noqa: NPY002 (what fastai draws from)
    gpu = torch.cuda.is_available()
    with torch.random.fork_rng([torch.cuda.current_device()] if gpu else []), _exact(gpu):
        random.seed(seed)
        np.random.seed(seed % 2**32)  # noqa: NPY002
        torch.manual_seed(seed)
        try:
            yield
        finally:
            random.setstate(states[0])
            np.random.set_state(states[1])  # noqa: NPY002


@contextlib.contextmanager
def _exact(gpu: bool) -> Iterator[None]:
    """Let a GPU use only kernels that always sum in one order; those used on a CPU do so anyway.

    (Asking torch for it costs seconds: it imports its compiler.)
    """
    if not gpu:
        yield
        return
    before = torch.are_deterministic_algorithms_enabled()
    settings: Any = torch.utils.deterministic
    filled = settings.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    # Memory that is written before it is read need not be filled first: a kernel for every tensor.
    settings.fill_uninitialized_memory = False
    try:
        yield
    finally:
        torch.use_deterministic_algorithms(before)
        settings.fill_uninitialized_memory = filled
