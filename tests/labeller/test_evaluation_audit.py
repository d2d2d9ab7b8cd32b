"""Audit labels of now against kept predictions: files, classes that changed, the seal."""

from __future__ import annotations

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from scipy.special import softmax

from labeller.errors import EvaluationError
from labeller.project import Project, create_project
from labeller.services import audit_files, audit_seal, classes
from labeller.services.evaluation import calibration_error
from labeller.services.evaluation_audit import audit_labels, merged, on_audit
from labeller.services.evaluation_quality import quality
from store.records import NewEvent
from tests.audits import add_items, add_model, give, probabilities


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """Three classes and six items of the audit set."""
    made = create_project(tmp_path / "p", ["cat", "dog", "owl"])
    add_items(made, ["audit"] * 6)
    return made


def ids(project: Project) -> list[int]:
    with project.store.read() as unit:
        return [int(i) for i in unit.items.ids()]


def class_ids(project: Project) -> list[int]:
    with project.store.read() as unit:
        return [one.id for one in unit.classes.all()]


def test_labels_given_later_measure_a_model_too(project: Project) -> None:
    items, (cat, dog, _) = ids(project), class_ids(project)
    give(project, items[:2], [cat, dog])
    model = add_model(project, items, probabilities([0, 0, 2, 1, 1, 1], 3), 10)
    give(project, items[3:5], [dog, cat])
    found = on_audit(project, model, audit_labels(project))
    assert found.item_ids.tolist() == [items[0], items[1], items[3], items[4]]
    assert found.right.tolist() == [True, False, True, False]
    assert found.changed == ()


def test_an_older_model_has_the_items_of_its_round_only(project: Project) -> None:
    items, (cat, dog, _) = ids(project), class_ids(project)
    give(project, items[:2], [cat, dog])
    model = add_model(project, items, probabilities([0] * 6, 3), 10, whole=False)
    give(project, items[2:4], [cat, cat])
    assert on_audit(project, model, audit_labels(project)).item_ids.tolist() == items[:2]


def test_a_merge_adds_up_and_a_rename_changes_nothing(project: Project) -> None:
    items, (cat, dog, owl) = ids(project), class_ids(project)
    give(project, items[:3], [cat, dog, owl])
    probs = np.array([[0.4, 0.3, 0.3], [0.3, 0.3, 0.4], [0.45, 0.1, 0.45]] * 2, np.float32)
    model = add_model(project, items, probs, 10)
    classes.rename(project, cat, "feline")
    classes.merge(project, owl, dog)
    found = on_audit(project, model, audit_labels(project))
    assert found.class_ids == (cat, dog)
    assert found.probs[0].tolist() == pytest.approx([0.4, 0.6])
    assert found.predicted.tolist() == [1, 1, 1]
    assert found.right.tolist() == [False, True, True]
    assert found.changed == (), "a merge changes no label"


def test_before_the_temperature_classes_were_apart(project: Project) -> None:
    """What the columns of two merged classes were before is not what their sum would have been."""
    items, (cat, dog, owl) = ids(project), class_ids(project)
    give(project, items, [cat, dog, owl] * 2)
    logits = np.random.default_rng(0).normal(0, 2, (6, 3))
    model = add_model(project, items, softmax(logits / 2, axis=1), 10, temperature=2.0)
    classes.merge(project, owl, dog)
    found = on_audit(project, model, audit_labels(project))
    first, *others = softmax(logits, axis=1).T
    np.testing.assert_allclose(found.raw, np.stack([first, sum(others)], axis=1), atol=1e-6)
    measured = quality(project, found)
    assert measured.calibration.temperature == 2.0
    assert measured.calibration.ece_before == calibration_error(found.raw, found.truth)


def test_a_class_added_since_cannot_be_predicted(project: Project) -> None:
    items, (cat, *_) = ids(project), class_ids(project)
    give(project, items[:1], [cat])
    model = add_model(project, items, probabilities([0] * 6, 3), 10)
    (bat,) = classes.add(project, ["bat"])
    give(project, items[1:2], [bat.id])
    found = on_audit(project, model, audit_labels(project))
    assert found.class_ids[-1] == bat.id
    assert found.probs[:, -1].tolist() == [0.0, 0.0]
    assert found.right.tolist() == [True, False]


def test_labels_of_archived_classes_are_left_out(project: Project) -> None:
    items, (cat, dog, owl) = ids(project), class_ids(project)
    give(project, items[:3], [cat, dog, owl])
    model = add_model(project, items, probabilities([0, 1, 2] * 2, 3), 10)
    classes.archive(project, owl)
    found = on_audit(project, model, audit_labels(project))
    assert found.item_ids.tolist() == items[:2]
    assert found.class_ids == (cat, dog, owl), "it can still be predicted, and is wrong then"


def test_columns_are_put_in_the_order_of_the_classes() -> None:
    probs = np.array([[0.1, 0.2, 0.7]])
    columns, found = merged(probs, [3, 1, 2], [1, 9], {1: 1, 2: 3, 3: 3, 9: 9}, [1, 2, 3, 9])
    assert columns == (1, 3, 9)
    assert found.tolist() == [[0.2, pytest.approx(0.8), 0.0]]
    same, untouched = merged(probs, [1, 2, 3], [2], {}, [1, 2, 3])
    assert same == (1, 2, 3)
    assert untouched is probs


@pytest.mark.parametrize("damage", ["gone", "broken", "other", "pickled"])
def test_files_that_cannot_be_used_are_said(project: Project, damage: str) -> None:
    model = add_model(project, ids(project), probabilities([0] * 6, 3), 10)
    path = project.file(model.path) / audit_files.ALL
    if damage == "gone":
        (project.file(model.path) / audit_files.LABELLED).unlink()
    elif damage == "broken":
        path.write_bytes(path.read_bytes()[:40])
    elif damage == "other":
        model = dataclasses.replace(model, class_ids=(1, 2))
    else:
        np.savez(path, item_ids=np.array([{}], object), probs=np.zeros((1, 3)))
    with pytest.raises(EvaluationError, match="Start a round"):
        on_audit(project, model, audit_labels(project))


def test_a_folder_that_cannot_be_written_is_said(tmp_path: Path) -> None:
    with pytest.raises(EvaluationError, match="cannot be written"):
        audit_files.write(tmp_path / "gone", np.array([1]), np.ones((1, 1), np.float32))


def test_a_relabelled_item_is_noticed_and_after_what(project: Project) -> None:
    items, (cat, dog, _) = ids(project), class_ids(project)
    give(project, items[:3], [cat, cat, cat])
    model = add_model(project, items, probabilities([1] * 6, 3), 10)
    assert on_audit(project, model, audit_labels(project)).changed == ()
    give(project, items[:1], [dog])
    assert audit_seal.note_shown(project, "anna", model.id)
    assert not audit_seal.note_shown(project, "anna", model.id), "once is enough"
    give(project, items[1:2], [dog])
    assert audit_seal.note_shown(project, "ben", model.id)
    found = on_audit(project, model, audit_labels(project))
    assert found.changed == (items[0], items[1])
    before, after = audit_seal.relabelled(project, found.changed)
    assert (before.item, before.annotator, before.after) == (items[0], "anna", False)
    assert (after.item, after.after) == (items[1], True)
    assert [one.annotator for one in audit_seal.shown(project)] == ["anna", "ben"]


def test_a_label_taken_away_is_noticed_and_after_what(project: Project) -> None:
    items, (cat, dog, owl) = ids(project), class_ids(project)
    give(project, items[:5], [cat, cat, cat, cat, owl])
    give(project, items[5:], [dog])
    give(project, items[5:], [cat])
    model = add_model(project, items, probabilities([1] * 6, 3), 10)
    audit_seal.note_shown(project, "anna", model.id)
    with project.store.write() as unit:
        gone = [NewEvent("c", "clear", items[0]), NewEvent("f", "flag", items[1])]
        undone = [NewEvent(f"u{i}", "undo", undoes=f"anna-{i}-{cat}") for i in (items[2], items[5])]
        unit.labels.record("anna", "s", "page", [*gone, *undone], 1.0)
    classes.archive(project, owl)
    found = on_audit(project, model, audit_labels(project))
    assert found.item_ids.tolist() == [items[3], items[5]]
    assert found.changed == (*items[:3], items[5]), "an archived class takes no label away"
    told = audit_seal.relabelled(project, found.changed)
    assert [one.gone for one in told] == [True, True, True, False]
    assert all(one.after for one in told), "an undo brings back an older label, but later"


def test_a_label_taken_away_and_given_back_is_no_change(project: Project) -> None:
    items, (cat, *_) = ids(project), class_ids(project)
    give(project, items[:1], [cat])
    model = add_model(project, items, probabilities([1] * 6, 3), 10)
    with project.store.write() as unit:
        unit.labels.record("anna", "s", "page", [NewEvent("c", "clear", items[0])], 1.0)
    assert on_audit(project, model, audit_labels(project)).changed == (items[0],)
    give(project, items[:1], [cat], annotator="ben")
    found = on_audit(project, model, audit_labels(project))
    assert (len(found), found.changed) == (1, ())
