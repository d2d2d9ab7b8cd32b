"""The images that a fine-tuning reads: decoded once, kept on the disk while it lasts."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing

import numpy as np
import torch

from labeller.errors import RoundError
from labeller.learning.fitting import Labelled
from labeller.learning.images import decoded
from labeller.learning.snapshot import Labels
from labeller.learning.synthetic import Synthetic, squares
from labeller.progress import Progress
from labeller.project import Project
from labeller.squares import Bytes


def load_images(
    project: Project,
    labels: Labels,
    size: int,
    progress: Progress,
    synthetic: Synthetic | None = None,
) -> Labelled:
    """Decode images once, into memory-mapped pixels that training reads from.

    Parameters
    ----------
    project : Project
    labels : Labels
        n items and their classes.
    size : int
        Side of the images in pixels.
    progress : Progress
    synthetic : Synthetic, optional
        Pictures that come behind.

    Returns
    -------
    Labelled
        Images as bytes (m, size, size, 3); unreadable ones are left out.

    Raises
    ------
    JobCancelled
        When the work should stop.
    RoundError
        When the disk has no room for them.
    """
    column = dict(zip(labels.ids.tolist(), labels.columns.tolist(), strict=True))
    total = len(labels) + (0 if synthetic is None else len(synthetic))
    pixels = _room(project, total, size)
    kept: list[int] = []
    with closing(decoded(project, labels.ids, size)) as parts:
        for part in parts:
            progress.check()
            pixels[len(kept) : len(kept) + len(part.ids)] = part.pixels
            kept += [column[i] for i in part.ids.tolist()]
    if synthetic is not None:
        paths = [one.path or "" for one in synthetic.records]
        for rows, made in squares(project, paths, size, progress):
            pixels[len(kept) : len(kept) + len(rows)] = made
            kept += synthetic.columns[rows].tolist()
    return Labelled(torch.from_numpy(pixels[: len(kept)]), torch.tensor(kept, dtype=torch.int64))


def _room(project: Project, images: int, size: int) -> Bytes:
    """Return room for pixels (images, size, size, 3) in a file without a name.

    The file goes with the array, or with the process. Its pages are there before anybody writes:
    one that could not be would end the process.
    """
    shape = (max(1, images), size, size, 3)
    needed = int(np.prod(shape))
    try:
        with tempfile.TemporaryFile(dir=project.models) as file:
            os.posix_fallocate(file.fileno(), 0, needed)
            return np.memmap(file, np.uint8, "r+", shape=shape)
    except OSError as error:
        raise RoundError(
            f"{project.models}: the images to train on need {needed / 1e6:,.0f} MB there "
            f"({error.strerror or error}). Make room on the disk, then start the round again."
        ) from error
