"""The images that a fine-tuning reads: decoded once, kept on the disk while it lasts."""

from __future__ import annotations

import os
import tempfile
from contextlib import closing
from dataclasses import dataclass, replace

import numpy as np
import torch

from labeller.errors import RoundError
from labeller.learning.fitting import Labelled
from labeller.learning.images import Unreadable, decoded
from labeller.learning.snapshot import Labels
from labeller.learning.synthetic import Synthetic, squares
from labeller.progress import Progress
from labeller.project import Project
from labeller.services.feature_recipes import Recipe
from labeller.squares import Bytes, Resize


@dataclass(frozen=True, slots=True, eq=False)
class Pictures:
    """What could be read of some items: `labels` (n,), and of their children: `synthetic` (m,).

    `examples` are their images as bytes (n + m, size, size, 3) with their columns, in that order;
    `lost` are the items that could not be read.
    """

    examples: Labelled
    labels: Labels
    synthetic: Synthetic | None
    lost: tuple[Unreadable, ...]


MARGIN = 8 / 7  # how much larger cropped images are before random parts are taken: 256 for 224


def seen_in_training(recipe: Recipe) -> Resize:
    """Return how images are resized for training: cropped ones leave room for random parts."""
    if recipe.method != "crop":
        return recipe.resize
    return replace(recipe.resize, side=round(recipe.size * MARGIN))


def load_images(
    project: Project,
    labels: Labels,
    resize: Resize,
    progress: Progress,
    synthetic: Synthetic | None = None,
) -> Pictures:
    """Decode images once, into memory-mapped pixels that training reads from.

    Parameters
    ----------
    project : Project
    labels : Labels
        Items and their classes.
    resize : Resize
    progress : Progress
    synthetic : Synthetic, optional
        Pictures that come behind; those whose parent cannot be read are left out.

    Returns
    -------
    Pictures

    Raises
    ------
    JobCancelled
        When the work should stop.
    RoundError
        When the disk has no room for them.
    """
    total = len(labels) + (0 if synthetic is None else len(synthetic))
    pixels = _room(project, total, resize.side)
    kept: list[int] = []
    lost: list[Unreadable] = []
    with closing(decoded(project, labels.ids, resize)) as parts:
        for part in parts:
            progress.check()
            pixels[len(kept) : len(kept) + len(part.ids)] = part.pixels
            kept += part.ids.tolist()
            lost += part.unreadable
    labels = labels.among(np.array(kept, np.int64))
    columns, n = labels.columns, len(labels)
    if synthetic is not None:
        synthetic = _behind(project, synthetic.within(labels.ids), pixels[n:], resize, progress)
        columns = np.concatenate([columns, synthetic.columns])
    examples = Labelled(torch.from_numpy(pixels[: len(columns)]), torch.from_numpy(columns))
    return Pictures(examples, labels, synthetic, tuple(lost))


def _behind(
    project: Project, synthetic: Synthetic, pixels: Bytes, resize: Resize, progress: Progress
) -> Synthetic:
    """Decode synthetic pictures into the first of `pixels`; return those that can be read."""
    done = 0
    readable = np.zeros(len(synthetic), np.bool_)
    paths = [one.path or "" for one in synthetic.records]
    for rows, made in squares(project, paths, resize, progress):
        pixels[done : done + len(rows)] = made
        readable[rows] = True
        done += len(rows)
    return synthetic.only(readable)


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
