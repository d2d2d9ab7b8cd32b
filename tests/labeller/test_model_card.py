"""The card of a model: its figures against hand calculation, and names that are no Markdown."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from labeller.cli import cli
from labeller.project import Project, create_project
from labeller.services import audit_seal, model_card, model_shelf
from labeller.services.export_check import Check
from labeller.services.model_card_quality import plain
from labeller.services.model_shelf import Export
from labeller.ui import model_facts
from store.records import ModelRecord
from tests.audits import add_items, add_model, give, probabilities

EVIL = "d|o*g <b>"


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Forty audit images: 20 cat, 12 dog, 8 owl; and one model.

    It takes two cats for dogs and one dog for a cat, and gives 0.8 to what it says.
    """
    made = create_project(tmp_path / "p", ["cat", EVIL, "owl"], 100.0, start_workers=False)
    items = add_items(made, ["audit"] * 40)
    with made.store.read() as unit:
        ids = [one.id for one in unit.classes.all()]
    truth = [0] * 20 + [1] * 12 + [2] * 8
    give(made, items, [ids[t] for t in truth])
    said = [1, 1, *truth[2:20], 0, *truth[21:]]
    add_model(made, items, probabilities(said, 3), 44, temperature=1.25)
    return made


def model(project: Project) -> ModelRecord:
    with project.store.read() as unit:
        return unit.models.all()[-1]


def test_its_figures_are_those_of_a_hand_calculation(project: Project) -> None:
    text = model_card.of(project, model(project))
    # 37 of 40: Wilson's interval is 80.14 to 97.42 %
    assert "- Accuracy 92.5 % (80.1–97.4 %), 40 audit labels" in text
    # F1 of cat 2·18/(20+19), of dog 2·11/(12+13), of owl 1
    macro = (36 / 39 + 22 / 25 + 1) / 3
    assert f"- Macro-F1 {100 * macro:.1f} % (" in text
    loss = -(37 * np.log(0.8) + 3 * np.log(0.1)) / 40
    assert f"- Log loss {loss:.3f} nats" in text
    assert "always saying 0.33 for each gives 1.099" in text
    # confidence is 0.8 everywhere, 92.5 % are right
    assert "- Expected calibration error 12.5 %" in text
    assert "before its temperature of 1.25" in text
    assert "| cat | 20 | 94.7 % (75.4 to 99.1 %) | 90.0 % (69.9 to 97.2 %) |" in text
    assert "| owl | 8 | 100.0 % (67.6 to 100.0 %) | 100.0 % (67.6 to 100.0 %) |" in text
    assert f"Most often it takes cat for {plain(EVIL)} (2 images)." in text


def test_its_limits_name_what_was_measured_and_where_it_is_weak(project: Project) -> None:
    text = model_card.of(project, model(project))
    limits = text.partition("## Limits")[2].partition("## ")[0]
    assert "It was measured on 40 images only" in limits
    assert "Too few audit images to say how good it is on: owl (8)." in limits
    assert f"it finds least of: cat, 90.0 % (69.9 to 97.2 %); {plain(EVIL)}, 91.7 %" in limits
    assert "## Files" not in text


def test_labels_of_then_and_what_changed_since(project: Project) -> None:
    assert "Labels by class now; the numbers of then were not kept" in model_card.of(
        project, model(project)
    )
    audit_seal.note_shown(project, "anna", model(project).id)
    with project.store.read() as unit:
        cat, dog, _ = (one.id for one in unit.classes.all())
    give(project, [1], [dog])
    text = model_card.of(project, model(project))
    assert "Its own round measured 92.5 % (80.1–97.4 %), 40 audit labels of that time." in text
    assert "1 of the audit labels changed after somebody had seen where a model was wrong" in text
    give(project, [3, 4], [cat, dog], annotator="ben")
    text = model_card.of(project, model(project))
    assert "On 2 images that two annotators labelled they agree in 50.0 % (9.5 to 90.5 %)" in text


def test_the_files_are_listed_with_how_they_compare(project: Project, tmp_path: Path) -> None:
    check = Check(
        "model-int8.onnx", 5_894_919, 0.9, 0.925, 0.0312, 0.975, 500, 0.001, 0.02, -0.1, 0.05
    )
    text = model_card.of(project, model(project), Export(tmp_path, (check,), "audit and valid", 40))
    assert "its accuracy on 40 labelled images of audit and valid" in text
    assert "on 500 images, labelled or not" in text
    row = "| `model-int8.onnx` | 5.9 MB | −2.5 (−10.0 to +5.0) | 97.5 % | 0.001 | 0.02 | 0.031 |"
    assert row in text
    assert "**model-int8.onnx loses accuracy: −2.5 (−10.0 to +5.0) points against the model" in text
    early = Check("model.onnx", 14_000_000, 0.925, 0.925, 1e-6, 1.0)  # of before more was kept
    text = model_card.of(project, model(project), Export(tmp_path, (early,), "audit", 40))
    assert "| `model.onnx` | 14.0 MB | 0.0 | 100.0 % | – | – | 1e-06 |" in text
    assert "loses accuracy" not in text


def test_a_model_that_cannot_be_measured_says_so(project: Project) -> None:
    shutil.rmtree(project.file(model(project).path))
    text = model_card.of(project, model(project))
    assert "Not measured: " in text
    assert "How often it is right is unknown." in text
    assert model_shelf.shelf(project)[0].bytes == 0


def test_the_command_prints_it_and_lists_what_is_kept(project: Project) -> None:
    def run(*words: str) -> Result:
        return CliRunner().invoke(cli, ["models", str(project.root), *words])

    assert run("--card", "1").stdout == model_card.of(project, model(project))
    assert json.loads(run("--card", "1", "--json").stdout)["model"] == 1
    failed = run("--card", "9")
    assert failed.exit_code == 1
    assert "There is no model 9. Models: 1." in failed.stderr
    with project.store.read() as unit:
        dog = unit.classes.all()[1].id
    give(project, [1], [dog])
    (told,) = json.loads(run("--json").stdout)["models"]
    assert (told["accuracy"], told["audited"]) == (38 / 40, 40), "on the labels of now"
    assert told["label_hash"] == "h" * 64
    assert (told["seed"], told["device"], told["backbone_hash"]) == (0, "cpu", None)
    assert "95.0 %" in run().stdout


def test_a_committee_and_an_early_end_are_said(project: Project) -> None:
    course = {"epochs": 9, "epochs_planned": 12, "epoch_kept": 6, "best_known": True}
    config = {"committee": 5, "soft_voting": True, "patience": 3, "examples_seen": 12_000, **course}
    voting = replace(model(project), config=config)
    text = model_card.of(project, voting)
    assert "- Models: 5 with different seeds; the mean of their probabilities predicts" in text
    early = "weights of the best epoch of the first model, 6 of 12, stopped after 9"
    assert f"{early}\n" in text
    first = model_card.of(project, replace(voting, config={**config, "soft_voting": False}))
    assert "the first of them predicts" in first
    assert "- Models:" not in model_card.of(project, model(project))
    facts = model_facts.made(voting)
    assert facts["Committee"] == "5 models, predicts by their mean"
    assert facts["Objective"].endswith(early)
    assert facts["Examples seen"] == "12,000"
    assert "Committee" not in model_facts.made(model(project))


def test_a_fine_tuned_model_says_whether_it_saw_mirrored_images(project: Project) -> None:
    tuned = replace(model(project), config={"fine_tune": {"mirror": True}})
    assert "half of the images mirrored" in model_card.of(project, tuned)
    assert "half of the images mirrored" in model_facts.made(tuned)["Objective"]
    assert "mirrored" not in model_card.of(project, model(project))


def test_names_are_no_markdown() -> None:
    assert plain(EVIL) == r"d\|o\*g \<b\>"
    assert plain("T-shirt (new) & co.") == "T-shirt (new) & co."
    assert plain("&amp; $5 [a]") == r"\&amp; \$5 \[a\]"
