"""What the pages say, worked out from records: no Streamlit here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labeller.services import headline
from labeller.services.budget import amount
from labeller.services.evaluation_scores import Share
from labeller.services.rounds import AUDIT, RANDOM, AutoChoice
from labeller.ui.titles import KIND_TITLES as KIND_TITLES
from labeller.ui.titles import STAGE_TITLES as STAGE_TITLES
from labeller.ui.titles import STAGES
from labeller.ui.titles import short_strategy_title as short_strategy_title
from labeller.ui.titles import strategy_title as strategy_title
from store.records import JobRecord, ModelRecord, QueueCounts
from store.records_budget import BudgetRecord

NOTHING_FOUND = "no image was found there: look at the folder, and at what is in it."
FIRST_LABELS = 10  # fewer say nothing; the round itself checks what it really needs


@dataclass(frozen=True, slots=True)
class Meter:
    """The budget bar: shares of its length, and what stands below."""

    headline: str
    text: str
    spent: float
    reserved: float
    empty: bool


@dataclass(frozen=True, slots=True)
class ModelLines:
    """The model in use: its accuracy as a headline, and the lines below."""

    headline: str
    interval: str
    details: str
    behind: str


@dataclass(frozen=True, slots=True)
class JobLines:
    """A running job: title, what it does, the bar, and the numbers of training if there are any."""

    title: str
    stage: str
    progress: float
    left: str
    numbers: str
    losses: tuple[float, ...]
    trains: bool
    cancelling: bool


def count(value: int, noun: str, plural: str = "") -> str:
    """Write a number with its noun: ``1 image``, ``1,200 images``."""
    return f"{value:,} {noun if value == 1 else plural or noun + 's'}"


def percent(share: float, digits: int = 1) -> str:
    """Write a share as per cent with a narrow gap before the sign."""
    return f"{share * 100:.{digits}f}\u202f%"


def size(number: int) -> str:
    """Write a number of bytes: ``812 B``, ``3.4 kB``, ``12 MB``."""
    value, units = float(number), ["B", "kB", "MB", "GB"]
    while value >= 999.5 and len(units) > 1:
        value, units = value / 1000, units[1:]
    return (
        f"{value:.1f} {units[0]}"
        if value < 9.95 and units[0] != "B"
        else f"{value:,.0f} {units[0]}"
    )


def seconds(value: float) -> str:
    """Write a length of time in its two largest units: ``8 s``, ``3 min 20 s``, ``2 h 5 min``."""
    whole = max(0, round(value))
    if whole < 60:
        return f"{whole} s"
    if whole < 3600:
        return f"{whole // 60} min" + (f" {whole % 60} s" if whole < 600 and whole % 60 else "")
    if whole < 86_400:
        return f"{whole // 3600} h" + (f" {whole % 3600 // 60} min" if whole % 3600 >= 60 else "")
    return count(whole // 86_400, "day")


def precise_seconds(value: float) -> str:
    """Write how long something took: a decimal below ten seconds."""
    return f"{value:.1f} s" if value < 9.95 else seconds(value)


def ago(then: float, now: float) -> str:
    """Write how long ago something was; a clock that went back counts as now."""
    past = now - then
    if past < 45:
        return "just now"
    for size, name in ((60, "min"), (3600, "h"), (86_400, "day")):
        if past < size * {"min": 60, "h": 24, "day": 60}[name]:
            number = max(1, int(past // size))
            return f"{count(number, 'day') if name == 'day' else f'{number} {name}'} ago"
    return f"{int(past // (30 * 86_400))} months ago"


def time_left(eta: float | None) -> str:
    """Write an estimate of the time left; nothing while it is unknown."""
    if eta is None:
        return ""
    return "almost done" if eta < 1.5 else f"≈ {seconds(eta)} left"


def meter(budget: BudgetRecord, price: float) -> Meter:
    """Turn the budget into a bar.

    Parameters
    ----------
    budget : BudgetRecord
        What there is.
    price : float
        What one label costs.
    """
    reserved = f" · {amount(budget.reserved)} reserved" if budget.reserved else ""
    if budget.total is None or budget.left is None:
        return Meter(
            f"{amount(budget.spent)} spent", f"No limit set{reserved}", 0.0, 0.0, empty=False
        )
    whole = budget.total or 1.0
    spent = min(1.0, budget.spent / whole)
    held = min(1.0 - spent, budget.reserved / whole)
    left = max(0.0, budget.left)
    text = f"{amount(budget.spent)} of {amount(budget.total)} spent{reserved}"
    return Meter(f"{amount(left)} left", text, spent, held, empty=left < price or left == 0)


def bounds(measured: Share, digits: int = 1) -> str:
    """Write the 95 % interval of a share."""
    return f"{100 * measured.low:.{digits}f}–{100 * measured.high:.{digits}f}\u202f%"


def headline_lines(measured: Share) -> tuple[str, str]:
    """Write an accuracy where there is room for a few large letters, and the line below.

    Of too few labels it is a range, or nothing yet: see `services.headline`.
    """
    few = f"{measured.n:,} of {headline.LEAST} audit labels"
    if measured.n < headline.LEAST_RANGE or measured.value is None:
        return "Not yet known", few
    if measured.n < headline.LEAST:
        return bounds(measured, 0), f"95 % range only: {few}"
    return percent(measured.value), (
        f"95 %: {bounds(measured)} · {count(measured.n, 'audit label')}"
    )


def model_lines(
    model: ModelRecord | None,
    measured: Share | None,
    round_number: int | None,
    behind: int,
    labelled: int,
) -> ModelLines:
    """Say what the model in use is, how good, and how many labels it has not seen."""
    if model is None or measured is None:
        few = labelled < FIRST_LABELS
        hint = "Label some images of two classes first." if few else "Retrain to get the first one."
        return ModelLines("No model yet", "", hint, "")
    where = f"round {round_number} · {model.device}" if round_number else model.device
    lag = f"{count(behind, 'label')} behind" if behind else "up to date"
    return ModelLines(*headline_lines(measured), where, lag)


def job_lines(job: JobRecord) -> JobLines:
    """Say what a running job does."""
    detail = job.detail
    name = job.stage.lower()
    stage = STAGE_TITLES.get(name, job.stage.capitalize()) or "Starting"
    if job.kind == "round" and name in STAGES:
        stage = f"{STAGES.index(name) + 1}/{len(STAGES)} {stage}"
    losses = detail.get("losses")
    values = tuple(float(v) for v in losses) if isinstance(losses, Sequence) else ()
    return JobLines(
        title=KIND_TITLES.get(job.kind, job.kind.capitalize()),
        stage="Waiting to start" if job.state == "waiting" else stage,
        progress=min(1.0, max(0.0, job.progress)),
        left="" if job.cancel_requested else time_left(_number(detail.get("eta"))),
        numbers=_numbers(job),
        losses=values,
        trains=job.kind == "round",
        cancelling=job.cancel_requested,
    )


def _numbers(job: JobRecord) -> str:
    """Write epoch, loss and accuracy of training, or how many of what and how fast."""
    detail, parts = job.detail, []
    if job.stage == "train" and detail.get("epoch") is not None:
        parts.append(f"epoch {detail['epoch']}/{detail.get('epochs', '?')}")
        for name in ("loss", "accuracy"):
            value = _number(detail.get(name))
            if value is not None:
                parts.append(f"{name} {value:.3f}" if name == "loss" else percent(value))
        return " · ".join(parts)
    done, total, rate = (_number(detail.get(name)) for name in ("done", "total", "rate"))
    if done is not None and total is not None and total > 1:
        parts.append(f"{done:,.0f} of {total:,.0f}")
    elif done:
        parts.append(f"{done:,.0f}")
    if rate is not None and rate >= 0.5 and parts:
        parts.append(f"{rate:,.0f}/s")
    return " · ".join(parts)


def _number(value: Any) -> float | None:
    return float(value) if isinstance(value, (int, float)) else None


def auto_line(choice: AutoChoice, has_model: bool = True) -> str:
    """Say what ``auto`` picks the next queue by, and why."""
    if choice.labels and not has_model:
        return f"auto: now {choice.name} (no model yet, {choice.reason})"
    return f"auto: now {choice.name} ({choice.reason})"


@dataclass(frozen=True, slots=True)
class QueueLines:
    """The present queue: what is left of it, and what made it."""

    headline: str
    made: str


def queue_lines(queue: QueueCounts, made_by: Mapping[str, int], number: int | None) -> QueueLines:
    """Say what is left of the present queue, and by what its images were picked.

    Parameters
    ----------
    queue : QueueCounts
    made_by : mapping of str to int
        How many images each strategy has put there.
    number : int, optional
        The round that made it; 0 is the queue that an import makes.
    """
    if not queue.total:
        return QueueLines("none yet", "")
    others = sorted((n, name) for name, n in made_by.items() if name != AUDIT)[::-1]
    parts = [f"{n:,} {'at random' if name == RANDOM else _by(name)}" for n, name in others]
    if sealed := made_by.get(AUDIT):
        parts.append(f"{sealed:,} for the audit set")
    source = "First queue" if not number else f"Round {number}"
    made = f"{source}: {count(queue.total, 'image')}, {', '.join(parts)}"
    return QueueLines(f"{queue.waiting + queue.leased:,} left", made)


def _by(name: str) -> str:
    return f"by {short_strategy_title(name).lower()}"


def gain(before: Share | None, after: Share) -> str:
    """Write what a round changed in audit accuracy, in points, with its 95 % half-width.

    Parameters
    ----------
    before, after : Share
        Of the two models. The half-width treats the two results as independent, which is
        wider than a paired comparison on the same items would be. Too few labels give a dash.
    """
    if before is None or min(before.n, after.n) < headline.LEAST:
        return "–"
    variance = 0.0
    for measured in (before, after):
        # Agresti & Caffo (2000): one success and one failure more, so that 100 % has a width.
        adjusted = (measured.right + 1) / (measured.n + 2)
        variance += adjusted * (1 - adjusted) / (measured.n + 2)
    points = ((after.value or 0.0) - (before.value or 0.0)) * 100
    return f"{points:+.1f} ± {1.96 * math.sqrt(variance) * 100:.1f}".replace("-", "−")


def finished_icon(job: JobRecord) -> str:
    """Return the icon of a job that is done: an import that found nothing is no success."""
    nothing = job.kind == "import" and found_nothing(job.result or {})
    return ":material/warning:" if nothing else ":material/check_circle:"


def found_nothing(result: Mapping[str, Any]) -> bool:
    """Whether an import came upon no file that could be an image."""
    return not any(result.get(name) for name in ("added", "known", "failed"))


def finished_line(job: JobRecord) -> str:
    """Say in one sentence what a job that is done brought."""
    result = job.result or {}
    if job.kind == "import":
        if found_nothing(result):
            return f"Import done, but {NOTHING_FOUND}"
        parts = [count(int(result.get("added") or 0), "image") + " added"]
        parts += [
            f"{int(result[name]):,} {text}"
            for name, text in (("known", "known already"), ("failed", "left out"))
            if result.get(name)
        ]
        return "Import done: " + ", ".join(parts) + "."
    if job.kind == "round":
        queued = count(int(result.get("queued") or 0), "image")
        measured = headline.of_result(result)
        model = f" Audit accuracy {headline.summary(measured)}." if measured.n else ""
        number = f"Round {result['round']}" if result.get("round") is not None else "The round"
        return f"{number} is done: {queued} in the new queue.{model}"
    if job.kind == "stream" and result:
        asked, accepted, deferred = (int(result[n]) for n in ("asked", "accepted", "deferred"))
        return (
            f"Stream: {count(accepted, 'label')} generated, {count(asked, 'question')} for you, "
            f"{deferred:,} left in the pool. {result['reason'] or ''}".rstrip()
        )
    if job.kind == "propagation" and result:
        labels, images = int(result["accepted"]), int(result["passed"])
        return f"Labelled the rest: {count(labels, 'label')} for {count(images, 'image')}."
    if job.kind == "synthesis" and result:
        made = count(int(result["made"]), "item")
        return f"Synthesis: {made} made. {result['message']}".rstrip()
    if job.kind == "predict" and result:
        failed = int(result["failed"])
        bad = f", {count(failed, 'file')} could not be read" if failed else ""
        return f"{count(int(result['predicted']), 'image')} predicted{bad}."
    if job.kind == "predict_pool" and result:
        predicted = count(int(result["predicted"]), "image")
        return f"Model {result['model']} has predicted the pool: {predicted}."
    if job.kind == "export_model" and result:
        return f"Model {result['model']} is exported: {count(len(result['files']), 'file')}."
    if job.kind == "cleaning" and result:
        unjudged = int(result.get("unjudged", 0))
        rest = f", {count(unjudged, 'label')} could not be judged" if unjudged else ""
        return f"Search done: {count(len(result['suspects']), 'doubtful label')}{rest}."
    if job.kind == "backup" and result:
        kept, problems = count(int(result["labels"]), "label"), len(result["problems"])
        changed = f", {count(problems, 'image')} gone or changed" if problems else ""
        return f"Backup made and read back: {kept}, {size(int(result['bytes']))}{changed}."
    return f"{job.kind.capitalize()} is done."


def retrain_hindrance(
    *, items: int, classes: int, labelled: int, active: JobRecord | None, same_as_last: bool
) -> str | None:
    """Say why a round cannot be started now; None when it can.

    Parameters
    ----------
    items, classes, labelled : int
        How many the project has.
    active : JobRecord, optional
        The round that is on.
    same_as_last : bool
        Whether a round would repeat the last one: no new label, same strategy and batch, and the
        queue untouched.
    """
    if active is not None:
        return "A round is on already."
    if not items:
        return "Import images first."
    if not classes:
        return "Add classes first."
    if same_as_last and labelled:
        return "Nothing new since the last round: label some images, or choose another strategy."
    return None
