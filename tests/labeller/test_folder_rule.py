"""What folders are taken for: one rule over places and numbers of images, and why."""

from __future__ import annotations

import pytest

from labeller.services.folder_names import find_neutral, split_named
from labeller.services.folder_rule import FolderDecision, decide_folders
from labeller.services.import_sources import Labels


def decide(
    places: str, classes: str = "", labels: Labels = "auto", damaged: str = ""
) -> FolderDecision:
    """Decide about folders that are written as ``cat:3 train/dog``; ``.`` is the source itself."""
    folders = {}
    for place in places.split():
        path, _, number = place.partition(":")
        folders[tuple(part for part in path.split("/") if part != ".")] = int(number or 1)
    return decide_folders(folders, classes.split(), labels, frozenset(damaged.split()))


@pytest.mark.parametrize(
    ("places", "classes", "splits", "without"),
    [
        # Split folders over class folders, in any spelling, with something around them.
        ("train/cat:4 train/dog:4 valid/cat:2 valid/dog:2", "cat6 dog6", "train8 valid4", 0),
        ("Train/cat TEST/cat Train/dog TEST/dog", "cat2 dog2", "train2 audit2", 0),
        ("set/train/cat set/train/dog set/val/cat", "cat2 dog1", "train2 valid1", 0),
        ("images/train/a images/dev/a images/test/b", "a2 b1", "train1 valid1 audit1", 0),
        ("train/images/cat test/images/dog", "cat1 dog1", "train1 audit1", 0),
        ("training_set/a/x training_set/b/x test_set/a/x", "", "train2 audit1", 3),
        ("train/cat train/dog test:5", "cat1 dog1", "train2 audit5", 5),
        ("train/cat train/dog unlabelled:7", "cat1 dog1", "", 7),
        ("train/cat test/dog extra/dog", "cat1 dog2", "train1 audit1", 0),
        ("train/0 train/1 test/0", "02 11", "train2 audit1", 0),
        # Splits in the class folders.
        ("cat/train cat/test dog/train dog/validation", "cat2 dog2", "train2 valid1 audit1", 0),
        ("cat/train dog/train", "cat1 dog1", "", 0),
        # A lone split says nothing; a class may be called like one.
        ("train/cat train/dog", "cat1 dog1", "", 0),
        ("car train plane", "car1 plane1 train1", "", 0),
        ("train:3 val:2", "", "train3 valid2", 5),
        # Class folders, with images beside them.
        ("cat:3 dog:2 .:4", "cat3 dog2", "", 4),
        ("animals/cat animals/dog animals:2", "cat1 dog1", "", 2),
        ("0 1 2 10", "01 11 21 101", "", 0),
        ("Cat:2 cat:3 dog", "cat5 dog1", "", 0),
        ("n01440764 n01443537", "n014407641 n014435371", "", 0),
        # Names of cameras, dates and plain ones are no classes.
        ("DCIM/100CANON DCIM/101CANON", "", "", 2),
        ("100canon 101_PANA 102MSDCF 100D3100", "", "", 4),
        ("IMG_0001 DSC00123", "", "", 2),
        ("2026-01-03 2026-01-04", "", "", 2),
        ("20260103 20260104_berlin", "", "", 2),
        ("2026/01 2026/02 2025/12/24", "", "", 3),
        ("photos images", "", "", 2),
        ("cat/100CANON cat/2026-01-03 dog/images", "cat2 dog1", "", 0),
        ("cat dog photos:4", "cat1 dog1", "", 4),
        # One folder alone, and folders in folders, could mean anything.
        ("cat", "", "", 1),
        ("birds/robin birds/wren mammals/cat", "", "", 3),
        (".:9", "", "", 9),
    ],
)
def test_a_project_without_classes(places: str, classes: str, splits: str, without: int) -> None:
    decision = decide(places)
    assert " ".join(f"{name}{number}" for name, number in decision.classes) == classes
    assert " ".join(f"{name}{number}" for name, number in decision.splits) == splits
    assert decision.unlabelled == without
    assert decision.taken == bool(classes)
    assert decision.reason


@pytest.mark.parametrize(
    ("places", "classes", "found"),
    [
        ("cat x", "cat", {"cat": 1}),
        ("x y", "cat", {}),
        ("cat .:3", "cat", {"cat": 1}),
        ("Cat DOG", "cat dog", {"cat": 1, "dog": 1}),
        ("cat/a cat/b", "cat", {"cat": 2}),
        ("birds/robin things/cup", "robin cup", {"cup": 1, "robin": 1}),
        ("train/cat test/cat", "cat", {"cat": 2}),
        ("train test", "train test", {"test": 1, "train": 1}),
        ("photos drawings", "photos drawings", {"drawings": 1, "photos": 1}),
        ("cafe\u0301 x", "caf\u00e9", {"caf\u00e9": 1}),
        ("ca\u200bt do\u00adg", "cat dog", {"cat": 1, "dog": 1}),
    ],
)
def test_a_project_with_classes(places: str, classes: str, found: dict[str, int]) -> None:
    decision = decide(places, classes)
    assert dict(decision.classes) == found
    assert decision.taken == bool(found)


@pytest.mark.parametrize(
    ("places", "classes", "found"),
    [
        ("x .:2", "cat", {"x": 1}),
        ("newt/deep cat", "cat dog", {"cat": 1, "newt": 1}),
        ("birds/robin birds/wren mammals/cat", "", {"birds": 2, "mammals": 1}),
        ("birds/robin mammals/cat", "robin", {"mammals": 1, "robin": 1}),
        ("DCIM/100CANON DCIM/101CANON", "", {"100CANON": 1, "101CANON": 1}),
        ("train/cat valid/cat", "", {"cat": 2}),
        ("train valid", "", {}),
        ("train", "", {}),
        ("cat images", "", {"cat": 1, "images": 1}),
    ],
)
def test_folders_by_request(places: str, classes: str, found: dict[str, int]) -> None:
    assert dict(decide(places, classes, "folders").classes) == found


def test_no_labels_by_request_leaves_the_splits() -> None:
    decision = decide("train/cat test/dog", "cat", "none")
    assert (decision.taken, decision.unlabelled) == (False, 2)
    assert dict(decision.splits) == {"train": 1, "audit": 1}


def test_very_many_folders_are_classes_when_they_are_full() -> None:
    full = " ".join(f"c{n}:10" for n in range(257))
    assert len(decide(full).classes) == 257
    thin = " ".join(f"c{n}:1" for n in range(257))
    decision = decide(thin)
    assert not decision.taken
    assert "257 folders with 1.0 images each" in decision.reason
    assert "--labels folders" in decision.option
    assert len(decide(thin, labels="folders").classes) == 257


def test_every_decision_that_takes_nothing_says_what_does() -> None:
    for places in ("x", "photos", "2026-01-03 2026-01-04", "a/b c/d"):
        assert "--labels folders" in decide(places).option, places
    assert "--labels folders" in decide("x y", "cat").option


def test_damaged_names_are_never_classes() -> None:
    for labels in ("auto", "folders"):
        decision = decide("M÷we K÷nig cat dog", labels=labels, damaged="M÷we K÷nig")
        assert dict(decision.classes) == {"cat": 1, "dog": 1}
        assert [f.why for f in decision.folders if not f.label] == ["its name is damaged"] * 2


@pytest.mark.parametrize(
    ("name", "why"),
    [
        ("100CANON", "camera"),
        ("101_FUJI", "camera"),
        ("103gopro", "camera"),
        ("100RECNX", "camera"),
        ("IMG_20260103", "camera"),
        ("03.01.2026", "date"),
        ("2026-01-03_12-30-00", "date"),
        ("January 2026", "date"),
        ("2026-W05", "date"),
        ("New folder (2)", "plain"),
        ("Camera Roll", "plain"),
        ("Bilder", "plain"),
        ("to_label", "unsorted"),
        ("001.ak47", None),
        ("101 dalmatians", None),
        ("7", None),
        ("May", None),
        ("20261399", None),
        ("robin", None),
    ],
)
def test_names_that_are_nobody_s_class(name: str, why: str | None) -> None:
    assert find_neutral([name], 0) == why


@pytest.mark.parametrize(
    ("name", "split"),
    [
        ("train", "train"),
        ("TRAINING", "train"),
        ("val", "valid"),
        ("validation_set", "valid"),
        ("Dev", "valid"),
        ("test images", "audit"),
        ("holdout", "audit"),
        ("trains", None),
        ("contest", None),
    ],
)
def test_names_of_splits(name: str, split: str | None) -> None:
    assert split_named(name) == split
