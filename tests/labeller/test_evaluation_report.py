"""The whole evaluation of a project: with no model, one, more; as JSON and on the command line."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from click.testing import CliRunner, Result

from labeller.cli import cli
from labeller.errors import EvaluationError
from labeller.project import Project, create_project
from labeller.services import audit_seal, mcnemar
from labeller.services.evaluation import confusion
from labeller.services.evaluation_json import as_json
from labeller.services.evaluation_quality import in_cell, worst
from labeller.services.evaluation_report import evaluate, facts_key
from labeller.services.evaluation_scores import macro_f1_interval, wilson
from store.records import Split
from tests.audits import add_items, add_model, give, probabilities

AUDIT = 20


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Two classes, forty items, half of them of the audit set and labelled in turn."""
    made = create_project(tmp_path / "p", ["cat", "dog"], batch=10)
    parts: tuple[tuple[Split, int], ...] = (("audit", AUDIT), ("train", 15), ("valid", 5))
    items = add_items(made, [split for split, number in parts for _ in range(number)])
    with made.store.read() as unit:
        ids = [one.id for one in unit.classes.all()]
    give(made, items[:AUDIT], [ids[n % 2] for n in range(AUDIT)], duration_ms=2_000)
    return made


def items(project: Project) -> list[int]:
    with project.store.read() as unit:
        return [int(i) for i in unit.items.ids(split="audit")]


def model(project: Project, wrong: list[int], labels: int, temperature: float = 1.0) -> int:
    """Store a model that is wrong on these of the audit items."""
    said = [(n + (n in wrong)) % 2 for n in range(AUDIT)]
    probs = probabilities(said, 2)
    return add_model(project, items(project), probs, labels, temperature).id


def run(*arguments: object) -> Result:
    return CliRunner().invoke(cli, [str(one) for one in arguments], catch_exceptions=False)


def test_without_a_model_there_is_nothing_and_no_trouble(project: Project) -> None:
    facts = evaluate(project)
    assert (facts.model, facts.quality, facts.bought, facts.points) == (None, None, None, ())
    assert facts.stopping(10).why is not None
    told = as_json(facts, 10)
    assert told["model"] is None
    assert told["audit_labels"] == AUDIT
    assert "No model yet" in run("evaluate", project.root).output


def test_one_model_without_an_audit_label(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["a", "b"])
    found = add_items(project, ["audit"] * 3)
    add_model(project, found, probabilities([0, 1, 0], 2), 5)
    facts = evaluate(project)
    assert facts.quality is None
    assert facts.points == ()
    assert "unknown: no item of the audit set" in run("evaluate", project.root).output


def test_quality_of_a_model(project: Project) -> None:
    model(project, [0, 1, 2], 10)
    facts = evaluate(project)
    quality = facts.quality
    assert quality is not None
    assert (quality.accuracy.right, quality.accuracy.n) == (17, AUDIT)
    assert (quality.accuracy.low, quality.accuracy.high) == wilson(17, AUDIT)
    assert quality.table.tolist() == [[8, 2], [1, 9]]
    assert quality.macro_f1_low < quality.macro_f1 < quality.macro_f1_high
    assert (quality.then.right, quality.then.n) == (17, 20)
    assert quality.calibration.ece_after == pytest.approx(0.05)
    assert facts.chosen is not None
    cat, dog = facts.chosen.class_ids
    assert in_cell(facts.chosen, dog, cat).tolist() == [items(project)[1]]
    assert in_cell(facts.chosen, cat, 999).tolist() == []
    lost = worst(facts.chosen, 4)
    assert [item for item, _ in lost][:3] == items(project)[:3]
    assert lost[0][1] == pytest.approx(0.2)


def test_calibration_before_the_temperature(project: Project) -> None:
    model(project, [], 10, temperature=2.0)
    quality = evaluate(project).quality
    assert quality is not None
    assert quality.calibration.temperature == 2.0
    # 0.8 after T = 2 was 16/17 before: (0.8/0.2)² = 16
    assert quality.calibration.ece_before == pytest.approx(1 / 17)
    assert quality.calibration.ece_after == pytest.approx(0.2)


def test_what_the_labels_between_two_models_bought(project: Project) -> None:
    first = model(project, [0, 1, 2, 3, 4], 10)
    with project.store.read() as unit:
        free = [int(i) for i in unit.items.ids(state="unlabelled", split="train")]
        cat = unit.classes.all()[0].id
    give(project, free[:6], [cat] * 6, duration_ms=3_000)
    second = model(project, [0, 9], 16)
    facts = evaluate(project)
    assert facts.model is not None
    assert (facts.model.id, facts.against and facts.against.id) == (second, first)
    bought = facts.bought
    assert bought is not None
    audit = items(project)
    assert bought.gained.tolist() == audit[1:5]
    assert bought.lost.tolist() == [audit[9]]
    assert bought.result.p_value == mcnemar.exact_p(4, 1)
    assert bought.price.labels == 6
    assert bought.price.seconds == pytest.approx(18.0)
    assert bought.per_label is not None
    assert bought.per_label.value == pytest.approx(0.15 / 6)
    assert bought.per_label.high == pytest.approx(bought.result.high / 6)
    assert bought.per_minute is not None
    assert bought.per_minute.value == pytest.approx(0.15 / 0.3)
    turned = evaluate(project, first, second).bought
    assert turned is not None
    assert turned.result.difference == pytest.approx(-0.15)
    assert turned.per_label is None


def test_models_are_chosen_by_number(project: Project) -> None:
    first, second = model(project, [0], 10), model(project, [1], 12)
    facts = evaluate(project, first)
    assert facts.model is not None
    assert (facts.model.id, facts.against) == (first, None)
    assert facts.bought is None
    with pytest.raises(EvaluationError, match=f"no model 99. Models: {first}, {second}"):
        evaluate(project, 99)
    with pytest.raises(EvaluationError, match="with itself"):
        evaluate(project, first, first)


def test_advice_needs_four_rounds_and_stops_with_the_images(project: Project) -> None:
    for labels, wrong in ((5, 9), (10, 6), (20, 4)):
        model(project, list(range(wrong)), labels)
    assert evaluate(project).stopping(10).why == (
        "Too few rounds to say: it takes 4 measured rounds with different numbers of labels, and "
        "there are 3. Label the queue and retrain."
    )
    model(project, [0, 1, 2], 40)
    facts = evaluate(project)
    advice = facts.stopping(10)
    assert advice.expected is not None
    assert advice.expected.more == 10
    assert advice.expected.seconds == pytest.approx(20.0)
    assert advice.judged is not None
    assert advice.judged.more == 20, "all that are left"
    assert advice.verdict in ("go_on", "unclear")
    assert evaluate(project).stopping(1).verdict == advice.verdict
    told = as_json(facts, 10)["stopping"]
    assert (told["labels"], told["verdict_labels"]) == (10, 20)
    assert "20 labels" in run("evaluate", project.root, "--labels", 10).output
    assert facts.stopping(10_000).expected.more == 20  # type: ignore[union-attr]
    with project.store.read() as unit:
        free = [int(i) for i in unit.items.ids(state="unlabelled")]
        cat = unit.classes.all()[0].id
    give(project, free, [cat] * len(free))
    assert evaluate(project).stopping(10).why == "No unlabelled image is left."


def test_a_model_whose_files_are_gone_is_left_out_with_the_reason(project: Project) -> None:
    first = model(project, [0], 10)
    with project.store.read() as unit:
        path = project.file(unit.models.get(first).path)
    for file in path.iterdir():
        file.unlink()
    second = model(project, [1], 20)
    facts = evaluate(project)
    assert list(facts.failed) == [first]
    # what its round measured still counts
    assert [(p.labels, p.n) for p in facts.points] == [(10, AUDIT), (20, AUDIT)]
    assert facts.quality is not None
    assert facts.bought is None
    assert evaluate(project, first, second).quality is None


def test_a_deleted_model_keeps_its_point_and_cannot_be_chosen(project: Project) -> None:
    first, second = model(project, [0, 1], 10), model(project, [1], 20)
    with project.store.write() as unit:
        unit.models.delete(first)
    facts = evaluate(project)
    assert [one.id for one in facts.models] == [second]
    assert [(p.labels, p.accuracy) for p in facts.points] == [(10, 0.9), (20, 0.95)]
    assert (facts.against, facts.failed) == (None, {})
    with pytest.raises(EvaluationError, match=f"Models: {second}"):
        evaluate(project, first)


def test_the_key_of_the_facts_changes_with_what_they_rest_on(project: Project) -> None:
    seen = [facts_key(project)]
    made = model(project, [0], 10)
    seen.append(facts_key(project))
    with project.store.read() as unit:
        dog = unit.classes.all()[1].id
    give(project, items(project)[:1], [dog])
    seen.append(facts_key(project))
    audit_seal.note_shown(project, "anna", made)
    seen.append(facts_key(project))
    assert len(set(seen)) == 4
    assert facts_key(project) == seen[-1]


def test_the_command_prints_the_facts(project: Project) -> None:
    model(project, [0, 1, 2, 3, 4], 10)
    model(project, [0, 9], 16)
    give(project, items(project)[:2], [2, 2], annotator="ben")
    told = json.loads(run("evaluate", project.root, "--json", "--labels", 50).output)
    assert told == json.loads(json.dumps(as_json(evaluate(project), 50)))
    assert told["quality"]["accuracy"] == pytest.approx(18 / 20)
    assert told["bought"]["gained"] == 4
    assert told["agreement"]["items"] == 2
    assert told["stopping"]["verdict"] is None
    assert told["quality"]["classes"][0]["class"] == "cat"
    text = run("evaluate", project.root).output
    assert "accuracy   90.0 % (69.9 to 97.2), Wilson, 20 audit items" in text
    assert "4 became right, 1 wrong of 20" in text
    assert "Too few rounds to say" in text
    assert "agreement  50.0 %" in text
    failed = CliRunner().invoke(cli, ["evaluate", str(project.root), "--model", "9"])
    assert failed.exit_code == 1
    assert "There is no model 9" in failed.output


def test_the_help_names_every_part_of_the_json(project: Project) -> None:
    model(project, [0], 10)
    model(project, [1], 12)
    text = run("evaluate", "--help").output
    told = as_json(evaluate(project), 10)
    said = {*told, *told["quality"], *told["bought"], *told["stopping"]}
    # told as "with their intervals and methods"
    said -= {name for name in said if name.startswith(("accuracy_i", "accuracy_m", "macro_f1_"))}
    assert sorted(name for name in said if name not in text) == []


def test_a_hundred_thousand_items_make_a_narrow_interval() -> None:
    rng = np.random.default_rng(0)
    truth = rng.integers(0, 30, 100_000)
    said = np.where(rng.random(100_000) < 0.8, truth, rng.integers(0, 30, 100_000))
    found = macro_f1_interval(confusion(truth, said, 30))
    assert found is not None
    assert found[1] - found[0] < 0.01
