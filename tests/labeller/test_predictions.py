"""Predictions kept in the project: made by a job, gone on with, read in pages, deleted."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import time
import zipfile
from collections import Counter
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from labeller import jobs
from labeller.errors import ImageError, ImportSourceError, JobCancelled, JobError, PredictionError
from labeller.progress import Silent
from labeller.project import Project, create_project, open_project
from labeller.services import classes as class_service
from labeller.services import (
    model_shelf,
    predicting,
    prediction_images,
    prediction_index,
    predictions,
)
from labeller.services.prediction_files import LOAD, STAGE, predict_to_file
from labeller.services.prediction_index import RESULT, SUMMARY, Wanted
from labeller.services.prediction_job import run_predict_job
from labeller.services.prediction_partial import TWICE
from labeller.services.prediction_plans import FOLDER, PLAN, folder_of
from tests import predicted
from tests.predicted import THRESHOLD, add_model, predict, run, share_of, uploading

ROOT = Path(__file__).resolve().parents[2]
NUMBER = 30


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose model is the small process."""
    monkeypatch.setattr(predicting, "COMMAND", predicted.COMMAND)
    made = create_project(tmp_path / "pets", ["cat", "dog"], start_workers=False)
    add_model(made)
    return made


@pytest.fixture
def photos(tmp_path: Path) -> Path:
    """A folder of images that differ, and a file that is none."""
    folder = tmp_path / "photos"
    folder.mkdir()
    rng = np.random.default_rng(1)
    for number in range(NUMBER):
        pixels = rng.integers(0, 255, (40, 30, 3), dtype=np.uint8)
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
    (folder / "note.png").write_text("hello")
    return folder


def rows_of(project: Project, number: int) -> list[dict[str, Any]]:
    lines = (folder_of(project, number) / RESULT).read_text("utf-8").splitlines()
    return [json.loads(line) for line in lines]


def told(project: Project, number: int) -> Counter[tuple[Any, ...]]:
    """Return the rows of a prediction, whatever their order."""
    names = ("key", "class", "confidence", "energy", "error", "mend")
    return Counter(tuple(row[name] for name in names) for row in rows_of(project, number))


def numbers(project: Project, number: int, wanted: Wanted) -> list[prediction_index.Row]:
    folder = folder_of(project, number)
    rows = prediction_index.read_rows(folder)
    found = prediction_index.find(rows, wanted, THRESHOLD)
    return prediction_index.read(folder, rows, found.tolist())


def test_counts_and_rows_say_what_the_result_says(project: Project, photos: Path) -> None:
    number = predict(project, photos)
    kept = predictions.get(project, number)
    summary = kept.summary
    assert summary is not None
    shares = {file.name: share_of(file) for file in photos.glob("[0-9]*.png")}
    first = sum(share >= 0.5 for share in shares.values())
    assert (kept.state, summary.predicted, summary.failed) == ("done", NUMBER, 1)
    assert dict(zip(summary.classes, summary.counts, strict=True)) == {
        "cat": first,
        "dog": NUMBER - first,
    }
    strange = {name for name, share in shares.items() if -10 * share > THRESHOLD}
    assert summary.unfamiliar == len(strange) > 0
    assert sum(summary.confidences) == NUMBER
    assert sum(summary.confidences[:10]) == 0, "of two classes, the likelier has a half at least"

    everything = numbers(project, number, Wanted())
    sure = [max(share, 1 - share) for share in shares.values()]
    assert [row.confidence for row in everything] == sorted(sure)
    assert [row.number for row in everything] == list(range(NUMBER))
    assert all(row.probs["cat"] == shares[row.key] for row in everything)
    surest = numbers(project, number, Wanted(order="sure"))
    assert [row.confidence for row in surest] == sorted(sure, reverse=True)
    dogs = numbers(project, number, Wanted(column=summary.classes.index("dog")))
    assert {row.key for row in dogs} == {name for name, share in shares.items() if share < 0.5}
    some = numbers(project, number, Wanted(low=0.6, high=0.8))
    assert {row.key for row in some} == {
        name for name, share in shares.items() if 0.6 <= max(share, 1 - share) <= 0.8
    }
    unfamiliar = numbers(project, number, Wanted("unfamiliar", order="unfamiliar"))
    assert {row.key for row in unfamiliar} == strange
    energies = [row.energy or 0.0 for row in unfamiliar]
    assert energies == sorted(energies, reverse=True)
    (bad,) = numbers(project, number, Wanted("errors"))
    assert (bad.key, bad.error, bad.mend) == ("note.png", "it is text, no image", "Remove it.")


def test_a_page_reads_what_it_shows_and_no_more(project: Project, photos: Path) -> None:
    number = predict(project, photos)
    folder = folder_of(project, number)
    rows = prediction_index.read_rows(folder)
    assert isinstance(rows, np.memmap)
    data = bytearray((folder / RESULT).read_bytes())
    starts = [*sorted({int(at) for at in rows["at"]}), len(data)]
    wanted = {int(rows["at"][n]) for n in range(3)}
    for start, end in pairwise(starts):
        if start not in wanted:
            data[start : end - 1] = b"#" * (end - 1 - start)
    (folder / RESULT).write_bytes(data)
    assert len(prediction_index.read(folder, rows, range(3))) == 3
    with pytest.raises(PredictionError, match="it is damaged"):
        prediction_index.read(folder, rows, [3])


def test_keys_of_single_files_are_their_names(project: Project, photos: Path) -> None:
    archive = photos.parent / "more.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(photos / "05.png", "deep/five.png")
    number = predict(project, photos / "00.png", archive, photos / "01.png")
    keys = {row["key"] for row in rows_of(project, number)}
    assert keys == {"00.png", "01.png", "more.zip/deep/five.png"}


class Stops(Silent):
    """A progress that stops after some rows."""

    def __init__(self, after: int) -> None:
        self.after, self.seen = after, 0

    def update(
        self, stage: str, done: int, total: int | None, message: str = "", **detail: Any
    ) -> None:
        self.seen = done if stage == STAGE else 0

    def check(self) -> None:
        if self.seen >= self.after:
            raise JobCancelled("Stopped.")


def stopped(project: Project, after: int, *sources: Path) -> int:
    """Start a prediction and cancel it after some rows; return its number."""
    job = predictions.start(project, lambda _: list(sources))
    with project.store.write() as unit:
        claimed = unit.jobs.claim("here", 1, job_id=job.id)
    assert claimed is not None
    with pytest.raises(JobCancelled):
        run_predict_job(project, claimed, Stops(after))
    with project.store.write() as unit:
        unit.jobs.finish(job.id, "cancelled")
    number = int(job.params["prediction"])
    assert predictions.get(project, number).state == "stopped"
    return number


@pytest.fixture
def sources(photos: Path, tmp_path: Path) -> list[Path]:
    """The folder, a table with a key that comes three times, and an archive."""
    table = tmp_path / "list.csv"
    lines = [f"{key},{photos / name}" for key, name in zip("abbbc", ("00.png",) * 5, strict=True)]
    table.write_text("\n".join(["key,path", *lines, "gone,none.png"]), "utf-8")
    with zipfile.ZipFile(tmp_path / "more.zip", "w") as archive:
        archive.write(photos / "05.png", "deep/five.png")
        archive.write(photos / "note.png", "bad.png")
    return [table, photos, tmp_path / "more.zip"]


@pytest.mark.parametrize("after", [1, 4, 20])
def test_cancelled_and_gone_on_with_gives_the_rows_of_one_that_was_not(
    project: Project, sources: list[Path], after: int
) -> None:
    whole = predict(project, *sources)
    number = stopped(project, after, *sources)
    before = folder_of(project, number) / f".{RESULT}.partial"
    assert len(before.read_text("utf-8").splitlines()) == 1 + after
    predictions.resume(project, number)
    assert run(project).state == "done"
    assert told(project, number) == told(project, whole)
    assert len(told(project, whole)) == len(rows_of(project, whole)) - 1  # told twice of "b"
    assert TWICE in {row["error"] for row in rows_of(project, whole)}
    everything = numbers(project, number, Wanted())
    assert len(everything) == NUMBER + 4
    for row in everything:
        assert predictions.picture(project, number, row.number, "thumb") is not None


def test_it_can_be_cancelled_while_the_model_is_loaded(
    project: Project, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The process says nothing for longer than a test may take."""
    monkeypatch.setattr(
        predicting, "COMMAND", (sys.executable, "-c", "import time; time.sleep(900)")
    )

    class Loading(Silent):
        stage, checks = "", 0

        def update(self, stage: str, *_: Any, **__: Any) -> None:
            self.stage = stage

        def check(self) -> None:
            self.checks += self.stage == LOAD
            if self.checks > 2:
                raise JobCancelled("Stopped.")

    job = predictions.start(project, lambda _: [photos])
    with project.store.write() as unit:
        claimed = unit.jobs.claim("here", 1, job_id=job.id)
    assert claimed is not None
    with pytest.raises(JobCancelled):
        run_predict_job(project, claimed, Loading())


def test_a_killed_process_loses_no_row_and_no_place(project: Project, sources: list[Path]) -> None:
    whole = predict(project, *sources)
    job = predictions.start(project, lambda _: sources)
    number = int(job.params["prediction"])
    module = "tests.labeller.killed_prediction"
    command = [sys.executable, "-m", module, str(project.root), str(job.id), "12"]
    ended = subprocess.run(command, cwd=ROOT, capture_output=True, timeout=120, check=False)
    assert ended.returncode == -signal.SIGKILL, ended.stderr
    folder = folder_of(project, number)
    with (folder / prediction_images.PLACES).open("a") as file:
        file.write('["cut')
    (reaped,) = jobs.reap(project)
    kept = predictions.get(project, number)
    assert (reaped.state, kept.state) == ("failed", "stopped")
    assert kept.job is not None
    assert "killed" in (kept.job.error or "")

    predictions.resume(project, number)
    done = run(project)
    assert done.state == "done", done.error
    assert told(project, number) == told(project, whole)
    for row in numbers(project, number, Wanted()):
        assert predictions.picture(project, number, row.number, "thumb") is not None


def test_killed_before_the_counts_it_is_summed_up_without_a_model(
    project: Project, photos: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    number = predict(project, photos)
    folder = folder_of(project, number)
    before = predictions.get(project, number).summary
    (folder / SUMMARY).unlink()
    assert predictions.get(project, number).state == "stopped"
    monkeypatch.setattr(predicting, "COMMAND", (sys.executable, "-c", "raise SystemExit('no')"))
    predictions.resume(project, number)
    assert run(project).state == "done"
    after = predictions.get(project, number).summary
    assert before is not None
    assert after is not None
    assert (after.counts, after.confidences) == (before.counts, before.confidences)
    with pytest.raises(PredictionError, match="is finished"):
        predictions.resume(project, number)


def test_a_source_that_is_gone(project: Project, photos: Path) -> None:
    with pytest.raises(ImportSourceError, match="no such file or folder"):
        predictions.start(project, lambda _: [photos / "none"])
    assert not list((project.root / FOLDER).iterdir())
    job = predictions.start(project, lambda _: [photos])
    number = int(job.params["prediction"])
    photos.rename(photos.with_name("elsewhere"))
    failed = run(project)
    assert failed.state == "failed"
    assert "no such file or folder" in (failed.error or "")
    assert [one.state for one in predictions.listing(project)] == ["stopped"]
    photos.with_name("elsewhere").rename(photos)
    (photos / "03.png").unlink()
    predictions.resume(project, number)
    assert run(project).state == "done"
    assert predictions.get(project, number).summary is not None


def test_a_model_that_is_deleted_meanwhile(project: Project, photos: Path) -> None:
    with project.store.read() as unit:
        old = unit.models.in_use()
    assert old is not None
    job = predictions.start(project, lambda _: [photos], old.id)
    add_model(project)
    model_shelf.delete(project, old.id)
    failed = run(project)
    assert failed.state == "failed"
    assert f"Model {old.id} was deleted" in (failed.error or "")
    with pytest.raises(PredictionError, match=f"Model {old.id} was deleted"):
        predictions.resume(project, int(job.params["prediction"]))
    with pytest.raises(PredictionError, match=f"Model {old.id} was deleted"):
        predictions.start(project, lambda _: [photos], old.id)
    assert len(predictions.listing(project)) == 1


def test_without_a_model_nothing_is_left_behind(tmp_path: Path, photos: Path) -> None:
    empty = create_project(tmp_path / "empty", ["a", "b"], start_workers=False)
    with pytest.raises(PredictionError, match="has no model yet"):
        predictions.start(empty, lambda _: [photos])
    assert predictions.listing(empty) == []


def test_classes_renamed_meanwhile_are_not_mixed(project: Project, photos: Path) -> None:
    number = stopped(project, 5, photos)
    with project.store.read() as unit:
        cat = unit.classes.all()[0]
    class_service.rename(project, cat.id, "feline")
    predictions.resume(project, number)
    failed = run(project)
    assert failed.state == "failed"
    assert "the classes were others (cat, dog)" in (failed.error or "")
    predictions.resume(project, number, restart=True)
    assert run(project).state == "done"
    summary = predictions.get(project, number).summary
    assert summary is not None
    assert set(summary.classes) == {"feline", "dog"}
    assert summary.predicted == NUMBER


def test_uploads_stay_as_long_as_the_result_is_listed(project: Project, photos: Path) -> None:
    number = predict(project, find=uploading(*photos.glob("0*.png")))
    shutil.rmtree(photos)
    kept = predictions.get(project, number)
    assert (kept.plan.uploaded, kept.plan.sources) == (10, ("uploads",))
    assert kept.bytes > kept.plan.uploaded_bytes > 0
    assert {row["key"] for row in rows_of(project, number)} == {f"0{n}.png" for n in range(10)}
    project.root.rename(project.root.with_name("moved"))  # places within the project move along
    moved = open_project(project.root.with_name("moved"))
    for row in range(10):
        found = predictions.picture(moved, number, row, "card")
        assert found is not None
        assert found.is_relative_to(folder_of(moved, number))
    freed = predictions.delete(moved, number)
    assert freed >= kept.bytes
    assert not list((moved.root / FOLDER).iterdir())
    with pytest.raises(PredictionError, match="was deleted"):
        predictions.get(moved, number)


def test_what_fails_leaves_nothing_behind(project: Project, photos: Path) -> None:
    def full(folder: Path) -> list[Path]:
        (folder / "half").write_bytes(b"x")
        raise OSError(28, "No space left on device")

    with pytest.raises(PredictionError, match="No space left on device"):
        predictions.start(project, full)
    with pytest.raises(PredictionError, match="Choose what to predict"):
        predictions.start(project, lambda _: [])
    job = predictions.start(project, lambda _: [photos])
    with pytest.raises(JobError, match="waits or runs already"):
        predictions.start(project, uploading(photos / "00.png"))
    number = int(job.params["prediction"])
    assert [one.number for one in predictions.listing(project)] == [number]
    assert [one.name for one in (project.root / FOLDER).iterdir()] == ["0001"]
    with pytest.raises(PredictionError, match="Cancel it first"):
        predictions.delete(project, number)


def test_a_late_job_never_touches_a_later_prediction_of_its_number(
    project: Project, photos: Path
) -> None:
    job = predictions.start(project, lambda _: [photos])
    shutil.rmtree(folder_of(project, 1))
    with project.store.write() as unit:
        unit.jobs.request_cancel(job.id)
    assert predict(project, photos / "00.png") == 1
    with project.store.write() as unit:
        unit.jobs.add(predictions.KIND, job.params, exclusive=True)
    late = run(project)
    assert late.state == "failed"
    assert "was deleted" in (late.error or "")
    assert len(rows_of(project, 1)) == 1


def test_drafts_of_dead_processes_go_after_a_day(project: Project, photos: Path) -> None:
    folder = project.root / FOLDER
    for name, age in ((".old", 90_000), (".young", 10)):
        (folder / name).mkdir(parents=True)
        os.utime(folder / name, (time.time() - age,) * 2)
    predict(project, photos)
    assert {one.name for one in folder.iterdir()} == {".young", "0001"}


def test_a_picture_is_of_what_was_predicted_or_none(project: Project, photos: Path) -> None:
    archive = photos.parent / "more.zip"
    with zipfile.ZipFile(archive, "w") as file:
        file.write(photos / "09.png", "../../secret.png")
        file.write(photos / "08.png", "in/eight.png")
    number = predict(project, photos, archive)
    by_key = {row.key: row.number for row in numbers(project, number, Wanted())}
    picture = predictions.picture(project, number, by_key["more.zip/in/eight.png"], "thumb")
    assert picture is not None
    with Image.open(picture) as image:
        assert image.size == (30, 40)
    (photos / "00.png").write_bytes(b"another")
    with pytest.raises(ImageError, match="has changed since"):
        predictions.picture(project, number, by_key["photos/00.png"], "thumb")
    (photos / "01.png").unlink()
    with pytest.raises(ImageError, match="is gone"):
        predictions.picture(project, number, by_key["photos/01.png"], "thumb")
    archive.unlink()
    with pytest.raises(ImageError, match="is gone"):
        predictions.picture(project, number, by_key["more.zip/in/eight.png"], "card")
    for row in (-1, len(by_key), len(by_key) + 1, 10**9):  # none, of an error, or beyond the end
        assert predictions.picture(project, number, row, "thumb") is None


def test_a_table_is_what_the_command_writes(project: Project, photos: Path, tmp_path: Path) -> None:
    number = predict(project, photos)
    predict_to_file(project, [photos], tmp_path / "out.csv")
    with predictions.table(project, number) as file:
        mine = file.read().decode("utf-8").splitlines()
    theirs = (tmp_path / "out.csv").read_text("utf-8").splitlines()
    assert mine[0] == theirs[0]
    assert sorted(mine) == sorted(theirs)


def test_nothing_to_predict(project: Project, tmp_path: Path) -> None:
    (tmp_path / "empty").mkdir()
    number = predict(project, tmp_path / "empty")
    summary = predictions.get(project, number).summary
    assert summary is not None
    assert (summary.predicted, summary.failed, summary.counts) == (0, 0, ())
    assert numbers(project, number, Wanted()) == []


def test_damaged_files_are_said_and_hide_nothing_else(project: Project, photos: Path) -> None:
    first, second = predict(project, photos), predict(project, photos)
    (folder_of(project, first) / PLAN).write_text("{")
    (folder_of(project, second) / prediction_index.ROWS).write_bytes(b"x")
    assert [one.number for one in predictions.listing(project)] == [second]
    with pytest.raises(PredictionError, match="cannot be read"):
        numbers(project, second, Wanted())


def test_notes_that_a_power_cut_left_in_pieces_count_as_none(tmp_path: Path) -> None:
    good = [json.dumps([f"{n}.png", f"{n}.png", None, n]).encode() + b"\n" for n in range(2)]
    damaged = [b"\n", b"7\n", bytes(40) + b'", null, 3]\n', b"\xff\xfe]\n", b'["cut.png", "c']
    (tmp_path / prediction_images.PLACES).write_bytes(
        good[0] + b"".join(damaged[:4]) + good[1] + damaged[4]
    )
    found = prediction_images.offsets(tmp_path)
    assert sorted(found) == ["0.png", "1.png"]
    assert prediction_images.place(tmp_path, found["1.png"]).bytes == 1


@pytest.mark.parametrize("damage", ["", "{}", "[]", '{"classes": 1}', "\0\0\0"])
def test_damaged_counts_are_named(tmp_path: Path, damage: str) -> None:
    (tmp_path / prediction_index.SUMMARY).write_text(damage)
    with pytest.raises(PredictionError, match=r"summary\.json: cannot be read \(it is damaged\)"):
        prediction_index.read_summary(tmp_path)
