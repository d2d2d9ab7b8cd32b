"""Checkpoints: a training that was killed goes on from its last one, to the same result."""

from __future__ import annotations

import hashlib
import json
import os
import random
import time
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from pickle import UnpicklingError
from typing import Any

import numpy as np
import torch
from fastai.callback.core import Callback
from numpy.typing import NDArray
from torch import Tensor

from labeller.errors import RoundError
from labeller.learning.fitting import Best, Report, left_out
from store.durable import make_folder, move_whole, sync_file

FORMAT = 3  # raise it when training of the same inputs gives other weights
EVERY = 20.0  # seconds between two checkpoints; an epoch may take less
SUFFIX = ".pt"
PIECE = 8 << 20  # bytes that are hashed at once
PART = ".part"


def digest(about: Mapping[str, Any], tensors: Iterable[Tensor]) -> str:
    """Return the identity of a training: everything that its result depends on.

    Parameters
    ----------
    about : mapping
        JSON values: seed, configuration, versions.
    tensors : iterable of Tensor
        Examples, labels, and weights before the first step.
    """
    found = hashlib.blake2b(digest_size=16)
    found.update(json.dumps({"format": FORMAT, **about}, sort_keys=True).encode())
    with ThreadPoolExecutor(len(os.sched_getaffinity(0))) as pool:
        for tensor in tensors:
            found.update(f"{tuple(tensor.shape)} {tensor.dtype}".encode())
            data = tensor.detach().cpu().contiguous().reshape(-1).numpy().view(np.uint8)
            pieces = [data[start : start + PIECE] for start in range(0, len(data), PIECE)]
            for part in pool.map(_hashed, pieces):
                found.update(part)
    return found.hexdigest()


def _hashed(data: NDArray[np.uint8]) -> bytes:
    """Hash a piece of what is too much for one core: the interpreter is let go meanwhile."""
    return hashlib.blake2b(data.data, digest_size=32).digest()


class Checkpoint(Callback):  # type: ignore[misc]
    """Write all that the next epoch depends on, at most every 20 seconds and after the last one.

    Parameters
    ----------
    file : Path
        Its name is the digest of the training.
    report : Report
        Counts the epochs of all fits.
    best : Best, optional
        What it holds is kept too.
    about : mapping, optional
        Tensors, numbers and texts that :func:`about` returns: what the training was for.
    """

    order = 62  # after Report and Best

    def __init__(
        self,
        file: Path,
        report: Report,
        best: Best | None = None,
        about: Mapping[str, Any] | None = None,
    ) -> None:
        self.file, self.report, self.best, self.about = file, report, best, dict(about or {})
        self.state: dict[str, Any] | None = None
        self.written = time.monotonic()

    def resume(self) -> int:
        """Take up the training where the checkpoint left it; return how many epochs are done.

        The optimizer follows in :meth:`before_fit`, which begins with an empty one.
        """
        self.state = read(self.file)
        if self.state is None:
            return 0
        self.model.load_state_dict(self.state["model"])
        if self.best is not None:
            self.best.lowest, self.best.waited, self.best.weights = self.state["best"]
        self.report.done, self.report.losses = self.state["done"], self.state["losses"]
        _set_generators(self.state["generators"], self.dls.train.rng)
        return self.report.done

    def before_fit(self) -> None:
        """Give a fit that was broken off its optimizer back; a later fit begins with a new one."""
        state, self.state = self.state, None
        if state is None or not state["partway"]:
            return
        for (parameter, *_), kept in zip(self.opt.all_params(), state["optimizer"], strict=True):
            self.opt.state[parameter] = {
                name: value.to(parameter.device) if isinstance(value, Tensor) else value
                for name, value in kept.items()
            }
        self.recorder.smooth_loss.count, self.recorder.smooth_loss.val = state["smooth"]
        if state["scaler"] is not None:
            self.learn.scaler.load_state_dict(state["scaler"])

    def after_epoch(self) -> None:
        """Write a checkpoint when it is time."""
        over = self.best is not None and self.best.exhausted
        last = over or self.report.done == self.report.epochs
        if left_out(self) or not (last or time.monotonic() - self.written >= EVERY):
            return
        scaler = getattr(self.learn, "scaler", None)
        smooth = self.recorder.smooth_loss
        write(
            self.file,
            {
                "done": self.report.done,
                "partway": self.epoch + 1 < self.n_epoch,
                "losses": self.report.losses,
                "model": self.model.state_dict(),
                "best": None
                if self.best is None
                else (self.best.lowest, self.best.waited, self.best.weights),
                "optimizer": [dict(self.opt.state[p]) for p, *_ in self.opt.all_params()],
                "smooth": (smooth.count, smooth.val),
                "scaler": None if scaler is None else scaler.state_dict(),
                "generators": _generators(self.dls.train.rng),
                "about": self.about,
            },
        )
        self.written = time.monotonic()


def write(file: Path, state: Mapping[str, Any]) -> None:
    """Replace a checkpoint; a process killed meanwhile leaves the one before.

    Raises
    ------
    RoundError
        When it cannot be written.
    """
    part = file.with_suffix(PART)
    try:
        make_folder(file.parent)
        torch.save(dict(state), part)
        sync_file(part)
        move_whole(part, file)
    except (OSError, RuntimeError) as error:  # torch raises RuntimeError on a full disk
        reason = getattr(error, "strerror", None) or str(error).splitlines()[0]
        raise RoundError(
            f"{file}: the checkpoint cannot be written ({reason}). "
            f"Make room on the disk or mend its permissions, then start the round again."
        ) from error


def read(file: Path) -> dict[str, Any] | None:
    """Return a checkpoint; None when there is none that can be read."""
    return _loaded(file, mapped=False)


def about(file: Path) -> dict[str, Any] | None:
    """Return what a checkpoint says of its training, without reading the weights."""
    state = _loaded(file, mapped=True)
    return None if state is None else state.get("about")


def _loaded(file: Path, *, mapped: bool) -> dict[str, Any] | None:
    try:
        state: dict[str, Any] = torch.load(file, map_location="cpu", weights_only=True, mmap=mapped)
    except (OSError, RuntimeError, ValueError, EOFError, UnpicklingError):
        return None
    return state


def _generators(loader: random.Random) -> dict[str, Any]:
    """Return the states of all random generators that training draws from."""
    name, keys, *rest = np.random.get_state()  # noqa: NPY002 (what fastai draws from)
    return {
        "loader": loader.getstate(),
        "python": random.getstate(),
        "numpy": (str(name), torch.from_numpy(np.asarray(keys, np.int64)), *rest),
        "torch": torch.get_rng_state(),
        "cuda": torch.cuda.get_rng_state() if torch.cuda.is_available() else None,
    }


def _set_generators(state: Mapping[str, Any], loader: random.Random) -> None:
    loader.setstate(state["loader"])
    random.setstate(state["python"])
    name, keys, *rest = state["numpy"]
    np.random.set_state((name, keys.numpy().astype(np.uint32), *rest))  # noqa: NPY002
    torch.set_rng_state(state["torch"])
    if state["cuda"] is not None and torch.cuda.is_available():
        torch.cuda.set_rng_state(state["cuda"])
