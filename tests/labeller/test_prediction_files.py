"""Keys of predictions: whoever asked finds each image again, whatever became of it."""

from __future__ import annotations

import csv
import json
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labeller.project import Project, create_project
from labeller.services import predicting
from labeller.services.prediction_files import predict_to_file
from tests import predicted
from tests.predicted import add_model, share_of


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose model is the small process."""
    monkeypatch.setattr(predicting, "COMMAND", predicted.COMMAND)
    made = create_project(tmp_path / "pets", ["cat", "dog"], start_workers=False)
    add_model(made)
    return made


def image(path: Path, seed: int) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    pixels = np.random.default_rng(seed).integers(0, 255, (10, 10, 3), dtype=np.uint8)
    Image.fromarray(pixels).save(path)
    return path


def table(path: Path, *rows: str) -> Path:
    path.write_text("\n".join(rows) + "\n", "utf-8")
    return path


def keyed(project: Project, *sources: Path) -> dict[str, Any]:
    """Return, by key, why an image was not predicted, or the probability of its first class."""
    out = project.root.parent / "out.jsonl"
    predict_to_file(project, sources, out)
    rows = [json.loads(line) for line in out.read_text("utf-8").splitlines()]
    found = {row["key"]: row["error"] or row["probabilities"]["cat"] for row in rows}
    assert len(found) == len(rows)
    return found


def test_labels_groups_and_splits_of_a_table_are_nothing_to_predictions(
    project: Project, tmp_path: Path
) -> None:
    files = [image(tmp_path / f"{n}.png", n) for n in range(4)]
    rows = ["0.png,k0,holdout,,x", "1.png,k1,train,g,", "2.png,k2,audit,g,", "3.png,k3,,,no class"]
    head = "path,key,split,group,label,class,label"
    found = keyed(project, table(tmp_path / "list.csv", head, *rows))
    assert found == {f"k{n}": share_of(file) for n, file in enumerate(files)}


def test_a_row_that_is_refused_keeps_its_key(project: Project, tmp_path: Path) -> None:
    good = image(tmp_path / "0.png", 0)
    rows = ["key,path", "k0,0.png", "k1,", ",", '"a', 'b","c', 'd"', 'k2,"0.png', "k3,0.png"]
    listed = table(tmp_path / "list.csv", *rows)
    found = keyed(project, listed)
    quote = "a quote is still open in line {}"
    assert found == {
        "k0": share_of(good),
        "k1": "its path is empty",
        "line 5": quote.format(7),
        "k2": quote.format(9),
    }
    more = keyed(project, listed, good)
    assert more == {f"list.csv/{key}": told for key, told in found.items()} | {
        "0.png": share_of(good)
    }


def test_entries_that_are_refused_have_the_keys_of_the_others(
    project: Project, tmp_path: Path
) -> None:
    good = image(tmp_path / "0.png", 0)
    with zipfile.ZipFile(tmp_path / "z.zip", "w") as archive:
        archive.write(good, "in/good.png")
        archive.write(good, "../out.png")
        archive.writestr("in/more.zip", b"PK")
    found = keyed(project, tmp_path / "z.zip")
    assert found == {
        "in/good.png": share_of(good),
        "../out.png": "its name leads out of the archive",
        "in/more.zip": "it is an archive inside the archive",
    }
    assert keyed(project, tmp_path / "z.zip", good).keys() == {
        "0.png",
        *(f"z.zip/{key}" for key in found),
    }


def test_sources_of_the_same_name_are_told_apart_by_the_folders_above(
    project: Project, tmp_path: Path
) -> None:
    places = ["a/day1/photos/0.png", "a/day2/photos/0.png", "b/day2/photos/0.png", "one/0.png"]
    files = [image(tmp_path / place, seed) for seed, place in enumerate(places)]
    found = keyed(project, *(file.parent for file in files))
    names = ["day1/photos/0.png", "a/day2/photos/0.png", "b/day2/photos/0.png", "one/0.png"]
    assert found == {name: share_of(file) for name, file in zip(names, files, strict=True)}
    single = keyed(project, files[0], files[3], image(tmp_path / "1.png", 9))
    assert single.keys() == {"photos/0.png", "one/0.png", "1.png"}


def test_a_table_has_the_same_keys(project: Project, tmp_path: Path) -> None:
    for day in ("day1", "day2"):
        image(tmp_path / day / "photos" / "0.png", 0)
    out = tmp_path / "out.csv"
    predict_to_file(project, [tmp_path / day / "photos" for day in ("day1", "day2")], out)
    with out.open(encoding="utf-8", newline="") as file:
        keys = [row["key"] for row in csv.DictReader(file)]
    assert sorted(keys) == ["day1/photos/0.png", "day2/photos/0.png"]
