"""Images that look like known ones come into their group, through real imports."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labeller.config import Settings
from labeller.project import Project, create_project
from labeller.services import import_writer, leak_guard, mergers, old_looks, splits
from labeller.services.import_twins import LINKS, Newcomer, Twins, as_words, look_alikes
from labeller.services.importing import import_sources
from labeller.services.splits import split_of
from store.records import ItemRecord, NewItem, Split
from store.records_leaks import LinkRecord
from store.store import Unit
from tests.labeller.imports import Recording, items, table


def scene(seed: int, side: int = 96) -> Image.Image:
    """Draw a picture that differs from every other seed's, with little fine detail."""
    pixels = np.random.default_rng(seed).integers(0, 256, (12, 12, 3), dtype=np.uint8)
    return Image.fromarray(pixels).resize((side, side), Image.Resampling.BICUBIC)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "project", ["cat", "dog"], workers=1)


@pytest.fixture
def source(tmp_path: Path) -> Path:
    """Six scenes as PNG."""
    folder = tmp_path / "photos"
    folder.mkdir()
    for seed in range(6):
        scene(seed).save(folder / f"{seed}.png")
    return folder


def by_name(project: Project) -> dict[str, ItemRecord]:
    return {Path(item.path).name: item for item in items(project)}


def links(project: Project) -> list[LinkRecord]:
    with project.store.read() as unit:
        return unit.leaks.links_of([item.id for item in items(project)])


def test_a_copy_joins_the_group_of_its_original(project: Project, source: Path) -> None:
    import_sources(project, [source])
    for seed in range(6):
        scene(seed).resize((50, 50)).save(source / f"{seed}-small.jpg", quality=60)
        scene(seed + 100).save(source / f"{seed}-other.png")
    report = import_sources(project, [source])
    assert (report.added, report.known) == (12, 6)
    found = by_name(project)
    for seed in range(6):
        first, copy = found[f"{seed}.png"], found[f"{seed}-small.jpg"]
        assert (copy.group, copy.split) == (first.sha256, first.split)
        other = found[f"{seed}-other.png"]
        assert other.group == other.sha256
        assert other.split == split_of(other.sha256, 0.1, 0.2)
    assert {(one.item_id, one.other_id, one.method) for one in links(project)} == {
        (found[f"{n}-small.jpg"].id, found[f"{n}.png"].id, "hash") for n in range(6)
    }


def test_a_mirrored_copy_joins_too(project: Project, source: Path) -> None:
    import_sources(project, [source])
    scene(2).transpose(Image.Transpose.FLIP_LEFT_RIGHT).save(source / "turned.png")
    import_sources(project, [source])
    found = by_name(project)
    assert found["turned.png"].group == found["2.png"].sha256
    assert found["turned.png"].split == found["2.png"].split
    (link,) = links(project)
    assert link.method == "mirror"


def test_copies_in_one_import(project: Project, source: Path) -> None:
    for number in range(8):
        scene(1).resize((40 + number, 40 + number)).save(source / f"1-{number}.jpg")
    import_sources(project, [source])
    found = [item for name, item in by_name(project).items() if name.startswith("1")]
    assert len({item.group for item in found}) == 1
    assert len({item.split for item in found}) == 1
    first = min(found, key=lambda item: item.id)
    assert first.group == first.sha256


def test_a_group_that_was_named_stays_and_is_linked(
    project: Project, source: Path, tmp_path: Path
) -> None:
    import_sources(project, [source])
    scene(1).resize((60, 60)).save(source / "copy.png")
    rows = [["path", "group", "split"], [str(source / "copy.png"), "patient 7", "audit"]]
    import_sources(project, [table(tmp_path / "list.csv", rows)])
    found = by_name(project)
    assert (found["copy.png"].group, found["copy.png"].split) == ("patient 7", "audit")
    (link,) = links(project)
    assert (link.item_id, link.other_id) == (found["copy.png"].id, found["1.png"].id)
    with project.store.read() as unit:
        assert unit.leaks.unchecked() == [link]


@pytest.mark.parametrize("batch", [2, pytest.param(300, marks=pytest.mark.slow)])
@pytest.mark.parametrize(("split", "beside"), [("train", "train"), ("audit", "unused")])
def test_a_burst_that_one_group_cannot_hold_stays_in_its_split(
    tmp_path: Path,
    source: Path,
    monkeypatch: pytest.MonkeyPatch,
    split: Split,
    beside: Split,
    batch: int,
) -> None:
    monkeypatch.setattr(mergers, "LARGE", 3)
    monkeypatch.setattr(import_writer, "BATCH", batch)
    project = create_project(
        tmp_path / "project", ["cat"], workers=1, audit_share=0.5, valid_share=0.5
    )
    rows = [["path", "split"], [str(source / "1.png"), split]]
    import_sources(project, [table(tmp_path / "list.csv", rows)])
    for number in range(12):
        scene(1).resize((40 + number, 40 + number)).save(source / f"1-{number}.jpg")
    import_sources(project, [source])
    burst = [item for name, item in by_name(project).items() if name.startswith("1")]
    first = by_name(project)["1.png"]
    assert first.split == split
    assert {item.split for item in burst if item.group != first.group} == {beside}
    groups = Counter(item.group for item in burst)
    assert sorted(groups.values()) == [1, 3, 3, 3, 3]
    assert groups[first.group] == 3
    assert leak_guard.overview(project).apart == 0
    with project.store.read() as unit:
        assert unit.leaks.unchecked(), "what is in two groups is noted"

    (run,) = leak_guard.overview(project).runs
    assert run.joined == 12
    assert leak_guard.undo(project, run.id) == 12
    for item in by_name(project).values():
        assert item.group == item.sha256
    assert leak_guard.regroup(project, []) is None, "what was taken back stays apart"


def test_a_camera_that_never_moves_does_not_fill_one_split(
    tmp_path: Path, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mergers, "LARGE", 3)
    monkeypatch.setattr(splits, "LOOKS", 5)
    monkeypatch.setattr(import_writer, "BATCH", 10)
    project = create_project(tmp_path / "project", ["cat"], workers=1, audit_share=0.4)
    for number in range(60):
        scene(1).resize((40 + number, 40 + number)).save(source / f"1-{number}.jpg")
    import_sources(project, [source])
    found = Counter(item.split for item in by_name(project).values())
    assert min(found["audit"], found["train"]) >= 6, found
    assert leak_guard.overview(project).apart


@pytest.mark.parametrize("first", ["train", "audit"])
def test_groups_of_one_burst_come_into_one_split(
    project: Project,
    source: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    first: Split,
) -> None:
    """They were imported before bursts stayed together, or were named."""
    monkeypatch.setattr(mergers, "LARGE", 1)
    for number in range(3):
        scene(1).resize((60 + number, 60 + number)).save(source / f"1-{number}.png")
    names = ["1.png", "1-0.png", "1-1.png", "1-2.png"]
    before = dict(zip(names, (first, "valid", "train", "valid"), strict=True))
    rows = [["path", "group", "split"]]
    rows += [[str(source / name), f"burst {name}", split] for name, split in before.items()]
    import_sources(project, [table(tmp_path / "list.csv", rows)])
    run = leak_guard.regroup(project, [])
    assert run is not None
    found = by_name(project)
    after = "train" if first == "train" else "unused"
    assert [found[name].split for name in names] == [first, after, after, after]
    assert len({found[name].group for name in names}) == 4
    assert (run.apart, leak_guard.overview(project).apart) == (0, 0)
    assert leak_guard.regroup(project, []) is None, "nothing is new"
    more = [["path", "group"], [str(source / "5.png"), "burst 1-0.png"]]
    import_sources(project, [table(tmp_path / "more.csv", more)])
    assert by_name(project)["5.png"].split == after, "a group takes its newcomers along"
    assert leak_guard.undo(project, run.id) == run.joined
    assert [by_name(project)[name].split for name in names] == list(before.values())
    assert leak_guard.regroup(project, []) is None, "what was taken back stays apart"


def flipped(bits: int) -> bytes:
    """Return a hash that differs in so many bits from that of no bits, mirrored or not."""
    return ((1 << bits) - 1).to_bytes(32, "big")


def test_of_a_crowd_the_closest_of_each_group_counts() -> None:
    looks = [flipped(bits) for bits in (0, 1, 1, 2, 3, 5, 90)]
    ids, words = np.arange(11, 18), as_words(looks)

    def found(most: int = 99, groups: list[int] | None = None) -> list[list[int]]:
        numbers = None if groups is None else np.array(groups).__getitem__
        some = look_alikes([flipped(0)], ids, words, most, numbers)
        return [[one.other, one.bits] for one in some[0] if one.method == "hash"]

    everything = [[11, 0], [12, 1], [13, 1], [14, 2], [15, 3], [16, 5]]
    assert found() == everything
    assert found(99, [7] * 7) == everything, "where there is no crowd, all count"
    assert found(3, [7, 7, 7, 8, 7, 9, 9]) == [[11, 0], [14, 2], [16, 5]]
    assert found(2, [7, 7, 7, 8, 7, 9, 9]) == [[11, 0], [14, 2]]
    assert len(look_alikes([flipped(0)], ids, words, 3)[0]) == 3
    assert look_alikes([flipped(0)], ids[:0], words[:0], 3) == [[]]


def test_a_group_behind_a_crowd_is_found(project: Project) -> None:
    """One further away, but of another group than the hundred nearest."""
    with project.store.write() as unit:
        made = [
            NewItem(
                f"{n:064}", f"{n}.png", True, 9, 9, "PNG", 9, "far" if n == 77 else "g", "train"
            )
            for n in range(101)
        ]
        ids = unit.items.add(made)
        unit.leaks.add_hashes([(one, flipped(9 * (n == 77))) for n, one in enumerate(ids)])
    newcomer = Newcomer(flipped(1))
    with project.store.read() as unit:
        Twins(Settings()).compare(unit, [newcomer])
    assert [one.other for one in newcomer.matches] == [ids[0], ids[77]]


def test_each_image_of_a_crowd_has_few_links(
    project: Project, source: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mergers, "LARGE", 1)
    for number in range(15):
        scene(1).resize((60 + number, 60 + number)).save(source / f"1-{number}.png")
    import_sources(project, [source])
    each = Counter(one.item_id for one in links(project))
    assert len(each) == 15
    assert max(each.values()) == LINKS
    assert len({item.split for name, item in by_name(project).items() if name[0] == "1"}) == 1


def test_switched_off_links_are_noted_and_nobody_joins(tmp_path: Path, source: Path) -> None:
    project = create_project(tmp_path / "off", ["cat", "dog"], workers=1, leak_distance=0.0)
    scene(1).resize((60, 60)).save(source / "copy.png")
    import_sources(project, [source])
    assert len({item.group for item in items(project)}) == 7
    assert len(links(project)) == 1


def test_images_of_one_colour_are_no_near_duplicates(project: Project, tmp_path: Path) -> None:
    folder = tmp_path / "plain"
    folder.mkdir()
    for shade in range(5):
        Image.new("RGB", (64, 64), (40 * shade, 90, 9)).save(folder / f"{shade}.png")
    import_sources(project, [folder])
    assert len({item.group for item in items(project)}) == 5
    assert links(project) == []


def test_a_group_that_was_put_into_another_takes_newcomers_there(
    project: Project, source: Path, tmp_path: Path
) -> None:
    rows = [["path", "group"], *[[str(source / f"{n}.png"), f"burst {n}"] for n in range(2)]]
    import_sources(project, [table(tmp_path / "list.csv", rows)])
    with project.store.write() as unit:
        first, second = unit.items.page(order="oldest")
        number = unit.regroupings.start(0.25)
        into = unit.leaks.groups([first.id])[first.id]
        unit.regroupings.join(number, [(into, [second.group])])
    more = [["path", "group"], [str(source / "4.png"), "burst 1"]]
    import_sources(project, [table(tmp_path / "more.csv", more)])
    newcomer = by_name(project)["4.png"]
    assert (newcomer.group, newcomer.split) == (first.group, first.split)


def test_what_an_import_joins_can_be_taken_back(project: Project, source: Path) -> None:
    import_sources(project, [source])
    scene(1).resize((60, 60)).save(source / "copy.png")
    import_sources(project, [source])
    (run,) = leak_guard.overview(project).runs
    assert (run.job_id, run.joined) == (None, 1)
    (twin,) = leak_guard.twins(project, run.id)
    original = by_name(project)["1.png"]
    assert (Path(twin.item.path).name, twin.other) == ("copy.png", original)
    assert twin.change.anchor_id == original.id
    assert leak_guard.undo(project, run.id) == 1
    copy = by_name(project)["copy.png"]
    assert copy.group == copy.sha256
    assert copy.split == split_of(copy.sha256, 0.1, 0.2)


def test_two_imports_at_once_find_each_other(
    project: Project, source: Path, tmp_path: Path
) -> None:
    """What came in after the comparison is compared inside the transaction."""
    import_sources(project, [source])
    rival = tmp_path / "rival"
    rival.mkdir()
    scene(50).save(rival / "rival.png")
    scene(50).resize((70, 70)).save(source / "copy.png")
    real, calls = Twins.compare, []

    def late(self: Twins, unit: Unit, newcomers: Sequence[Newcomer]) -> None:
        real(self, unit, newcomers)
        calls.append(self)
        if len(calls) == 1:
            import_sources(project, [rival])

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Twins, "compare", late)
        import_sources(project, [source])
    found = by_name(project)
    assert found["copy.png"].group == found["rival.png"].sha256


def test_images_of_before_there_were_hashes(project: Project, source: Path, tmp_path: Path) -> None:
    scene(1).resize((60, 60)).save(source / "copy.png")
    Image.new("RGB", (64, 64), "red").save(source / "plain.png")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Twins, "added", lambda *_given: None)
        patch.setattr(Twins, "compare", lambda *_given: None)
        import_sources(project, [source])
    (source / "5.png").unlink()
    project.thumbnails.rename(tmp_path / "away")
    project.thumbnails.mkdir()
    told = Recording()
    assert old_looks.take_down(project, "guard", told) == 7
    assert told.steps == [("guard", 7, 8)]
    assert old_looks.take_down(project, "guard", told) == 0, "the lost one is tried in vain"
    (link,) = links(project)
    found = by_name(project)
    assert {link.item_id, link.other_id} == {found["copy.png"].id, found["1.png"].id}
    assert leak_guard.regroup(project, []) is not None
    found = by_name(project)
    assert found["copy.png"].group == found["1.png"].group


def test_labels_of_unused_items_come_back_unused(
    project: Project, source: Path, tmp_path: Path
) -> None:
    rows = [["path", "label", "group", "split"]]
    rows += [[str(source / "0.png"), "cat", "g", "audit"]]
    rows += [[str(source / "1.png"), "dog", "g", "unused"], [str(source / "2.png"), "dog", "", ""]]
    report = import_sources(project, [table(tmp_path / "list.csv", rows)])
    assert (report.added, report.labelled, report.failed) == (3, 3, 0)
    found = by_name(project)
    assert [found[f"{n}.png"].split for n in range(2)] == ["audit", "unused"]
