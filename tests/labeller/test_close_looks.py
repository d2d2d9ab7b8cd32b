"""Pictures that were cropped or turned a little are found by a fit, others are not."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import skimage.data
from PIL import Image

from labeller.progress import Silent
from labeller.project import Project, create_project
from labeller.services import leak_guard
from labeller.services.alignment import ALIKE, agreement, grey_square
from labeller.services.close_looks import (
    coarse_looks,
    find_close_looks,
    loosely_alike,
    note_compared,
)
from labeller.services.import_twins import as_words
from labeller.services.importing import import_sources
from tests.labeller.imports import Recording, items

SIDE = 128
NAMES = ("astronaut", "chelsea", "coffee", "rocket", "camera")


def photo(name: str) -> Image.Image:
    """Cut the centre out of a photo."""
    image = Image.fromarray(getattr(skimage.data, name)()).convert("RGB")
    left, top = (image.width - 256) // 2, (image.height - 256) // 2
    return image.crop((left, top, left + 256, top + 256)).resize((SIDE, SIDE))


def cropped(share: float) -> Callable[[Image.Image], Image.Image]:
    edge = round(SIDE * share / 2)
    return lambda image: image.crop((edge, edge, SIDE - edge, SIDE - edge))


ALTERED: dict[str, Callable[[Image.Image], Image.Image]] = {
    "crop 4 %": cropped(0.04),
    "crop 8 %": cropped(0.08),
    "turn 2": lambda image: image.rotate(2, Image.Resampling.BICUBIC),
    "turn -2": lambda image: image.rotate(-2, Image.Resampling.BICUBIC),
    "shift": lambda image: image.crop((3, 0, SIDE, SIDE - 4)),
    "crop, darker": lambda image: cropped(0.04)(image).point(lambda level: level * 0.8),
}


@pytest.mark.parametrize("alter", ALTERED.values(), ids=ALTERED)
def test_the_same_picture_agrees(alter: Callable[[Image.Image], Image.Image]) -> None:
    found = [agreement(grey_square(photo(n)), grey_square(alter(photo(n)))) for n in NAMES]
    assert sum(one >= ALIKE for one in found) >= len(NAMES) - 1, found
    assert max(found) <= 1 + 1e-9


def test_other_pictures_do_not() -> None:
    rng = np.random.default_rng(0)
    squares = [grey_square(photo(name)) for name in NAMES]
    squares += [rng.normal(128, 20, squares[0].shape), np.full_like(squares[0], 90.0)]
    for row, one in enumerate(squares):
        for other in squares[:row]:
            assert agreement(one, other) < ALIKE / 2


def test_coarse_looks_are_the_lowest_frequencies() -> None:
    bits = np.zeros((1, 16, 16), np.uint8)
    bits[0, 3, 7] = bits[0, 8, 0] = bits[0, 0, 8] = 1
    words = as_words([np.packbits(bits).tobytes()])
    assert np.bitwise_count(coarse_looks(words)).tolist() == [1]


def test_what_is_linked_already_is_not_fitted() -> None:
    rng = np.random.default_rng(1)
    bits = rng.integers(0, 2, (4, 16, 16), dtype=np.uint8)
    bits[1] = bits[2] = bits[3] = bits[0]
    bits[1, 8:, :6] ^= 1  # 48 bits, none of the lowest
    bits[2, 8:, 6:12] ^= 1
    words = as_words([np.packbits(one).tobytes() for one in bits])
    found = [(rows.tolist(), far.tolist()) for rows, far in loosely_alike(words, 1)]
    assert found == [([0], [48]), ([0, 1], [48, 96]), ([], [])]


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Return five photos, each with two altered copies."""
    source = tmp_path / "photos"
    source.mkdir()
    for name in NAMES:
        photo(name).save(source / f"{name}-a.png")
        cropped(0.04)(photo(name)).save(source / f"{name}-b.png")
        photo(name).rotate(2, Image.Resampling.BICUBIC).save(source / f"{name}-c.png")
    made = create_project(tmp_path / "p", ["a"], workers=1)
    import_sources(made, [source])
    return made


def test_copies_come_into_the_group_of_their_original(project: Project) -> None:
    told = Recording()
    links = find_close_looks(project, "guard", told)
    by_id = {one.id: Path(one.path).stem for one in items(project)}
    for link in links:
        assert by_id[link.item_id][:-2] == by_id[link.other_id][:-2]
    assert {stage for stage, _, _ in told.steps} == {"guard"}
    run = leak_guard.regroup(project, links)
    assert run is not None
    groups: dict[str, set[str]] = {}
    for one in items(project):
        groups.setdefault(Path(one.path).stem[:-2], set()).add(one.group)
    assert sum(len(some) for some in groups.values()) <= len(NAMES) + 2, groups
    splits = {
        one.group: {o.split for o in items(project) if o.group == one.group} - {"unused"}
        for one in items(project)
    }
    assert all(len(some) == 1 for some in splits.values())


def test_only_what_is_new_is_compared(project: Project) -> None:
    last = max(one.id for one in items(project))
    with project.store.write() as unit:
        note_compared(unit, last - 3)
    found = find_close_looks(project, "guard", Silent())
    assert found
    assert all(link.item_id > last - 3 for link in found)
    with project.store.write() as unit:
        note_compared(unit, last)
    assert find_close_looks(project, "guard", Silent()) == []


def test_an_image_that_is_gone_is_passed_over(project: Project) -> None:
    for one in items(project):
        Path(one.path).unlink()
    for file in project.thumbnails.rglob("*.*"):
        file.unlink()
    assert find_close_looks(project, "guard", Silent()) == []
