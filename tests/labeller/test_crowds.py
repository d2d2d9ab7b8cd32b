"""Many images that look alike: every split gets its share of them, in pieces that stay whole."""

from __future__ import annotations

import hashlib
import tempfile
from collections import Counter
from functools import cache
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from labeller.project import Project, create_project
from labeller.services import label_files, leak_guard
from labeller.services.crowds import Crowds
from labeller.services.import_twins import Newcomer, Twins
from labeller.services.importing import ImportReport, import_sources
from labeller.services.splits import burst_size, piece_size, split_in_crowd, split_of
from store.records import ItemRecord, NewItem, Split
from store.records_leaks import LinkRecord
from tests.labeller.imports import items, table

FRAMES = 100


@cache
def scene(seed: int, width: int = 80) -> np.ndarray:
    """Return a picture with detail that noise does not hide."""
    rng = np.random.default_rng(seed)
    coarse = Image.fromarray(rng.integers(0, 256, (6, width // 8), np.uint8))
    smooth = np.asarray(coarse.resize((width, 60), Image.Resampling.BICUBIC), float)
    return smooth + rng.normal(0, 20, smooth.shape)


def frame(kind: str, number: int, rng: np.random.Generator) -> np.ndarray:
    """Return a frame of a camera; every third has something in it."""
    if kind == "pan":
        place = number * 4
        pixels = scene(1, 80 + 4 * FRAMES)[:, place : place + 80]
    elif kind == "scanner":
        pixels = np.full((60, 80), 245.0)
        pixels[5:8, 8:40] = pixels[5:50, 70:72] = 20
    elif kind == "night":
        pixels = 14 + scene(1) / 12
    else:
        pixels = scene(1 + (kind == "two" and number % 2))
    pixels = pixels + rng.normal(0, 1, pixels.shape) + rng.integers(-6, 7)
    if number % 3 == 0:
        top, left = rng.integers(10, 40), rng.integers(5, 60)
        pixels[top : top + 9, left : left + 9] += 60
    return pixels.clip(0, 255).astype(np.uint8)


def record(folder: Path, kind: str, number: int = FRAMES) -> list[Path]:
    folder.mkdir()
    made = []
    for place in range(number):
        path = folder / f"{place:03}.png"
        Image.fromarray(frame(kind, place, np.random.default_rng(place))).save(path)
        made.append(path)
    return made


def brought_in(
    folder: Path, frames: list[Path], first: Split, workers: int = 1
) -> tuple[Project, ImportReport]:
    """Import frames, the first of which lies in a split of its own choice."""
    project = create_project(folder / f"project-{first}-{workers}", ["empty"], workers=workers)
    import_sources(
        project, [table(folder / f"{first}.csv", [["path", "split"], [str(frames[0]), first]])]
    )
    return project, import_sources(project, [frames[0].parent])


@pytest.mark.parametrize("kind", ["fixed", "two", "scanner", "night", "pan"])
@pytest.mark.parametrize("first", ["audit", "train"])
def test_every_split_has_its_share_of_a_crowd(tmp_path: Path, kind: str, first: Split) -> None:
    project, report = brought_in(tmp_path, record(tmp_path / "frames", kind), first)
    found = items(project)
    empty = Counter(one.split for one in found if int(Path(one.path).stem) % 3)
    everything = Counter(one.split for one in found)
    assert empty["train"] >= empty.total() / 5, empty
    assert empty["audit"] > 0
    assert everything["audit"] <= 2 * 0.1 * FRAMES, everything
    assert everything["unused"] <= burst_size(FRAMES)
    told = " ".join(report.notes)
    assert (f"{everything['unused']} images look like ones of the audit set" in told) == bool(
        everything["unused"]
    )
    if kind in ("fixed", "scanner"):
        assert "spread over all splits" in told


def test_more_processes_spread_a_crowd_as_well(tmp_path: Path) -> None:
    frames = record(tmp_path / "frames", "fixed")
    project, _ = brought_in(tmp_path, frames, "valid", workers=3)
    found = Counter(one.split for one in items(project))
    assert found["train"] >= FRAMES / 2
    assert 5 <= found["audit"] <= 0.2 * FRAMES


def test_a_burst_is_no_crowd(tmp_path: Path) -> None:
    frames = record(tmp_path / "frames", "fixed", 12)
    project, report = brought_in(tmp_path, frames, "train")
    assert {one.split for one in items(project)} == {"train"}
    assert not any("spread" in note for note in report.notes)


def test_labels_of_what_is_put_aside_are_told(tmp_path: Path) -> None:
    frames = record(tmp_path / "frames", "fixed", 20)
    project, report = brought_in(tmp_path, frames, "audit")
    aside = [one for one in items(project) if one.split == "unused"]
    assert len(aside) == 10
    assert any("10 images look like ones of the audit set" in note for note in report.notes)
    assert leak_guard.tell_put_aside(project) == ""
    rows = [["path", "class"], *[[one.path, "empty"] for one in aside[:3]]]
    label_files.label_from_csv(project, table(tmp_path / "labels.csv", rows), "ann")
    assert leak_guard.tell_put_aside(project).startswith("3 labels are of images put aside")
    assert leak_guard.overview(project).unused_labels == 3
    rows = [["path", "split", "label"], [str(frames[-1]), "unused", "empty"]]
    again = import_sources(project, [table(tmp_path / "again.csv", rows)])
    assert any(note.startswith("4 labels are of images") for note in again.notes)


@pytest.mark.parametrize("first", ["audit", "train"])
def test_embeddings_of_a_crowd_do_not_gather_it_again(tmp_path: Path, first: Split) -> None:
    project, _ = brought_in(tmp_path, record(tmp_path / "frames", "fixed"), first)
    before = {one.id: one.split for one in items(project)}
    ids = sorted(before)
    rng = np.random.default_rng(0)
    links = [
        LinkRecord(max(a, b), min(a, b), "embedding", float(rng.random()))
        for a, b in zip(ids, rng.permutation(ids).tolist(), strict=True)
        if a != b
    ]
    leak_guard.regroup(project, links)
    after = {one.id: one.split for one in items(project)}
    moved = [one for one in ids if before[one] != after[one]]
    assert len(moved) <= burst_size(FRAMES)
    held = Counter(after.values())
    assert held["train"] >= FRAMES / 2
    assert held["audit"] >= 5
    assert leak_guard.regroup(project, []) is None, "what was settled is settled"
    assert {one.id: one.split for one in items(project)} == after


def hashed(seed: int, flips: int) -> bytes:
    """Return a hash near one of three."""
    rng = np.random.default_rng(seed)
    bits = np.random.default_rng(seed % 3).integers(0, 2, 256, dtype=np.uint8)
    bits[rng.choice(256, flips, replace=False)] ^= 1
    return np.packbits(bits).tobytes()


def arrived(looks: list[bytes], batch: int) -> list[ItemRecord]:
    """Bring hashes into a project of their own, in batches, as an import does."""
    with tempfile.TemporaryDirectory() as folder:
        project = create_project(Path(folder) / "p", ["a"], audit_share=0.3)
        twins = Twins(project.settings)
        twins.expect(len(looks))
        for start in range(0, len(looks), batch):
            names = [
                hashlib.sha256(f"{start + row}".encode()).hexdigest()
                for row in range(len(looks[start : start + batch]))
            ]
            newcomers = [Newcomer(one) for one in looks[start : start + batch]]
            with project.store.write() as unit:
                twins.compare(unit, newcomers)
                for name, one in zip(names, newcomers, strict=True):
                    one.named(name, split_of(name, 0.3, 0.2), free=True)
                twins.place(unit, newcomers)
                made = [
                    NewItem(name, name, True, 9, 9, "PNG", 9, one.group, one.split)
                    for name, one in zip(names, newcomers, strict=True)
                ]
                for one, item in zip(newcomers, unit.items.add(made), strict=True):
                    one.item = item
                twins.added(unit, newcomers, newcomers)
        found = sorted(items(project), key=lambda one: one.id)
        project.store.close()
    return found


@settings(max_examples=6, deadline=None)
@given(
    seeds=st.lists(st.integers(0, 10**6), min_size=2, max_size=90),
    flips=st.integers(0, 12),
    batch=st.integers(1, 90),
)
def test_no_group_lies_in_training_and_in_the_audit_set(
    seeds: list[int], flips: int, batch: int
) -> None:
    looks = [hashed(seed, flips) for seed in seeds]
    found = arrived(looks, batch)
    splits: dict[str, set[str]] = {}
    for one in found:
        splits.setdefault(one.group, set()).add(one.split)
    assert all(len(some) == 1 for some in splits.values())
    at_once = arrived(looks, len(looks))
    assert [(one.group, one.split) for one in found] == [(o.group, o.split) for o in at_once]


@given(
    st.lists(st.sampled_from(["g1", "g2", "g3", "g4"]), max_size=9),
    st.integers(0, 400),
    st.floats(0.01, 0.8),
    st.floats(0, 0.8),
)
def test_a_crowd_is_drawn_to_what_it_lacks(
    names: list[str], size: int, audit: float, valid: float
) -> None:
    held: Counter[Split] = Counter()
    for number in range(size):
        held[split_in_crowd(f"{names}{number}", held, audit, valid)] += 1
    shares = {"train": (1 - audit) * (1 - valid), "valid": (1 - audit) * valid, "audit": audit}
    for split, share in shares.items():
        assert abs(held[split] - share * size) <= 3  # type: ignore[index]


def test_crowds_hang_together_through_others() -> None:
    crowds = Crowds()
    crowds.add(1, "train")
    crowds.add(2, "audit", [1])
    crowds.add(-1, "unused")
    crowds.add(-2, "valid", [-1, 99])
    assert crowds.around([1]) == {"train": 1, "audit": 1}
    crowds.rename({-1: 7, -2: 8})
    assert crowds.around([8, 99]) == {"unused": 1, "valid": 1}
    crowds.add(9, "train", [2, 8])
    assert crowds.around([1]).total() == crowds.around([7, 9]).total() == 5
    crowds.add(9, "audit", [1])
    assert crowds.around([9])["audit"] == 1, "known already"


def test_sizes_grow_with_the_project() -> None:
    assert [burst_size(n) for n in (10, 400, 10_000)] == [20, 20, 500]
    assert [piece_size(n) for n in (10, 400, 10_000)] == [3, 4, 20]
