"""The command that says how good the model is, what the last labels bought, and when to stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import click

from labeller.cli.output import (
    emit,
    example,
    json_option,
    percent,
    project_argument,
    seconds,
    table,
    typed,
)

VERDICTS = {
    "go_on": "Go on: the next {} labels are worth it.",
    "stop": "Stopping is reasonable: even at best the next {} labels bring less than half a point.",
    "unclear": "Unclear: little is expected of the next {} labels, but more is possible.",
}
EPILOG = """
\b
The JSON object holds, shares from 0 to 1, times in seconds, intervals as [low, high] at 95 %:
  model, against   id, round, labels, created_at, in_use
  audit_labels     labelled items of the audit set
  audit_waiting    those without a label yet
  audit_aside      those that were flagged or put aside, which do not count
  quality          n, right, accuracy (null below 20 audit labels; accuracy_text
                   says what is known), macro_f1 with intervals and methods,
                   log_loss, temperature, temperature_why (in words),
                   ece_before, ece_after, classes
                   (class, support, precision, recall), confusion (rows true),
                   labels_changed (labels_gone of them taken away),
                   labels_changed_after_shown,
                   accuracy_in_its_round, n_in_its_round
  bought           McNemar's test of model and against: n, gained, lost,
                   difference, interval, p_value, significant, labels,
                   seconds, per_label, per_minute
  stopping         points, verdict (go_on, stop, unclear), why, labels, gain,
                   gain_interval, seconds; verdict_labels, verdict_gain and
                   verdict_gain_interval: what the verdict is about
  agreement        items, share, interval, pairs with share and kappa
  splits           first, second, n, p_value, method, distance, differs,
                   class, shares
  ablation         with and without synthetic items: n, with, without, gained,
                   lost, difference, interval, p_value, verdict
  unfamiliar       images that look like nothing seen: threshold and the audit
                   images (n) it was taken from, pool and pool_above
  leaks            near-duplicates joined (by method), pairs apart, unused items and labels
  split_method     hash, or stratified: by class
  shown            who saw the model's mistakes on the audit set, and when
  unreadable       models whose kept predictions cannot be read, and why
Parts that cannot be told yet are null.
"""


@click.command("evaluate", epilog=EPILOG + "\n" + example("labeller evaluate birds --labels 200"))
@project_argument
@click.option(
    "--model", metavar="ID", type=click.IntRange(min=1), help="The model; the one in use if not."
)
@click.option(
    "--against",
    metavar="ID",
    type=click.IntRange(min=1),
    help="The model to compare it with; the one before if not.",
)
@click.option(
    "--labels",
    metavar="N",
    type=click.IntRange(min=1),
    help="Forecast what so many more labels bring; a batch if not.",
)
@json_option
def evaluate_command(
    project: Path, model: int | None, against: int | None, labels: int | None, as_json: bool
) -> None:
    """Say how good the model is, how that is known, what its labels bought, and when to stop.

    Every number comes from the audit set: random items, labelled without a suggestion, never
    trained on. Accuracy has Wilson's 95 % interval, macro-F1 that of a bootstrap.
    """
    from labeller.project import open_project
    from labeller.services.evaluation_json import as_json as told
    from labeller.services.evaluation_report import evaluate

    opened = open_project(project)
    facts = evaluate(opened, model, against)
    data = told(facts, labels or opened.settings.batch)
    emit(data, as_json, _text(data, project))


def _text(data: dict[str, Any], project: Path) -> str:
    """Lay the evaluation out for reading."""
    if data["model"] is None:
        return f"No model yet. Label some items, then: labeller round {typed(project)}"
    lines = [f"model      {data['model']['id']} of round {data['model']['round']}"]
    lines += [f"model {model}: {why}" for model, why in data["unreadable"].items()]
    lines += _quality_lines(data["quality"], data["audit_labels"])
    if data["audit_aside"]:
        lines.append(f"audit      {data['audit_aside']:,} items flagged or put aside do not count")
    lines += _bought_lines(data["bought"], data["against"])
    lines += _stopping_lines(data["stopping"])
    lines += _agreement_lines(data["agreement"])
    lines += [_split_line(split) for split in data["splits"]]
    lines += _ablation_lines(data["ablation"])
    lines += _unfamiliar_lines(data["unfamiliar"])
    if data["split_method"] == "stratified":
        lines.append(f"drawn      {STRATIFIED}")
    lines += _leak_lines(data["leaks"])
    if data["quality"]:
        lines += ["", table([_HEADER, *(_class_row(row) for row in data["quality"]["classes"])])]
    return "\n".join(lines)


STRATIFIED = (
    "class by class where labels came with the images, at random within a class: each class has "
    "its share of the audit set, and intervals are rather too wide than too narrow"
)


def _ablation_lines(ablation: dict[str, Any] | None) -> list[str]:
    """Say whether the synthetic items helped."""
    if ablation is None:
        return []
    if ablation["difference"] is None:
        return [f"synthesis  {ablation['synthetic']:,} synthetic items; {ablation['why']}"]
    low, high = ablation["interval"]
    return [
        f"synthesis  {ablation['synthetic']:,} synthetic items: {_points(ablation['difference'])} "
        f"({_points(low)} to {_points(high)}) points, {ablation['verdict']} "
        f"(McNemar p = {ablation['p_value']:.3g})"
    ]


def _unfamiliar_lines(unfamiliar: dict[str, Any] | None) -> list[str]:
    """Say how many images look like nothing the model has seen."""
    if unfamiliar is None or not unfamiliar["pool"]:
        return []
    share = unfamiliar["pool_above"] / unfamiliar["pool"]
    return [
        f"unfamiliar {unfamiliar['pool_above']:,} of {unfamiliar['pool']:,} images of the pool "
        f"look like nothing seen ({percent(share)}; 5 % of the audit set are expected to)"
    ]


def _leak_lines(leaks: dict[str, Any]) -> list[str]:
    """Say whether near-duplicates may flatter the model, and which images do not count."""
    lines = []
    if leaks["apart"]:
        lines.append(f"leaks      {leaks['apart']:,} pairs of near-duplicates lie in two splits")
    if leaks["unused"]:
        lines.append(
            f"put aside  {leaks['unused']:,} images look like ones of the audit set; "
            f"{leaks['unused_labels']:,} labels of them neither train nor measure"
        )
    return lines


_HEADER = ("class", "audit items", "precision", "recall")


def _class_row(row: dict[str, Any]) -> tuple[str, ...]:
    return (
        row["class"],
        f"{row['support']:,}",
        _with_interval(row["precision"]["value"], row["precision"]["interval"]),
        _with_interval(row["recall"]["value"], row["recall"]["interval"]),
    )


def _with_interval(value: float | None, interval: list[float]) -> str:
    if value is None:
        return "-"
    return f"{percent(value)} ({100 * interval[0]:.1f} to {100 * interval[1]:.1f})"


def _quality_lines(quality: dict[str, Any] | None, labels: int) -> list[str]:
    """Say how good the model is and how that is known."""
    if quality is None:
        missing = "no item of the audit set is labelled yet" if not labels else "not measured"
        return [f"accuracy   unknown: {missing}"]
    if quality["accuracy"] is None:
        lines = [f"accuracy   {quality['accuracy_text']}"]
    else:
        lines = _measured_lines(quality)
    if quality["labels_changed"]:
        lines.append(
            f"audit      {quality['labels_changed']:,} labels changed since the model was "
            f"measured ({quality['labels_gone']:,} taken away), "
            f"{quality['labels_changed_after_shown']:,} of them after mistakes were shown"
        )
    return lines


def _measured_lines(quality: dict[str, Any]) -> list[str]:
    """Say how good a model is that was measured on enough labels."""
    return [
        f"accuracy   {_with_interval(quality['accuracy'], quality['accuracy_interval'])}, "
        f"Wilson, {quality['n']:,} audit items",
        f"macro-F1   {_with_interval(quality['macro_f1'], quality['macro_f1_interval'])}, "
        f"bootstrap",
        f"calibration error {percent(quality['ece_before'])} before, "
        f"{percent(quality['ece_after'])} after temperature {quality['temperature_why']}",
    ]


def _bought_lines(bought: dict[str, Any] | None, against: dict[str, Any] | None) -> list[str]:
    """Say what the labels since the other model bought."""
    if bought is None or against is None:
        return ["bought     no other model to compare with"]
    if not bought["n"]:
        return ["bought     no audit item that both models predicted"]
    low, high = bought["interval"]
    per_label, per_minute = bought["per_label"], bought["per_minute"]
    rates = [f"{bought['labels']:,} labels"] if bought["labels"] > 0 else []
    if per_label:
        rates.append(f"{_rate(per_label, 10_000)} points per 100 labels")
    if per_minute:
        rates.append(f"{_rate(per_minute, 100)} points per minute of labelling")
    return [
        f"bought     {_points(bought['difference'])} ({_points(low)} to {_points(high)}) points "
        f"against model {against['id']}: {bought['gained']:,} became right, {bought['lost']:,} "
        f"wrong of {bought['n']:,}, McNemar p = {bought['p_value']:.3g}",
        *([f"           {', '.join(rates)}"] if rates else []),
    ]


def _stopping_lines(stopping: dict[str, Any]) -> list[str]:
    """Say what the next labels bring."""
    if stopping["why"]:
        return [f"stopping   {stopping['why']}"]
    low, high = stopping["gain_interval"]
    time = f", about {seconds(stopping['seconds'])}" if stopping["seconds"] is not None else ""
    verdict = VERDICTS[stopping["verdict"]].format(f"{stopping['verdict_labels']:,}")
    return [
        f"stopping   the next {stopping['labels']:,} labels{time}: {_points(stopping['gain'])} ± "
        f"{50 * (high - low):.1f} points. {verdict}"
    ]


def _agreement_lines(agreement: dict[str, Any] | None) -> list[str]:
    """Say how far annotators agree."""
    if agreement is None:
        return ["agreement  unknown: no item was labelled by two annotators"]
    return [
        f"agreement  {_with_interval(agreement['share'], agreement['interval'])} between "
        f"annotators on {agreement['items']:,} items"
    ]


def _split_line(split: dict[str, Any]) -> str:
    """Compare two splits in a line."""
    judged = "classes differ" if split["differs"] else "no difference shown"
    return (
        f"splits     {split['first']} against {split['second']}: {judged} "
        f"(p = {split['p_value']:.3g}, {split['method']})"
    )


def _rate(rate: dict[str, Any], times: int) -> str:
    """Write a gain per unit with its band."""
    low, high = rate["interval"]
    return f"{times * rate['value']:+.2f} ({times * low:+.2f} to {times * high:+.2f})"


def _points(share: float) -> str:
    return f"{100 * share:+.1f}"
