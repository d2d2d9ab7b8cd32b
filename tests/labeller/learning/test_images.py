"""Decoding ahead: order, shapes, and images that cannot be read."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labeller.errors import JobCancelled
from labeller.learning import device
from labeller.learning.extraction import compute_missing
from labeller.learning.features import median_side, open_features
from labeller.learning.images import Ints, decoded, gathered, square
from labeller.project import Project
from store.records import NewItem
from tests.labeller.learning.shapes import Told, add_shapes, picture, shapes

CPU = device.choose("cpu")


def test_images_come_in_the_order_asked_for(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 45, workers=3)
    (project.root / "images" / "0007.png").unlink()
    asked = np.random.default_rng(0).permutation(np.arange(1, 46))
    parts = list(gathered(decoded(project, asked, 32), 20))
    ids = np.concatenate([part.ids for part in parts])
    assert ids.tolist() == [i for i in asked.tolist() if i != 8]
    (bad,) = [one for part in parts for one in part.unreadable]
    assert (bad.item_id, bad.path) == (8, "images/0007.png")
    pixels = np.concatenate([part.pixels for part in parts])
    assert pixels.shape == (44, 32, 32, 3)
    for item, found in zip(ids[:5], pixels[:5], strict=True):
        seed = int(item) - 1
        assert np.array_equal(found, square(Image.fromarray(picture(seed % 3, seed)), 32))


def test_a_panorama_keeps_its_detail(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 1)
    stripes = np.zeros((100, 3000, 3), np.uint8)
    stripes[:50] = 255
    Image.fromarray(stripes).save(project.root / "images" / "wide.jpg", quality=95)
    with project.store.write() as unit:
        new = NewItem("f" * 64, "images/wide.jpg", True, 3000, 100, "JPEG", 1, "g", "train")
        (item,) = unit.items.add([new])
    (part,) = decoded(project, np.array([item]), 64)
    assert part.pixels.shape == (1, 64, 64, 3)
    assert part.pixels[0, :28].min() > 200
    assert part.pixels[0, 36:].max() < 55


def test_paths_out_of_the_project_are_not_followed(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 1)
    with project.store.write() as unit:
        new = NewItem("f" * 64, "../secret.png", True, 9, 9, "PNG", 1, "g", "train")
        (item,) = unit.items.add([new])
    (part,) = decoded(project, np.array([item]), 64)
    assert "outside the project" in part.unreadable[0].reason


def test_the_median_side(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 3, side=20)
    add_shapes(project, range(3, 9), side=60)
    assert median_side(project, np.arange(1, 10)) == 60


def features_in(project: Project, ids: Ints, progress: Told) -> list[int]:
    """Compute what is missing and return which items have features."""
    features = open_features(project, ids)
    compute_missing(project, features, ids, CPU, progress)
    return [int(item) for item in features.having(ids)]


def test_cancelled_features_stay_and_are_not_computed_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("labeller.learning.extraction.WRITE_PIXELS", 64 * 64 * 32)
    project = shapes(tmp_path / "p", 150)
    ids = np.arange(1, 151)

    class Impatient(Told):
        def check(self) -> None:
            if self.details[-1]["done"] >= 64:
                raise JobCancelled("enough")

    with pytest.raises(JobCancelled):
        features_in(project, ids, Impatient())
    kept = open_features(project, ids).having(ids).tolist()
    assert kept == list(range(1, len(kept) + 1))
    assert 64 <= len(kept) < 150
    told = Told()
    assert features_in(project, ids, told) == ids.tolist()
    assert told.details[-1]["total"] == 150 - len(kept)
    assert features_in(project, ids, Told()) == ids.tolist()


def test_features_do_not_depend_on_what_is_computed_with_them(tmp_path: Path) -> None:
    project = shapes(tmp_path / "p", 70)
    ids = np.arange(1, 71)
    features_in(project, ids[:3], Told())
    alone = open_features(project, ids).read(ids[:3])
    for file in project.vectors.iterdir():
        file.unlink()
    features_in(project, ids, Told())
    assert np.allclose(open_features(project, ids).read(ids[:3]), alone, rtol=0.01, atol=0.01)
