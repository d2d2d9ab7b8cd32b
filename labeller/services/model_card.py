"""The card of a model in Markdown: what it is for, learned from, how good it is, where it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import UTC, datetime
from typing import Any

from labeller.project import Project
from labeller.services.evaluation_audit import audit_labels, on_audit
from labeller.services.evaluation_quality import quality
from labeller.services.model_shelf import Check
from store.records import ModelRecord

USE = {
    "onnx": "`model.onnx` takes `pixels`, bytes of shape (n, {side}, {side}, 3), RGB, each image "
    "squeezed to the square; it gives `probabilities` (n, {classes}), calibrated, in the order of "
    "`classes.json`.",
    "int8": "`model-int8.onnx` is the same with convolutions of 8 bits, for small devices.",
    "fastai": '`load_learner("learner.pkl")` gives a fastai learner where this program is '
    "installed; a pickle runs code when it is loaded, so load only one that you made.",
}
FEW = 100  # audit items; with fewer the interval is too wide to promise much


def card(
    project: Project,
    model: ModelRecord,
    names: Sequence[str],
    checks: Sequence[Check],
    split: str,
    n: int,
    side: int,
) -> str:
    """Return the card.

    Parameters
    ----------
    project : Project
    model : ModelRecord
    names : sequence of str, length C
        Classes in the order of its columns.
    checks : sequence of Check
        How the exported files compare with it on `n` images of `split`.
    split : str
    n : int
    side : int
        Of the images it sees, in pixels.

    References
    ----------
    Mitchell, M. et al. Model Cards for Model Reporting. FAT* 2019.
    """
    parts = [
        f"# Model {model.id} of {_plain(project.name)}",
        _intended(names),
        _data(project, model, names),
        _metrics(project, model),
        _limits(model, names),
        _files(checks, split, n, side, len(names)),
        _provenance(model),
    ]
    return "\n\n".join(parts) + "\n"


def _intended(names: Sequence[str]) -> str:
    listed = ", ".join(_plain(name) for name in names)
    return (
        f"## Intended use\n\nTells images of these {len(names)} classes apart: {listed}. Meant for "
        f"images of the kind it was trained on, with somebody who looks at the doubtful ones. Not "
        f"meant for decisions about people that nobody reviews."
    )


def _data(project: Project, model: ModelRecord, names: Sequence[str]) -> str:
    with project.store.read() as unit:
        by_split = {s: unit.labels.counts_by_class(s) for s in ("train", "valid", "audit")}
    rows = [
        f"| {_plain(name)} | " + " | ".join(str(by_split[s].get(i, 0)) for s in by_split) + " |"
        for name, i in zip(names, model.class_ids, strict=True)
    ]
    synthetic = model.config.get("synthetic")
    extra = f" Synthetic items: {_count(synthetic)}." if synthetic else ""
    return (
        f"## Data\n\n{model.labels:,} labels by people when it was trained; those of training and "
        f"validation have the hash `{model.label_hash[:16]}…`.{extra} Labels by class now:\n\n"
        "| class | train | valid | audit |\n|---|---|---|---|\n" + "\n".join(rows)
    )


def _count(value: Any) -> str:
    return str(value.get("items", value)) if isinstance(value, Mapping) else str(value)


def _metrics(project: Project, model: ModelRecord) -> str:
    found = on_audit(project, model, audit_labels(project))
    if not len(found):
        return "## Metrics\n\nNot measured: no audit item is labelled."
    measured = quality(project, found)
    accuracy, calibration = measured.accuracy, measured.calibration
    f1 = _percent(measured.macro_f1)
    bounds = f"{_percent(measured.macro_f1_low)} to {_percent(measured.macro_f1_high)}"
    lines = [
        f"- Accuracy {_percent(accuracy.value or 0.0)} (95 % interval "
        f"{_percent(accuracy.low)} to {_percent(accuracy.high)}, Wilson)",
        f"- Macro-F1 {f1} ({bounds}, bootstrap)",
        f"- Expected calibration error {_percent(calibration.ece_after)}, "
        f"{_percent(calibration.ece_before)} before its temperature of "
        f"{calibration.temperature:.2f}",
    ]
    about = f"On {len(found):,} audit items: drawn at random, labelled blind, never trained on."
    return "\n".join(["## Metrics", "", about, "", *lines])


def _limits(model: ModelRecord, names: Sequence[str]) -> str:
    found = model.metrics
    missing = {int(i) for i in found.get("missing_classes") or ()}
    lines = ["It always answers with one of its classes; look at the energy for images of none."]
    if not found.get("n"):
        lines.append("How often it is right is unknown.")
    elif found["n"] < FEW:
        lines.append(f"It was measured on {found['n']} items only: the interval is wide.")
    if missing:
        never = [_plain(n) for n, i in zip(names, model.class_ids, strict=True) if i in missing]
        lines.append(f"It never predicts {', '.join(never)}: there was no training example.")
    return "## Limits\n\n" + "\n".join(f"- {line}" for line in lines)


def _files(checks: Sequence[Check], split: str, n: int, side: int, classes: int) -> str:
    rows = [
        f"| `{one.name}` | {one.bytes / 1e6:.1f} MB | {_percent(one.accuracy)} | "
        f"{_percent(one.model_accuracy)} | {one.largest:.2g} | {_percent(one.agree)} |"
        for one in checks
    ]
    kinds = {"model.onnx": "onnx", "model-int8.onnx": "int8", "learner.pkl": "fastai"}
    uses = [f"- {USE[kinds[one.name]].format(side=side, classes=classes)}" for one in checks]
    return (
        f"## Files\n\nCompared with the model itself on {n:,} images of the {split} split:\n\n"
        "| file | size | accuracy | the model's | largest difference | same class |\n"
        "|---|---|---|---|---|---|\n" + "\n".join(rows) + "\n\n" + "\n".join(uses)
    )


def _provenance(model: ModelRecord) -> str:
    made = datetime.fromtimestamp(model.created_at, UTC).isoformat(timespec="seconds")
    versions = ", ".join(f"{name} {version}" for name, version in model.versions.items())
    return (
        f"## Provenance\n\nTrained {made.replace('+00:00', 'Z')} on {model.device} with backbone "
        f"{model.backbone}, {model.config.get('training', 'features')}, seed {model.seed}. "
        f"{versions}."
    )


def _percent(value: float) -> str:
    return f"{100 * value:.1f} %"


def _plain(text: str) -> str:
    """Return a name that is no Markdown."""
    return "".join(f"\\{c}" if c in "\\`*_{}[]<>()#+-.!|~" else c for c in text)
