"""What a snapshot holds is bounded, and each thing beyond is refused in one sentence."""

from __future__ import annotations

import hashlib
import json
import re
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from labeller.errors import SnapshotError
from labeller.project import Project, create_project, look_at_project, open_project
from labeller.services import classes
from labeller.services.importing import import_sources
from labeller.services.snapshot_files import ITEMS, MANIFEST
from labeller.services.snapshot_restore import restore_snapshot
from labeller.services.snapshots import export_snapshot
from store.records import NewEvent
from tests.labeller.pictures import folder_of
from tests.labeller.test_snapshots import change, lines, rewrite, state

Act = Callable[[Path], None]
Told = dict[str, Any]

WIPE = "\x1b[2J\x1b]0;owned\x07"


def make_project(root: Path, **settings: Any) -> Project:
    """Return a project with four images, two labels, a flag, and an archived class."""
    folder_of(root / "photos", 4)
    project = create_project(root / "project", ["cat", "dog", "old"], workers=1, **settings)
    import_sources(project, [root / "photos"])
    with project.store.write() as unit:
        cat, dog, old = (one.id for one in unit.classes.all())
        events = [
            NewEvent("a", "label", 1, cat),
            NewEvent("b", "label", 2, dog),
            NewEvent("c", "flag", 3, reason="blurred"),
            NewEvent("d", "label", 4, old),
        ]
        unit.labels.record("ann", "s", "page", events, 1.0)
    classes.archive(project, old)
    return project


@pytest.fixture(scope="module")
def exported(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("exported")
    return export_snapshot(make_project(folder), folder / "snapshot").folder


@pytest.fixture
def snapshot(exported: Path, tmp_path: Path) -> Path:
    folder = tmp_path / "snapshot"
    shutil.copytree(exported, folder)
    return folder


def told(folder: Path) -> Told:
    manifest: Told = json.loads((folder / MANIFEST).read_text())
    return manifest


def setting(**values: Any) -> Act:
    return lambda folder: state(folder, settings=told(folder)["settings"] | values)


def count(**values: Any) -> Act:
    return lambda folder: state(folder, counts=told(folder)["counts"] | values)


def recipe(**values: Any) -> Act:
    usual = {"backbone": "efficientnet_lite0", "size": 64, "parts": ["final"]}
    return lambda folder: state(folder, backbone={"name": "x", "recipe": usual | values})


def old_class(**values: Any) -> Act:
    """Return what changes the archived class, which no page shows."""

    def act(folder: Path) -> None:
        rows = told(folder)["classes"]
        state(folder, classes=[one | values if one["archived"] else one for one in rows])

    return act


def many_classes(archived: bool) -> Act:
    def act(folder: Path) -> None:
        rows = told(folder)["classes"]
        more = [
            rows[0] | {"id": 100 + i, "name": f"c{i}", "key": None, "archived": archived}
            for i in range(25_000)
        ]
        state(folder, classes=rows + more)

    return act


def number(name: str, text: str) -> Act:
    """Return what puts a number into an item as it stands, be it JSON or not."""

    def act(folder: Path) -> None:
        rows = [json.dumps(row) for row in lines(folder)]
        rows[1] = rows[1].replace(f'"{name}": ', f'"{name}": {text}, "was": ', 1)
        data = "".join(f"{row}\n" for row in rows).encode()
        (folder / ITEMS).write_bytes(data)
        state(folder, items_sha256=hashlib.sha256(data).hexdigest())

    return act


def many_annotators(folder: Path) -> None:
    row = next(row for row in lines(folder) if row["state"] == "flagged")
    names = [f"a{i}" for i in range(10_001)]
    rewrite(folder, [row | {"annotator": name} for name in names])
    count(items=len(names), labels=0, compared=0)(folder)


def terminal_path(folder: Path) -> None:
    change(1, path=f"x{WIPE}")(folder)
    state(folder, images="reference")


def endless(folder: Path) -> None:
    """Go on after the last item that the manifest counts, with what is no item."""
    with (folder / ITEMS).open("ab") as file:
        file.write(b"x\n" * 200_000)


def large_manifest(folder: Path) -> None:
    with (folder / MANIFEST).open("ab") as file:
        file.truncate(1 << 40)


ACTS: dict[str, tuple[Act, str]] = {
    "classes": (many_classes(archived=False), "25,003 classes are more than 25,000"),
    "archived classes": (many_classes(archived=True), "25,003 classes are more than 25,000"),
    "archived name": (old_class(name="x" * 101), "is longer than 100 characters"),
    "endless archived name": (old_class(name="x" * 4_000_000), "name is longer than"),
    "archived name of two lines": (old_class(name="cat\nx"), "line break or control"),
    "archived name of nothing": (old_class(name=""), "class name is empty"),
    "archived colour": (old_class(colour="red;}</style>"), "is no colour"),
    "endless archived colour": (old_class(colour="#" * 4_000_000), "colour is longer than"),
    "archived key": (old_class(key="<script>"), "'<script>' cannot label"),
    "position": (old_class(position=2**63 - 1), "position = 9223372036854775807 cannot be"),
    "class number": (old_class(id=10**4_000), "id = 1000"),
    "half a character": (old_class(name="\ud800"), "half a character"),
    "notes": (lambda f: state(f, notes=["x"] * 101), "101 notes are more than 100"),
    "note": (lambda f: state(f, notes=["x" * 2_001]), "note is longer than 2,000 characters"),
    "note to a terminal": (lambda f: state(f, notes=[WIPE]), "control character"),
    "versions": (lambda f: state(f, versions={f"p{i}": "1" for i in range(101)}), "more than 100"),
    "version": (lambda f: state(f, versions={"torch": WIPE}), "control character"),
    "package": (lambda f: state(f, versions={WIPE: "1"}), "control character"),
    "version of no text": (lambda f: state(f, versions={"torch": {}}), "torch is no str"),
    "moment": (lambda f: state(f, created="2" * 1_000), "created is longer than"),
    "old moment": (lambda f: state(f, created="0001-01-01T00:00:00+23:59"), "cannot be"),
    "version number": (lambda f: state(f, version="9" * 5_000_000), "is of version '999"),
    "image kind": (lambda f: state(f, images="x" * 5_000_000), "is none of copy, reference"),
    "items": (count(items=10**18), "items = 1000000000000000000 cannot be"),
    "labels": (count(labels=5), "labels = 5 cannot be"),
    "fewer labels": (count(labels=1), "holds 3 labels, snapshot.json says 1"),
    "compared": (count(compared=10**6), "compared = 1000000 cannot be"),
    "setting NaN": (setting(label_smoothing=float("nan")), "'NaN' is no number"),
    "setting infinite": (setting(audit_share=float("-inf")), "'-Infinity' is no number"),
    "setting out of range": (setting(batch=10**9), "batch = 1000000000 is out of range"),
    "setting of many digits": (setting(seed=2**64), "more digits than can be kept"),
    "setting of a list": (setting(mixture=[[]] * 9), "mixture is neither text nor a number"),
    "endless setting": (setting(mixture="random=1+" * 9_999), "mixture is longer than"),
    "setting with half a character": (setting(strategy="\udfff"), "half a character"),
    "unknown settings": (setting(**{"x" * 5_000_000: 1, "y": 2}), "unknown settings"),
    "setting of the machine": (setting(workers=200), "settings 'workers'"),
    "recipe of infinite size": (recipe(size=float("inf")), "'Infinity' is no number"),
    "recipe of a large size": (recipe(size=10**6), "is no recipe"),
    "recipe of half a size": (recipe(size=64.5), "is no whole number"),
    "recipe without a size": (
        lambda f: state(f, backbone={"recipe": {"backbone": "efficientnet_lite0"}}),
        "'size' is missing",
    ),
    "recipe of many parts": (recipe(parts=["final"] * 9_999), "is no recipe"),
    "recipe with weights": (recipe(weights="../" * 99), "is no recipe"),
    "recipe with a backbone": (recipe(backbone="timm/" + "x" * 999), "is no recipe"),
    "manifest": (large_manifest, "is larger than 16,777,216 bytes"),
    "path": (change(1, path="/" + "x" * 4_096), "line 2: path is longer than 4,096 characters"),
    "group": (change(1, group="x" * 4_097), "line 2: group is longer than 4,096 characters"),
    "no group": (change(1, group=""), "line 2: group is empty"),
    "group with half a character": (change(1, group="\udcff"), "line 2: group holds"),
    "annotator": (change(1, annotator="x" * 1_001), "line 2: annotator is longer than"),
    "reason": (change(2, reason="x" * 1_001), "line 3: reason is longer than"),
    "annotators": (many_annotators, "more than 10,000 annotators"),
    "path to a terminal": (terminal_path, r"x\x1b[2J\x1b]0;owned\x07: is no absolute path"),
    "width": (change(1, width=2**31), "line 2: width = 2147483648 cannot be"),
    "height of half": (change(1, height=1.5), "line 2: height = 1.5 cannot be"),
    "bytes": (change(1, bytes=2**60), "line 2: bytes = 1152921504606846976 cannot be"),
    "bytes NaN": (number("bytes", "NaN"), "line 2: 'NaN' is no number"),
    "bytes infinite": (number("bytes", "1e999"), "line 2: '1e999' is no number"),
    "bytes of many digits": (number("bytes", "9" * 9_000), "line 2: is no JSON"),
    "early": (change(1, time="0001-01-01T00:00:00+23:59"), "line 2: time = "),
    "late": (change(1, time="9999-12-31T00:00:00Z"), "line 2: time = "),
    "endless time": (change(1, time="2026-01-01T00:00:00." + "0" * 9_999 + "Z"), "time is longer"),
    "endless state": (change(1, state="x" * 60_000), "line 2: state = 'xxx"),
    "endless items": (endless, "is not the file that snapshot.json was written with"),
}


@pytest.mark.parametrize("name", ACTS)
def test_each_is_refused_in_one_sentence(snapshot: Path, tmp_path: Path, name: str) -> None:
    act, reason = ACTS[name]
    act(snapshot)
    with pytest.raises(SnapshotError) as caught:
        restore_snapshot(snapshot, tmp_path / "again")
    text = str(caught.value)
    assert reason in text
    assert str(snapshot) in text or "terminal" in name  # that one names the image
    assert re.search("anew|again|newer one", text)  # the mend
    assert len(text) < 600 + len(str(snapshot))
    assert text.isprintable()
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot"]


def test_what_is_just_within_comes_in(snapshot: Path, tmp_path: Path) -> None:
    change(1, group="g" * 4_096, path="/" + "x" * 4_095)(snapshot)
    change(2, reason="r" * 1_000, time="1970-01-01T00:00:00Z")(snapshot)
    old_class(name="o" * 100)(snapshot)
    rows = lines(snapshot)
    digest = hashlib.sha256()
    names = {one["id"]: one["name"] for one in told(snapshot)["classes"]}
    for split, key in ((("train", "valid"), "label_hash"), (("audit",), "audit_hash")):
        named = [
            f"{row['sha256']}\t{names[row['class_id']]}\t{row['split']}\n"
            for row in rows
            if row["class_id"] and row["split"] in split
        ]
        digest = hashlib.sha256("".join(sorted(named)).encode())
        state(snapshot, **{key: digest.hexdigest()})
    made = restore_snapshot(snapshot, tmp_path / "again")
    assert (made.items, made.labels) == (4, 3)


def test_images_that_do_not_fit_are_not_begun(
    snapshot: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: SimpleNamespace(free=1_000))
    with pytest.raises(SnapshotError, match=r"0 MB are free\. Make room there, or name another"):
        restore_snapshot(snapshot, tmp_path / "far" / "again")
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot"]


def test_what_an_earlier_version_wrote_of_its_machine_is_this_ones(
    snapshot: Path, tmp_path: Path
) -> None:
    setting(decode_memory_mb=999_999)(snapshot)
    made = restore_snapshot(snapshot, tmp_path / "again")
    assert open_project(made.root).settings.decode_memory_mb == 0


def test_nothing_is_made_before_all_was_read(snapshot: Path, tmp_path: Path) -> None:
    change(-1, bytes=2**60)(snapshot)
    shutil.rmtree(snapshot / "images")
    with pytest.raises(SnapshotError, match="line 4: bytes"):
        restore_snapshot(snapshot, tmp_path / "again")


def command(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    words = [sys.executable, "-P", "-m", "labeller", *map(str, arguments)]
    return subprocess.run(words, capture_output=True, text=True, timeout=120, check=False)


def test_the_command_says_it_and_makes_nothing(snapshot: Path, tmp_path: Path) -> None:
    setting(label_smoothing=float("nan"))(snapshot)
    done = command("snapshot", "--restore", snapshot, "--to", tmp_path / "again")
    assert done.returncode == 1
    assert "Traceback" not in done.stderr
    assert "snapshot.json: 'NaN' is no number that can be kept" in done.stderr
    assert [path.name for path in tmp_path.iterdir()] == ["snapshot"]


def test_a_backbone_of_a_snapshot_is_asked_about(tmp_path: Path) -> None:
    project = make_project(tmp_path, backbone="timm/resnet18")
    export_snapshot(project, tmp_path / "snapshot")
    done = command("snapshot", "--restore", tmp_path / "snapshot", "--to", tmp_path / "again")
    assert done.returncode == 0, done.stderr
    assert "4 items, 3 labels" in done.stdout
    assert "labeller trust" in done.stdout
    done = command(
        "snapshot", "--restore", tmp_path / "snapshot", "--to", tmp_path / "other", "--json"
    )
    assert json.loads(done.stdout)["trusted"] is False
    refused = command("round", tmp_path / "again")
    assert refused.returncode == 1
    assert "(backbone)" in refused.stderr
    with look_at_project(tmp_path / "again").store.read() as unit:
        assert unit.items.count().labelled == 3
