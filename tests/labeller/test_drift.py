"""Later predictions against the audit set, and the doubtful ones brought into the queue."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from scipy.stats import ks_2samp

from labeller.cli import cli
from labeller.errors import EvaluationError, PredictionError
from labeller.project import Project, create_project
from labeller.services import predicting
from labeller.services.doubtful import STRATEGY, queue_doubtful
from labeller.services.drift import (
    Outputs,
    Sides,
    _significant,
    compare,
    compare_file,
    compare_prediction,
)
from labeller.services.importing import import_sources
from labeller.services.prediction_files import predict_to_file
from tests import predicted
from tests.labeller.imports import items
from tests.predicted import (
    THRESHOLD,
    add_audited_model,
    add_model,
    predict,
    share_of,
    uploading,
)

RNG = np.random.default_rng(0)


def outputs(n: int, rng: np.random.Generator, sure: float = 8.0, cats: float = 0.5) -> Outputs:
    """Return made-up outputs: confidences by a beta distribution, cats by their share."""
    confidences = 0.5 + 0.5 * rng.beta(sure, 2, n)
    names = tuple(np.where(rng.random(n) < cats, "cat", "dog").tolist())
    return Outputs(names, confidences, -5 * confidences + rng.normal(0, 0.3, n))


def sides(audit: Outputs, later: Outputs, threshold: float | None = THRESHOLD) -> Sides:
    return Sides(1, audit, later, threshold)


def test_what_is_drawn_alike_is_seldom_called_drift() -> None:
    found = []
    for seed in range(100):
        rng = np.random.default_rng(seed)
        found.append(compare(sides(outputs(150, rng), outputs(400, rng))).verdict)
    assert sum(verdict != "none" for verdict in found) <= 10  # 5 expected; 10 has p > 0.01


@pytest.mark.parametrize(
    ("changed", "named"),
    [({"sure": 2.5}, "less sure"), ({"cats": 0.9}, "“dog”"), ({"sure": 40.0}, "more sure")],
)
def test_a_shift_is_found_and_named(changed: dict[str, float], named: str) -> None:
    drift = compare(sides(outputs(200, RNG), outputs(500, RNG, **changed)))
    assert drift.verdict == "drift"
    assert any(named in reason for reason in drift.reasons), drift.reasons


def test_statistics_are_those_of_scipy_and_by_hand() -> None:
    audit, later = outputs(60, RNG), outputs(80, RNG, sure=4)
    drift = compare(sides(audit, later))
    test = ks_2samp(audit.confidences, later.confidences)
    assert drift.confidence is not None
    assert (drift.confidence.distance, drift.confidence.p_value) == (test.statistic, test.pvalue)
    assert drift.confidence.later_median == np.median(later.confidences)
    assert drift.above == (
        (audit.energies > THRESHOLD).mean(),
        (later.energies > THRESHOLD).mean(),
    )
    assert drift.shares["cat"][0] == audit.classes.count("cat") / 60


def test_a_large_number_makes_a_small_shift_no_drift() -> None:
    audit = outputs(40_000, RNG)
    drift = compare(sides(audit, outputs(40_000, RNG, sure=7.2)))
    assert drift.verdict == "small"


def test_few_images_say_nothing() -> None:
    drift = compare(sides(outputs(19, RNG), outputs(500, RNG, sure=1)))
    assert (drift.verdict, drift.confidence, drift.classes) == ("unknown", None, None)
    assert "19 images" in drift.reasons[0]


def test_energies_may_be_unknown() -> None:
    audit = outputs(50, RNG)
    bare = Outputs(audit.classes, audit.confidences, np.empty(0))
    drift = compare(sides(bare, audit))
    assert (drift.energy, drift.above, drift.verdict) == (None, None, "none")
    assert any("Energies were not compared" in reason for reason in drift.reasons)


def test_holms_method_by_hand() -> None:
    assert _significant([0.01, 0.04, 0.03]) == [True, False, False]  # 0.03 > 0.05 / 2
    assert _significant([0.01, 0.04, 0.02]) == [True, True, True]
    assert _significant([0.02, None, 0.03]) == [True, False, True]
    assert _significant([0.04, None, 0.001]) == [True, False, True]
    assert _significant([None, 0.06, None]) == [False, False, False]


# ---- on a project


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setattr(predicting, "COMMAND", predicted.COMMAND)
    return create_project(tmp_path / "pets", ["cat", "dog"], start_workers=False, workers=1)


def draw(folder: Path, n: int, first: int = 0) -> list[Path]:
    folder.mkdir(exist_ok=True)
    files = []
    for number in range(first, first + n):
        pixels = np.random.default_rng(number).integers(0, 255, (40, 30, 3), dtype=np.uint8)
        files.append(folder / f"{number:03}.png")
        Image.fromarray(pixels).save(files[-1])
    return files


def test_a_prediction_and_its_files_are_compared_alike(project: Project, tmp_path: Path) -> None:
    files = draw(tmp_path / "photos", 40)
    add_audited_model(project, [share_of(file) for file in files])
    number = predict(project, tmp_path / "photos")
    drift, _ = compare_prediction(project, number)
    assert (drift.verdict, drift.audit_n, drift.later_n) == ("none", 40, 40)
    assert drift.energy is not None
    assert drift.energy.distance <= 0.05  # energies are kept in single precision
    for name in ("out.csv", "out.jsonl"):
        predict_to_file(project, [tmp_path / "photos"], tmp_path / name)
        assert compare_file(project, tmp_path / name)[0] == drift


def test_a_class_renamed_since_is_the_same_class(project: Project, tmp_path: Path) -> None:
    from labeller.services import classes

    files = draw(tmp_path / "photos", 40)
    add_audited_model(project, [share_of(file) for file in files])
    number = predict(project, tmp_path / "photos")
    predict_to_file(project, [tmp_path / "photos"], tmp_path / "out.csv")
    cat = next(record for record in classes.listed(project) if record.name == "cat")
    classes.rename(project, cat.id, "tiger")
    assert compare_prediction(project, number)[0].classes is not None
    for drift, _ in (
        compare_prediction(project, number),
        compare_file(project, tmp_path / "out.csv"),
    ):
        assert set(drift.shares) == {"cat", "dog"}


def test_what_cannot_be_compared_is_told(project: Project, tmp_path: Path) -> None:
    draw(tmp_path / "photos", 3)
    add_model(project)
    number = predict(project, tmp_path / "photos")
    with pytest.raises(EvaluationError, match="cannot be read"):
        compare_prediction(project, number)
    with pytest.raises(PredictionError, match="no prediction 7"):
        compare_prediction(project, 7)
    cases = {
        "none.csv": ("", "no prediction"),
        "other.csv": ("a,b\n1,2\n", "it has no class"),
        "two.jsonl": (
            '{"class":"a","confidence":1,"energy":1,"model":1}\n'
            '{"class":"a","confidence":1,"energy":1,"model":2}\n',
            "models 1, 2",
        ),
        "foreign.jsonl": ('{"class":"a","confidence":1,"energy":1,"model":9}\n', "no model 9"),
        "list.jsonl": ("[1]\n", "is no file that"),
        "words.jsonl": ("hello\n", "is no file that"),
    }
    for name, (text, word) in cases.items():
        (tmp_path / name).write_text(text)
        with pytest.raises(PredictionError, match=word):
            compare_file(project, tmp_path / name)
    with pytest.raises(PredictionError, match="No such file"):
        compare_file(project, tmp_path / "missing.csv")


def test_the_command_says_the_same(project: Project, tmp_path: Path) -> None:
    add_audited_model(project, [0.99] * 30)
    draw(tmp_path / "photos", 40)
    number = predict(project, tmp_path / "photos")
    given = ["drift", str(project.root), str(number)]
    text = CliRunner().invoke(cli, given)
    assert text.exit_code == 0, text.output
    assert "DRIFT" in text.output
    assert "less sure" in text.output
    data = json.loads(CliRunner().invoke(cli, [*given, "--queue", "5", "--json"]).stdout)
    assert data["verdict"] == "drift"
    assert data["images"]["queued"] == 5
    refused = CliRunner().invoke(cli, ["drift", str(project.root), "out.csv", "--queue", "5"])
    assert refused.exit_code == 2
    assert "number of a prediction" in refused.output


# ---- the queue


def queue(project: Project) -> list[tuple[str, str, float | None]]:
    with project.store.read() as unit:
        entries = unit.queue.entries()
        found = unit.items.many([entry.item_id for entry in entries])
    return [
        (Path(found[entry.item_id].path).name, entry.strategy, entry.score) for entry in entries
    ]


def doubt(files: list[Path]) -> list[Path]:
    """Return files least sure first."""
    return sorted(files, key=lambda file: max(share_of(file), 1 - share_of(file)))


def test_the_least_sure_come_first_in_the_queue(project: Project, tmp_path: Path) -> None:
    add_model(project)
    import_sources(project, [draw(tmp_path / "old", 6, 500)[0].parent])
    before = queue(project)
    assert before
    files = draw(tmp_path / "photos", 20)
    number = predict(project, tmp_path / "photos")
    found = queue_doubtful(project, number, 5)
    assert (found.queued, found.added, found.passed_over, found.gone) == (5, 5, 0, 0)
    after = queue(project)
    wanted = [(f.name, STRATEGY, 1 - max(share_of(f), 1 - share_of(f))) for f in doubt(files)[:5]]
    assert [row[:2] for row in after[:5]] == [row[:2] for row in wanted]
    assert [row[2] for row in after[:5]] == pytest.approx([row[2] for row in wanted])
    assert after[5:] == before
    new = {item.path: item for item in items(project) if "photos" in item.path}
    assert {item.split for item in new.values()} == {"train"}
    assert not any(item.copied for item in new.values())
    again = queue_doubtful(project, number, 5)
    assert (again.queued, again.added, again.passed_over) == (0, 0, 5)
    assert queue(project) == after


def test_images_of_archives_and_uploads_are_copied(project: Project, tmp_path: Path) -> None:
    add_model(project)
    files = draw(tmp_path / "photos", 6)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        for file in files[:3]:
            archive.write(file, f"in/{file.name}")
    zipped = predict(project, tmp_path / "a.zip")
    sent = predict(project, find=uploading(*files[3:]))
    for number in (zipped, sent):
        assert queue_doubtful(project, number, 3).queued == 3
    assert len(items(project)) == 6
    for item in items(project):
        assert item.copied
        assert project.file(item.path).is_file()


def test_the_audit_set_stays_as_it_was_drawn(project: Project, tmp_path: Path) -> None:
    add_model(project)
    folder = draw(tmp_path / "photos", 8)[0].parent
    table = tmp_path / "sealed.csv"
    rows = "".join(f"{folder}/{n:03}.png,{'audit' if n < 4 else 'valid'}\n" for n in range(6))
    table.write_text(f"path,split\n{rows}")
    import_sources(project, [table])
    number = predict(project, folder)
    with project.store.write() as unit:
        unit.queue.replace([])
    found = queue_doubtful(project, number, 8)
    # those that were items before wait in the queue already
    assert (found.queued, found.added, found.passed_over) == (2, 2, 6)
    splits = {Path(item.path).name: item.split for item in items(project)}
    assert all(
        splits[name] != "audit" for name, strategy, _ in queue(project) if strategy == STRATEGY
    )
    assert sum(split == "audit" for split in splits.values()) == 4


def test_files_that_are_gone_are_counted(project: Project, tmp_path: Path) -> None:
    add_model(project)
    files = draw(tmp_path / "photos", 4)
    number = predict(project, tmp_path / "photos")
    doubt(files)[0].unlink()
    found = queue_doubtful(project, number, 2)
    assert (found.queued, found.gone) == (1, 1)
    assert "cannot be read any more" in found.text


@pytest.mark.parametrize("count", [0, -1, 1_001])
def test_how_many_can_be_queued(project: Project, tmp_path: Path, count: int) -> None:
    with pytest.raises(PredictionError, match="1 to 1,000"):
        queue_doubtful(project, 1, count)
