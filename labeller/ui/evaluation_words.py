"""What the evaluation page says, worked out from facts: no Streamlit here."""

from __future__ import annotations

import time

from labeller.services import headline
from labeller.services.agreement import Agreement
from labeller.services.evaluation_compare import Bought, Rate
from labeller.services.evaluation_quality import Quality
from labeller.services.evaluation_report import Evaluation, SplitCheck
from labeller.services.evaluation_scores import Share, apart
from labeller.services.stopping import WORTH, Forecast, Verdict
from labeller.ui import view
from store.records import ModelRecord

VERDICTS: dict[Verdict, str] = {
    "go_on": "**Go on.** The next {labels} are expected to bring {worth} points or more.",
    "stop": "**Stopping is reasonable.** Even at best the next {labels} bring less than {worth} "
    "points.",
    "unclear": "**Not clear yet.** The next {labels} are expected to bring less than {worth} "
    "points, but more is possible. More labels in the audit set would tell.",
}
SEAL = (
    "**These are audit images.** Seeing where the model is wrong opens the seal a little: a label "
    "changed because of it measures the model no more. That they were shown to you is noted, and "
    "the Evaluation page counts labels changed after that. Nothing can be relabelled here."
)


def points(share: float, digits: int = 1) -> str:
    """Write a difference of two shares in points, with its sign."""
    return f"{100 * share:+.{digits}f}".replace("-", "−")


def bounds(low: float, high: float) -> str:
    """Write an interval of a share."""
    return f"{100 * low:.1f}–{100 * high:.1f}\u202f%"


def share(value: Share) -> str:
    """Write a share with its interval; a dash where there is none."""
    if value.value is None:
        return "–"
    return f"{view.percent(value.value)} ({bounds(value.low, value.high)})"


def model_title(facts: Evaluation, model: ModelRecord) -> str:
    """Name a model by its round, say when it was made and whether it is the one in use."""
    record = facts.round_of(model)
    made = time.strftime("%d %b %H:%M", time.localtime(model.created_at))
    used = " · in use" if model.in_use else ""
    return f"Round {record.number} · {view.count(record.labels, 'label')} · {made}{used}"


def how_known(facts: Evaluation, quality: Quality) -> str:
    """Say what the numbers were measured on."""
    n = quality.accuracy.n
    text = (
        f"Measured on {view.count(n, 'labelled image')} of the audit set: drawn at random, "
        f"labelled without a suggestion, never trained on."
    )
    if facts.waiting:
        text += f" {facts.waiting:,} more of the audit set wait for a label."
    if facts.aside:
        text += f" {facts.aside:,} of it were flagged or put aside and do not count."
    left_out = len(facts.labels) - n
    if left_out > 0:
        text += f" {left_out:,} labelled ones were never predicted by this model and do not count."
    then = quality.then
    if then.n and (then.n != n or quality.changed):
        text += f" Its own round measured {headline.summary(then)} of that time."
    return text


def changed(quality: Quality) -> str | None:
    """Say how many audit labels changed or went since the model was measured; None if none did."""
    number = len(quality.changed)
    if not number:
        return None
    after = sum(one.after for one in quality.changed)
    gone = sum(one.gone for one in quality.changed)
    verb = "has" if number == 1 else "have"
    text = f"{view.count(number, 'audit label')} {verb} changed since this model was measured"
    if gone:
        text += f", of which {gone:,} {'was' if gone == 1 else 'were'} taken away"
    text += ". The numbers below go by the labels of now."
    if after:
        text += (
            f" {after:,} of them changed after mistakes of a model had been shown: to that extent "
            f"the numbers may be too good."
        )
    return text


def bought(facts: Evaluation, result: Bought) -> str:
    """Say what came of the labels between two models, in Markdown."""
    test = result.result
    rounds = [facts.round_of(model).number for model in (result.before, result.after)]
    p = "< 0.001" if test.p_value < 0.001 else f"= {test.p_value:.3f}"
    judged = "more than chance" if test.p_value < 0.05 else "may well be chance"
    return (
        f"Round {rounds[1]} against round {rounds[0]} on the same "
        f"{view.count(test.n, 'audit image')}: **{points(test.difference)} points** "
        f"({points(test.low)} to {points(test.high)}). {test.gained:,} became right, "
        f"{test.lost:,} became wrong; McNemar's exact test: p {p}, {judged}."
    )


def spent(result: Bought) -> str | None:
    """Say what was paid for it, and the gain per unit of that; None when nothing was."""
    price = result.price
    if price.labels <= 0:
        return None
    time = "" if price.seconds is None else f", {view.seconds(price.seconds)} of labelling"
    text = f"It took {view.count(price.labels, 'more label')}{time}"
    many = next(number for number in (100, 10, 1) if price.labels >= number)
    rates = [
        f"{_rate(rate, times)} points per {unit}"
        for rate, times, unit in (
            (result.per_label, many, view.count(many, "label") if many > 1 else "label"),
            (result.per_minute, 1, "minute"),
        )
        if rate is not None
    ]
    return f"{text}: {' and '.join(rates)}." if rates else f"{text}."


def _rate(rate: Rate, times: int) -> str:
    """Write a rate for so many units, with its band."""
    value, low, high = (points(times * one, 2) for one in (rate.value, rate.low, rate.high))
    return f"{value} ({low} to {high})"


def next_labels(expected: Forecast) -> str:
    """Say what the next labels bring: ``the next 200 labels, about 6 min, +0.3 ± 0.4 points``."""
    time = "" if expected.seconds is None else f", about {view.seconds(expected.seconds)}"
    return (
        f"The next {view.count(expected.more, 'label')}{time}, "
        f"{points(expected.gain)} ± {100 * expected.half_width:.1f} points"
    )


def verdict(judged: Forecast, found: Verdict) -> str:
    """Say whether to go on, and about how many labels that is said, in Markdown."""
    labels = view.count(judged.more, "label")
    return VERDICTS[found].format(labels=labels, worth=f"{100 * WORTH:.1f}")


def agreed(found: Agreement, quality: Quality | None) -> str:
    """Say how far annotators agree, and what follows for the model."""
    text = (
        f"On {view.count(found.items, 'image')} labelled twice, annotators agree in "
        f"**{view.percent(found.share)}** ({bounds(found.low, found.high)}). A model that agrees "
        f"with the labels that often does as well as another annotator would."
    )
    if quality is not None and quality.accuracy.n >= headline.LEAST:
        text += f" {beside(quality.accuracy, found)}"
    return (
        f"{text} Which images were labelled twice was not drawn at random, so take it as a guide."
    )


def beside(accuracy: Share, found: Agreement) -> str:
    """Say where the model stands beside the agreement of annotators."""
    value = accuracy.value or 0.0
    low, high = apart((value, accuracy.low, accuracy.high), (found.share, found.low, found.high))
    if high < 0:
        return f"This one does so in {view.percent(value)}: there is room up to that."
    where = "more often" if low > 0 else "about as often"
    return (
        f"This one does so in {view.percent(value)}, {where}: beyond that, clearer classes and "
        f"better labels help rather than more of the same."
    )


def split(check: SplitCheck, names: dict[int, str]) -> str:
    """Say whether two splits have the same classes, in plain text."""
    test = check.test
    p = "< 0.001" if test.p_value < 0.001 else f"= {test.p_value:.3f}"
    how = "chi-square" if test.method == "chi-square" else "permutation"
    pair = f"{test.first.capitalize()} ({test.n_first:,}) against {test.second} ({test.n_second:,})"
    if not check.differs:
        return f"{pair}: no difference in classes shown (p {p}, {how} test)."
    name = names.get(test.class_id, f"class {test.class_id}")
    return (
        f"{pair}: the classes differ (p {p}, {how} test). Most of all “{name}”: "
        f"{view.percent(test.first_share)} against {view.percent(test.second_share)}. "
        f"{_why_differs(test.second)}"
    )


def _why_differs(second: str) -> str:
    if second == "audit":
        return (
            "Strategies pick what teaches most, so that is no fault; but accuracy on valid is then "
            "not that on the audit set."
        )
    return (
        "Both are drawn from the same picks, so this points to groups that lie in one split as a "
        "whole, or to labels imported for one of them."
    )
