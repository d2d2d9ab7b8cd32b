"""Batches of tensors that are in memory already, sent to a GPU ahead of time."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor

import torch
from fastai.data.load import DataLoader
from torch import Tensor

AHEAD = 3  # batches that are taken while a GPU works

Augment = Callable[[Tensor], Tensor]


class TensorLoader(DataLoader):  # type: ignore[misc]
    """Batches of tensors that are in memory already: rows are taken, never collated.

    Parameters
    ----------
    x : Tensor, shape (n, ...)
    y : Tensor of int64, shape (n,), or of float32, shape (n, C)
    batch : int
        Rows per batch.
    train : bool
        Shuffle, and leave out the rows that do not fill a batch.
    device : torch.device
        Where batches go.
    repeats : int
        How often an epoch passes over all rows: few rows would else make epochs of one batch.
    augment : callable, optional
        Applied to the x of every batch on the device.
    """

    def __init__(
        self,
        x: Tensor,
        y: Tensor,
        batch: int,
        *,
        train: bool,
        device: torch.device,
        repeats: int = 1,
        augment: Augment | None = None,
    ) -> None:
        self.x, self.y, self.repeats, self.augment = x, y, repeats, augment
        rows = range(len(y) * repeats)
        super().__init__(rows, bs=batch, shuffle=train, drop_last=train, device=device)

    def shuffle_fn(self, idxs: list[int]) -> list[int]:
        """Shuffle each pass by itself, so that no batch holds a row twice within a pass."""
        rows = idxs[: len(idxs) // self.repeats]
        return [row for _ in range(self.repeats) for row in self.rng.sample(rows, len(rows))]

    def create_item(self, s: int) -> int:
        """Return the row's number; the rows of a batch are taken at once."""
        return s

    def do_batch(self, b: Sequence[int]) -> tuple[Tensor, Tensor]:
        """Take the rows of a batch."""
        rows = torch.as_tensor(b)
        return self.x[rows.to(self.x.device)], self.y[rows.to(self.y.device)]

    def __iter__(self) -> Iterator[tuple[Tensor, Tensor]]:
        """Yield batches on the device; a GPU is given the next ones while it works."""
        if self.device.type != "cuda" or self.x.device.type == "cuda":
            yield from super().__iter__()
            return
        self.randomize()
        batches = map(self.do_batch, self.chunkify(self.get_idxs()))
        for x, y in sent_ahead(batches, self.device):
            yield self.after_batch((x, y))

    def after_batch(self, b: tuple[Tensor, Tensor]) -> tuple[Tensor, Tensor]:
        """Augment on the device."""
        x, y = b
        return (x if self.augment is None else self.augment(x)), y


def sent_ahead(
    batches: Iterator[tuple[Tensor, Tensor]], device: torch.device
) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield batches on a GPU, taken and sent there while it works on those before.

    Parameters
    ----------
    batches : iterator of (Tensor, Tensor)
        In ordinary memory; read in a thread of its own.
    device : torch.device
    """

    def taken() -> tuple[Tensor, Tensor] | None:
        batch = next(batches, None)
        return None if batch is None else (batch[0].pin_memory(), batch[1].pin_memory())

    waiting: deque[Future[tuple[Tensor, Tensor] | None]] = deque()
    with ThreadPoolExecutor(1, "batches") as pool:
        waiting.extend(pool.submit(taken) for _ in range(AHEAD))
        while (batch := waiting.popleft().result()) is not None:
            waiting.append(pool.submit(taken))
            x, y = batch
            yield x.to(device, non_blocking=True), y.to(device, non_blocking=True)
