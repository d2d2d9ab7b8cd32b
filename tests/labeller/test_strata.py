"""The setting split_method = "stratified": each split gets its share of each class."""

from __future__ import annotations

from collections import Counter
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from PIL import Image

from labeller.config import Settings
from labeller.errors import ConfigError
from labeller.project import Project, create_project
from labeller.services.importing import import_sources
from labeller.services.splits import split_of
from labeller.services.strata import Strata
from tests.labeller.imports import items, labels, table

SIZES = {"cat": 40, "dog": 20, "owl": 10}
SHARES = {"train": 0.72, "valid": 0.18, "audit": 0.1}


def draw(path: Path, seed: int, side: int = 48) -> None:
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC).save(path)


def class_folders(root: Path, start: int = 0) -> Path:
    seed = start
    for name, number in SIZES.items():
        (root / name).mkdir(parents=True)
        for place in range(number):
            draw(root / name / f"{name}-{start}-{place:02}.png", seed)
            seed += 1
    return root


def counts(project: Project) -> Counter[tuple[str, str]]:
    named = labels(project)
    return Counter((named[Path(one.path).name], one.split) for one in items(project))


def stratified(folder: Path) -> Project:
    return create_project(folder, [], workers=1, split_method="stratified")


def test_each_split_has_its_share_of_each_class(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "first")
    project = stratified(tmp_path / "p")
    import_sources(project, [source])
    for times in (1, 2):
        found = counts(project)
        for name, number in SIZES.items():
            for split, share in SHARES.items():
                assert abs(found[name, split] - share * number * times) <= 2, found
            assert found[name, "audit"], "no class is missing"
        if times == 1:
            again = stratified(tmp_path / "again")
            import_sources(again, [source])
            assert +counts(again) == +found, "the same again"
            import_sources(project, [class_folders(tmp_path / "second", 1_000)])


def test_without_labels_and_by_default_the_hash_decides(tmp_path: Path) -> None:
    source = class_folders(tmp_path / "photos")
    project = stratified(tmp_path / "p")
    import_sources(project, [source], labels="none")
    plain = create_project(tmp_path / "plain", [], workers=1)
    import_sources(plain, [source])
    for one in [*items(project), *items(plain)]:
        assert one.split == split_of(one.group, 0.1, 0.2)


def test_groups_and_near_duplicates_stay_whole(tmp_path: Path) -> None:
    folder = tmp_path / "photos"
    folder.mkdir()
    rows = [["path", "label", "group"]]
    for seed in range(40):
        name = "cat" if seed % 4 else "dog"
        draw(folder / f"{seed}-a.png", seed)
        draw(folder / f"{seed}-b.png", seed, side=61)
        group = f"g{seed // 2}" if seed < 20 else ""
        rows += [[str(folder / f"{seed}-{shot}.png"), name, group] for shot in "ab"]
    project = stratified(tmp_path / "p")
    import_sources(project, [table(tmp_path / "list.csv", rows)])
    found = {Path(one.path).stem: one for one in items(project)}
    assert len(found) == 80
    for seed in range(40):
        assert found[f"{seed}-a"].group == found[f"{seed}-b"].group
    splits: dict[str, set[str]] = {}
    for one in found.values():
        splits.setdefault(one.group, set()).add(one.split)
    assert all(len(some) == 1 for some in splits.values())
    held = counts(project)
    assert held["cat", "audit"]
    assert held["dog", "audit"]


@given(
    st.lists(st.tuples(st.sampled_from("abc"), st.text(max_size=3)), max_size=120),
    st.floats(0, 0.5),
    st.floats(0, 0.5),
)
def test_no_split_of_a_class_strays_from_its_share(
    drawn: list[tuple[str, str]], audit: float, valid: float
) -> None:
    strata = Strata(Settings(split_method="stratified", audit_share=audit, valid_share=valid))
    held: dict[str, Counter[str]] = {}
    for number, (label, group) in enumerate(drawn):
        split = strata.draw(f"{group}{number}", label)
        strata.count(label, split)
        held.setdefault(label, Counter())[split] += 1
    shares = {"train": (1 - audit) * (1 - valid), "valid": (1 - audit) * valid, "audit": audit}
    for some in held.values():
        for name, share in shares.items():
            assert abs(some[name] - share * some.total()) <= 3


def test_an_unknown_method_is_told(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["a"], workers=1, split_method="by name")
    with pytest.raises(ConfigError, match="'by name' is none: write hash or stratified"):
        import_sources(project, [class_folders(tmp_path / "photos")])
