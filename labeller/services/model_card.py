"""The card of a model in Markdown: what it is for, learned from, how good it is, where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from labeller.errors import EvaluationError
from labeller.project import Project
from labeller.services import (
    cleaning,
    export_check,
    feature_recipes,
    model_card_quality,
    preprocessing,
    training_words,
)
from labeller.services.agreement import agreement
from labeller.services.class_names import names_of
from labeller.services.evaluation_audit import OnAudit, audit_labels, on_audit
from labeller.services.evaluation_quality import Quality, quality
from labeller.services.export_check import Check
from labeller.services.model_card_quality import bounded, percent, plain
from labeller.services.model_shelf import Export
from labeller.squares import Resize
from store.records import ModelRecord

USE = {
    "model.onnx": "`model.onnx` takes `pixels`, bytes of shape (n, {side}, {side}, 3), and gives "
    "`probabilities` (n, {classes}), calibrated, in the order of `classes.json`. How an image "
    "becomes `pixels` is said under Preprocessing, and in `classes.json` for programs.",
    "model-int8.onnx": "`model-int8.onnx` takes and gives the same; its convolutions but the first "
    "have 8 bits, for small devices.",
    "learner.pkl": '`load_learner("learner.pkl").predict("photo.jpg")` is fastai where this '
    "program is installed: images (files, their bytes, arrays, Pillow's) are read as the model "
    "reads them. A pickle runs code when it is loaded, so load only one that you made.",
}
SPLITS = ("train", "valid", "audit")


def of(project: Project, model: ModelRecord, export: Export | None = None) -> str:
    """Return the card of a model, with the files of its export if there is one.

    Parameters
    ----------
    project : Project
    model : ModelRecord
    export : Export, optional
    """
    with project.store.read() as unit:
        names = names_of(unit, model.class_ids)
    recipe = feature_recipes.of_model(model)
    resize = None if recipe is None else recipe.resize
    if export is None:
        return card(project, model, names, (), "", 0, resize)
    return card(project, model, names, export.checks, export.split, export.n, resize)


def card(
    project: Project,
    model: ModelRecord,
    names: Sequence[str],
    checks: Sequence[Check],
    split: str,
    n: int,
    resize: Resize | None,
) -> str:
    """Return the card.

    Parameters
    ----------
    project : Project
    model : ModelRecord
    names : sequence of str, length C
        Classes in the order of its columns.
    checks : sequence of Check
        How the exported files compare with it on `n` images of `split`; none, no section on files.
    split : str
    n : int
    resize : Resize, optional
        How images become what it sees; None when the model no longer says it.

    References
    ----------
    Mitchell, M. et al. Model Cards for Model Reporting. FAT* 2019.
    """
    found, measured, why = _measured(project, model)
    parts = [
        f"# Model {model.id} of {plain(project.name)}",
        _intended(names),
        _data(project, model, names),
        model_card_quality.metrics(found, measured, _names(project), why),
        model_card_quality.limits(model, names, measured, _names(project)),
        _preprocessing(resize),
        _files(checks, split, n, resize, len(names)) if checks else "",
        _provenance(model, resize),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _measured(
    project: Project, model: ModelRecord
) -> tuple[OnAudit | None, Quality | None, str | None]:
    """Measure a model on the audit labels of now, or say why that cannot be."""
    try:
        found = on_audit(project, model, audit_labels(project))
    except EvaluationError as error:
        return None, None, str(error)
    if not len(found):
        return None, None, "no image of the audit set is labelled."
    return found, quality(project, found), None


def _names(project: Project) -> dict[int, str]:
    with project.store.read() as unit:
        return {one.id: one.name for one in unit.classes.all(archived=True)}


def _intended(names: Sequence[str]) -> str:
    listed = ", ".join(plain(name) for name in names)
    return (
        f"## Intended use\n\nTells images of these {len(names)} classes apart: {listed}. Meant for "
        f"images of the kind it was trained on, with somebody who looks at the doubtful ones. Not "
        f"meant for decisions about people that nobody reviews."
    )


def _data(project: Project, model: ModelRecord, names: Sequence[str]) -> str:
    """Say what it learned from, as far as that was kept, and how far annotators agree."""
    config = model.config
    by_split, when = config.get("labels_by_class"), "when it was trained"
    if by_split is None:  # of before the numbers were kept
        with project.store.read() as unit:
            counts = {split: unit.labels.counts_by_class(split) for split in SPLITS}  # type: ignore[arg-type]
        by_split = {s: [counts[s].get(i, 0) for i in model.class_ids] for s in SPLITS}
        when = "now; the numbers of then were not kept"
    rows = [
        f"| {plain(name)} | " + " | ".join(f"{by_split[s][place]:,}" for s in SPLITS) + " |"
        for place, name in enumerate(names)
    ]
    totals = " | ".join(f"{sum(by_split[split]):,}" for split in SPLITS)
    lines = [
        f"{model.labels:,} labels by people. It learned from those of `train`; those of `valid` "
        f"check and calibrate it; those of `audit` only measure it. Labels by class {when}:",
        "| class | train | valid | audit |\n|---|---|---|---|\n"
        + "\n".join([*rows, f"| all | {totals} |"]),
        *_unused(model.labels - sum(sum(by_split[split]) for split in SPLITS)),
        *_extras(config),
        *_agreed(project),
    ]
    return "## Data\n\n" + "\n\n".join(lines)


def _unused(labels: int) -> list[str]:
    """Say why labels are in no split."""
    if labels <= 0:
        return []
    return [
        f"{labels:,} more labels are not used: of images that look like some of the audit set or "
        f"cannot be read, or of classes that are archived."
    ]


def _committee(config: Mapping[str, Any]) -> dict[str, str]:
    members = int(config.get("committee") or 1)
    if members == 1:
        return {}
    votes = "the mean of their probabilities" if config.get("soft_voting") else "the first of them"
    return {"Models": f"{members} with different seeds; {votes} predicts"}


def _training(config: Mapping[str, Any]) -> str:
    how = f"{config.get('training', 'features')} ({config.get('why', 'as set')})"
    return f"{how}; {training_words.objective(config)}"


def _extras(config: Mapping[str, Any]) -> list[str]:
    """Say what else it learned from."""
    kinds = (("synthetic", "synthetic items"), ("generated", "generated labels"))
    return [
        f"It learned from {config[key]:,} {words} too, marked as such; none of them measures it."
        for key, words in kinds
        if config.get(key)
    ]


def _agreed(project: Project) -> list[str]:
    """Say how far annotators agree on images that two labelled, if there are any."""
    with project.store.read() as unit:
        opinions = unit.evidence.second_opinions(seen=cleaning.REASON)
    found = agreement(*opinions)
    if found is None:
        return []
    return [
        f"On {found.items:,} images that two annotators labelled they agree in "
        f"{bounded(found.share, found.low, found.high)}: a model that agrees with the labels that "
        f"often does as well as another annotator would."
    ]


def _preprocessing(resize: Resize | None) -> str:
    """Say how an image file becomes what the model sees."""
    if resize is None:
        return ""
    return (
        "## Preprocessing\n\nWhat is done to an image file, in this order, in training, in "
        "prediction and in the fastai learner. Do the same before the ONNX files:\n\n"
        + preprocessing.words(resize)
    )


def _files(checks: Sequence[Check], split: str, n: int, resize: Resize | None, classes: int) -> str:
    side = "side" if resize is None else resize.side
    rows = [
        f"| `{one.name}` | {one.bytes / 1e6:.1f} MB | {export_check.interval(one)} | "
        f"{percent(one.agree)} | {_difference(one.typical)} | {_difference(one.far)} | "
        f"{one.largest:.2g} |"
        for one in checks
    ]
    uses = [f"- {USE[one.name].format(side=side, classes=classes)}" for one in checks]
    warnings = [f"**{said}**" for one in checks if (said := export_check.warning(one))]
    most = max((one.compared or n for one in checks), default=n)
    return "\n\n".join(
        [
            f"## Files\n\nEach was compared with the model itself: its accuracy on {n:,} labelled "
            f"images of {split}, in points less or more than the model's (with the 95 % interval "
            f"of a paired comparison); and on {most:,} images, labelled or not, the share to which "
            f"both give the same class, and how far probabilities (0 to 1) lie apart.",
            "| file | size | accuracy against the model | same class | median difference | 99 % "
            "within | largest |\n|---|---|---|---|---|---|---|\n" + "\n".join(rows),
            *warnings,
            "\n".join(uses),
        ]
    )


def _difference(value: float | None) -> str:
    return "–" if value is None else f"{value:.2g}"


def _provenance(model: ModelRecord, resize: Resize | None) -> str:
    """List what it takes to make it again."""
    config, made = model.config, datetime.fromtimestamp(model.created_at, UTC)
    weights = config.get("backbone_hash")
    took = sum(spent for stage, spent in model.timings.items() if stage != "start")
    versions = ", ".join(f"{name} {number}" for name, number in model.versions.items())
    facts = {
        "Trained": f"{made.isoformat(timespec='seconds').replace('+00:00', 'Z')} on "
        f"{plain(model.device)}, in {took:.0f} s",
        "Training": _training(config),
        **_committee(config),
        "Backbone": model.backbone
        + (f", images at {resize.side} × {resize.side} pixels" if resize else "")
        + (f", weights with the SHA-256 `{weights}`" if weights else ""),
        "Labels": f"those of train and valid (image, class and split of each) have the SHA-256 "
        f"`{model.label_hash}`",
        "Seed": str(model.seed),
        "Versions": versions or "–",
    }
    return "## Provenance\n\n" + "\n".join(f"- {name}: {text}" for name, text in facts.items())
