"""One bit flipped in each kind of file of a project: it is named, made anew or refused.

Never is it used in silence, and never does anything but a sentence come out.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import partial
from io import BytesIO
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from labeller import tokens
from labeller.errors import EvaluationError, ImageError, LabellerError, RoundError
from labeller.learning import heads, saved
from labeller.learning.pool_files import PoolFiles
from labeller.project import KEY_FILE, Project, open_project
from labeller.services import audit_files, backups, originals, snapshots, thumbnails
from labeller.services.snapshot_restore import restore_snapshot
from store.errors import StoreError, VectorError
from store.records import ItemRecord, ModelRecord, NewEvent
from store.vectors import HEADER, VectorFile, name_file
from tests.labeller.learning.shapes import label, run, shapes

REFUSED = (LabellerError, StoreError)
ITEMS = np.arange(1, 41)
SHORT = 4
LONG = pytest.param(150, marks=pytest.mark.faults)


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A project of 40 images after a round, closed; nothing in it is ever changed."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("LABELLER_STATE", str(tmp_path_factory.mktemp("state")))
        patch.setattr(heads, "HeadConfig", partial(heads.HeadConfig, epochs=3, steps=18))
        root = tmp_path_factory.mktemp("whole") / "p"
        project = shapes(root, 40, side=300, thumbnail_pixels=64, card_pixels=256)
        label(project, range(1, 31))
        run(project)
        for item in list_items(project):
            for size in ("thumb", "card"):
                thumbnails.thumbnail(project, item, size)
        project.store.close()
        yield root


@pytest.fixture
def project(whole: Path, tmp_path: Path) -> Iterator[Project]:
    """A copy of the whole one, open."""
    shutil.copytree(whole, tmp_path / "p")
    opened = open_project(tmp_path / "p")
    yield opened
    opened.store.close()


def list_items(project: Project) -> list[ItemRecord]:
    with project.store.read() as unit:
        return unit.items.page(limit=1000)


def model_in_use(project: Project) -> ModelRecord:
    with project.store.read() as unit:
        model = unit.models.in_use()
    assert model is not None
    return model


@contextmanager
def flipped(path: Path, place: int) -> Iterator[None]:
    """Have one bit of a file flipped, counted from its beginning."""
    before = path.read_bytes()
    changed = bytearray(before)
    changed[place >> 3] ^= 1 << (place & 7)
    overwrite(path, bytes(changed))
    try:
        yield
    finally:
        overwrite(path, before)


def overwrite(path: Path, data: bytes) -> None:
    with path.open("r+b") as file:  # the same file still, as a disk would change it
        file.write(data)


def places(path: Path, number: int, end: int | None = None) -> list[int]:
    """Return the first and last bit of a file, and some drawn from between."""
    bits = 8 * (path.stat().st_size if end is None else end)
    rng = np.random.default_rng([number, bits])
    return [0, bits - 1, *rng.integers(bits, size=number).tolist()]


def check_sentence(error: BaseException) -> None:
    """What is said is one text for people, with no trace of code."""
    text = str(error)
    assert len(text.split()) > 4
    assert "Traceback" not in text
    assert "\n" not in text.strip()


def read_vectors(path: Path, whole: Path) -> VectorFile:
    """Open a vector file as the program does: knowing what it should hold."""
    about = json.loads((whole / "vectors" / path.name).read_bytes()[:HEADER])
    return VectorFile.open(path, about["dim"], about["dtype"], about["tag"])


@pytest.mark.parametrize("number", [SHORT, LONG])
@pytest.mark.parametrize("end", ["", ".has", ".sum"])
@pytest.mark.parametrize("kind", ["features", "predictions", "energies"])
def test_vectors(
    project: Project,
    whole: Path,
    kind: str,
    end: str,
    number: int,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (path,) = (p for p in project.vectors.glob(f"{kind}-*") if p.name == name_file(p))
    damaged = path.with_name(f"{path.name}{end}")
    known = read_vectors(path, whole)
    true = known.read(ITEMS)
    bits = path.with_name(f"{path.name}.has").read_bytes()
    row = known.dim * known.dtype.itemsize
    last = HEADER + 41 * row if end == "" else None
    begin = HEADER * 8 + row * 8 if end == "" else 0  # the first row that there is
    for place in [*places(damaged, number, last), begin, begin + 5]:
        caplog.clear()
        with flipped(damaged, place):
            if end == "" and place < HEADER * 8:
                with pytest.raises(VectorError, match=r"Delete (it|this one)|another file") as told:
                    read_vectors(path, whole)
                check_sentence(told.value)
                continue
            file = read_vectors(path, whole)
            there = read_twice(file, true, caplog)
            assert there >= len(ITEMS) - 1
            if end == "" and place >= begin:
                assert there == len(ITEMS) - 1
        overwrite(path.with_name(f"{path.name}.has"), bits)


def read_twice(file: VectorFile, true: np.ndarray, caplog: pytest.LogCaptureFixture) -> int:
    """Return how many items have vectors, after what is damaged was named; those are right."""
    there = ITEMS[file.has(ITEMS)]
    try:
        file.read(there)
    except VectorError as error:
        check_sentence(error)
        assert_named(str(error), file, caplog)
    there = ITEMS[file.has(ITEMS)]
    np.testing.assert_array_equal(file.read(there), true[np.isin(ITEMS, there)])
    return len(there)


def assert_named(text: str, file: VectorFile, caplog: pytest.LogCaptureFixture) -> None:
    assert "Run a round" in text
    assert str(file.path) in caplog.text
    assert "1 item (" in caplog.text


@pytest.mark.usefixtures("quick")
def test_the_next_round_makes_vectors_anew(
    project: Project, whole: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (path,) = project.vectors.glob("features-*.f16")
    file = read_vectors(path, whole)
    true = file.read(ITEMS)
    for item in (2, 35):
        data = bytearray(path.read_bytes())
        data[HEADER + item * file.dim * 2 + 11] ^= 64
        overwrite(path, bytes(data))
    assert run(project)["queued"] > 0
    assert "2 items (2, 35)" in caplog.text
    assert path.name in caplog.text
    np.testing.assert_allclose(file.read(ITEMS), true, rtol=0.01, atol=0.01)


@pytest.mark.usefixtures("quick")
def test_predictions_that_were_damaged_are_found_missing(project: Project) -> None:
    model = model_in_use(project)
    (path,) = project.vectors.glob("predictions-*.f32")
    files = PoolFiles.open(path, len(model.class_ids), project.file(model.path).name)
    assert files.missing(ITEMS).tolist() == []
    with (
        flipped(path, (HEADER + 3 * files.probs.dim * 4) * 8 + 1),
        flipped(files.energies.path, (HEADER + 9 * 4) * 8 + 30),
    ):
        assert files.missing(ITEMS).tolist() == [3, 9]


@pytest.mark.parametrize("number", [SHORT, LONG])
def test_models(project: Project, number: int) -> None:
    model = model_in_use(project)
    folder = project.file(model.path)
    files = sorted(folder.iterdir())
    assert len(files) >= 4
    saved.load_model(project, model)
    for path in files:
        for place in places(path, number):
            with flipped(path, place):
                with pytest.raises(RoundError, match=r"damaged or changed") as raised:
                    saved.load_model(project, model)
                check_sentence(raised.value)
                assert str(folder) in str(raised.value)
                if path.name in (audit_files.ALL, audit_files.LABELLED):
                    with pytest.raises(EvaluationError, match=path.name) as told:
                        audit_files.read(project, model)
                    check_sentence(told.value)
    saved.load_model(project, model)


def read_pixels(data: bytes) -> np.ndarray:
    with Image.open(BytesIO(data)) as image:
        return np.asarray(image)


@pytest.mark.parametrize("number", [SHORT, LONG])
@pytest.mark.parametrize("size", ["thumb", "card"])
def test_thumbnails_and_card_images(project: Project, size: thumbnails.Size, number: int) -> None:
    item = list_items(project)[0]
    path, _ = thumbnails.thumbnail(project, item, size)
    assert path.is_relative_to(project.thumbnails)
    true = path.read_bytes()
    for place in places(path, number):
        changed = bytearray(true)
        changed[place >> 3] ^= 1 << (place & 7)
        path.write_bytes(changed)
        shown, _ = thumbnails.thumbnail(project, item, size)
        # a bit in the words before the checksum costs the check and no pixel
        assert np.array_equal(read_pixels(shown.read_bytes()), read_pixels(true)), place
        path.write_bytes(true)


@pytest.mark.parametrize("number", [SHORT, LONG])
def test_images(project: Project, number: int) -> None:
    item = list_items(project)[0]
    path = project.file(item.path)
    shutil.rmtree(project.thumbnails)
    for place in places(path, number):
        with flipped(path, place):
            for use in (
                lambda: originals.verify_original(project, item),
                lambda: thumbnails.thumbnail(project, item, "thumb"),
            ):
                with pytest.raises(ImageError, match="changed since it was imported") as raised:
                    use()
                check_sentence(raised.value)
    assert originals.verify_original(project, item) == path


@pytest.mark.parametrize("number", [SHORT, LONG])
def test_the_key(project: Project, number: int) -> None:
    token = tokens.make(project, "ann")
    assert tokens.check(token).project.root == project.root
    path = project.root / KEY_FILE
    for place in places(path, number):
        with flipped(path, place):
            with pytest.raises(LabellerError) as raised:
                tokens.check(token)
            check_sentence(raised.value)


def use_project(root: Path) -> None:
    """Open a project, read all of it, and label one image."""
    project = open_project(root)
    try:
        with project.store.read() as unit:
            items = unit.items.page(limit=1000)
            for item in items:
                unit.labels.history(item.id)
            unit.models.all()
            unit.rounds.all()
            unit.jobs.all(100)
            unit.classes.all()
        with project.store.write() as unit:
            class_id = unit.classes.all()[0].id
            event = NewEvent("one more", "label", items[-1].id, class_id)
            unit.labels.record("ann", "s", "page", [event], 1.0)
    finally:
        project.store.close()


@pytest.mark.parametrize("number", [SHORT, LONG])
@pytest.mark.parametrize("name", ["project.toml", "labeller.db"])
def test_settings_and_database(project: Project, tmp_path: Path, name: str, number: int) -> None:
    project.store.close()
    true = (project.root / name).read_bytes()
    database = (project.root / "labeller.db").read_bytes()
    end = 8 * len(true)
    header = list(range(0, 8 * 100, 97))  # what names the file and says how long its pages are
    for place in [*header, *places(project.root / name, number)]:
        if place >= end:
            continue
        for file in project.root.glob("labeller.db*"):
            file.unlink()
        (project.root / "labeller.db").write_bytes(database)
        with flipped(project.root / name, place):
            try:
                use_project(project.root)
            except REFUSED as error:
                check_refusal(error)
    (project.root / "labeller.db").write_bytes(database)


def check_refusal(error: BaseException) -> None:
    assert len(str(error).split()) > 4
    assert "Traceback" not in str(error)
    assert "sqlite3." not in str(error)


@pytest.mark.parametrize("number", [SHORT, LONG])
def test_snapshots(project: Project, tmp_path: Path, number: int) -> None:
    folder = tmp_path / "snapshot"
    snapshots.export_snapshot(project, folder, "copy")
    files = [folder / "snapshot.json", folder / "items.jsonl", *folder.glob("images/**/*.png")][:4]
    for path in files:
        check_each(path, number, partial(restore_snapshot, folder), path.suffix == ".json")


@pytest.mark.parametrize("number", [SHORT, LONG])
def test_backups(project: Project, tmp_path: Path, number: int) -> None:
    made = backups.make_backup(project, tmp_path / "b.zip")
    check_each(made.file, number, partial(backups.restore_backup, made.file), some=True)


def check_each(path: Path, number: int, restore: Callable[[Path], object], some: bool) -> None:
    """Each flipped bit is refused in a sentence; where `some`, a bit may mean nothing."""
    target = path.parent.parent / "again" if path.suffix != ".zip" else path.with_name("again")
    refused = 0
    for place in places(path, number):
        with flipped(path, place):
            try:
                restore(target)
            except REFUSED as error:
                refused += 1
                check_refusal(error)
            else:
                assert some, f"{path.name}: bit {place} was taken as it is"
        shutil.rmtree(target, ignore_errors=True)
    assert refused
