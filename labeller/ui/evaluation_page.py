"""The evaluation page: how good the model is, how that is known, what labels bought, when to stop.

The facts are worked out once and kept in the session until something changes, so that a choice
below draws only its own part anew.
"""

from __future__ import annotations

from typing import Any

import streamlit as st

from labeller.errors import EvaluationError
from labeller.project import Project
from labeller.services import headline
from labeller.services.evaluation_quality import Quality
from labeller.services.evaluation_report import Evaluation, Stopping, evaluate, facts_key
from labeller.ui import (
    address,
    evaluation_cards,
    evaluation_details,
    evaluation_gallery,
    evaluation_plots,
    history,
    plots,
    view,
)
from labeller.ui import evaluation_words as words
from labeller.ui.text import escape_markdown

_FACTS = "evaluation_facts"
_MOST = 1_000_000  # labels to come


def show(project: Project) -> None:
    """Draw the page."""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="bottom"
    ):
        st.title("Evaluation", width="content")
        facts = _facts(project, None, None)
        if facts.model is not None:
            facts = _chosen(project, facts)
    if facts.model is None:
        history.show_next_step(project, "Nothing to evaluate yet.")
        return
    dark = st.context.theme.type == "dark"
    for model, why in facts.failed.items():
        if facts.model is not None and model == facts.model.id:
            st.error(escape_markdown(why), icon=":material/error:")
    if facts.quality is None:
        _not_audited(facts)
    else:
        _quality(facts, facts.quality)
    st.subheader("What its labels bought")
    _bought(facts)
    st.subheader("When to stop")
    st.fragment(_stopping)(facts, dark)
    st.subheader("Where it is wrong, and how sure it is")
    st.fragment(evaluation_details.show)(facts, dark)


def _facts(project: Project, model: int | None, against: int | None) -> Evaluation:
    """Return the facts, from the session while nothing has changed."""
    key: tuple[Any, ...] = (project.id, model, against, facts_key(project))
    kept: tuple[Any, Evaluation] | None = st.session_state.get(_FACTS)
    if kept is not None and kept[0] == key:
        return kept[1]
    with st.spinner("Working it out …", show_time=False):
        found = evaluate(project, model, against)
    st.session_state[_FACTS] = (key, found)
    return found


def _chosen(project: Project, facts: Evaluation) -> Evaluation:
    """Let the person choose the model and the one to compare it with."""
    if len(facts.models) < 2 or facts.model is None:
        return facts
    by_id = {model.id: model for model in reversed(facts.models)}
    address.choice("model", "evaluation_model", by_id, facts.model.id)
    model = st.selectbox(
        "Model",
        list(by_id),
        format_func=lambda i: words.model_title(facts, by_id[i]),
        key="evaluation_model",
        width=335,
    )
    others = [i for i in by_id if i != model]
    before = next((i for i in others if i < model), others[0])
    address.choice("against", f"evaluation_against_{model}", others, before)
    against = st.selectbox(
        "Compared with",
        others,
        format_func=lambda i: words.model_title(facts, by_id[i]),
        key=f"evaluation_against_{model}",
        width=335,
    )
    try:
        return _facts(project, model, against)
    except EvaluationError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return facts


def _not_audited(facts: Evaluation) -> None:
    """Say why there is no accuracy, and what brings it."""
    with st.container(border=True):
        if len(facts.labels):
            st.markdown(
                "**Not measured.** What this model predicted for the labelled audit images is not "
                "there. Press Retrain round: the next model is measured."
            )
            if facts.model is not None and (then := headline.in_its_round(facts.model.metrics)).n:
                st.caption(f"Its own round measured {headline.summary(then)} of that time.")
            return
        st.markdown(
            "**How good the model is, nobody knows yet.** No image of the audit set is labelled. "
            "They come mixed into the queue: label some more, and this page measures the model at "
            "once, without another round."
        )
        st.page_link("pages/label.py", label="Label images", icon=":material/ads_click:")


def _quality(facts: Evaluation, quality: Quality) -> None:
    """Draw the headline numbers with their intervals, and what they rest on."""
    if text := words.changed(quality):
        st.warning(text, icon=":material/history:")
    row = st.container(horizontal=True, gap="small", key="lb_tiles")
    for label, value, below, explained in _tiles(quality):
        row.metric(
            label,
            value,
            below,
            delta_color="off",
            delta_arrow="off",
            help=explained,
            border=True,
        )
    st.caption(words.how_known(facts, quality))
    if any(check.differs for check in facts.splits):
        st.caption("The splits differ in their classes: see Splits at the end of this page.")


def _tiles(quality: Quality) -> tuple[tuple[str, str, str, str], ...]:
    """Return the headline numbers: what it is, its value, its interval, and what it means."""
    accuracy, calibration = quality.accuracy, quality.calibration
    few = accuracy.n < headline.LEAST
    macro = words.bounds(quality.macro_f1_low, quality.macro_f1_high)
    value, below = view.headline_lines(accuracy)
    return (
        (
            "Audit accuracy",
            value,
            below if few else f"{view.bounds(accuracy)} · Wilson",
            "Share of the audit images that the model gets right, with Wilson's 95 % interval.",
        ),
        (
            "Macro-F1",
            "Not yet known" if few else view.percent(quality.macro_f1),
            below if few else f"{macro} · bootstrap",
            "Mean over the classes of the harmonic mean of precision and recall, so that rare "
            "classes count as much as common ones; 95 % interval by a seeded bootstrap of the "
            "audit images.",
        ),
        (
            "Calibration error",
            "Not yet known" if few else view.percent(calibration.ece_after),
            below if few else f"{view.percent(calibration.ece_before)} before temperature",
            "How far confidence and accuracy lie apart on average (expected calibration error, "
            "15 bins), after temperature scaling.",
        ),
    )


def _bought(facts: Evaluation) -> None:
    """Say what the labels since the other model bought, and show what flipped on demand."""
    result = facts.bought
    if result is None or not result.result.n:
        st.caption(
            "There is one model so far: the next round shows what its labels buy."
            if len(facts.models) < 2
            else "No labelled audit image was predicted by both models."
        )
        return
    st.markdown(words.bought(facts, result))
    if text := words.spent(result):
        st.caption(text)
    if len(result.gained) + len(result.lost):
        st.fragment(_flips)(facts)
    else:
        st.caption("No image flipped.")


def _flips(facts: Evaluation) -> None:
    """Show the images that flipped, once asked for."""
    result = facts.bought
    if result is None or facts.chosen is None or facts.other is None:
        return
    kinds = {
        kind: f"{title} {len(items):,}"
        for kind, title, items in (
            ("gained", "Became right", result.gained),
            ("lost", "Became wrong", result.lost),
        )
        if len(items)
    }
    kind = st.pills(
        "Show the images that flipped",
        list(kinds),
        format_func=kinds.__getitem__,
        key=f"flips_{result.before.id}_{result.after.id}",
    )
    if kind is None:
        return
    cards = evaluation_cards.flip_cards(
        facts.names, facts.other, facts.chosen, result.gained if kind == "gained" else result.lost
    )
    evaluation_gallery.show(facts.project, cards, facts.chosen.model.id, f"flips_{kind}")


def _stopping(facts: Evaluation, dark: bool) -> None:
    """Say what the next labels bring, and draw the fitted curve with the ceiling."""
    left, right = st.columns([3, 2], gap="medium")
    batch = facts.project.settings.batch
    with right:
        address.number("more", "evaluation_more", batch, _MOST)
        more = st.number_input(
            "Labels to come",
            1,
            _MOST,
            key="evaluation_more",
            help="How many more labels the forecast is about; a batch to begin with.",
            width=200,
        )
        advice = facts.stopping(int(more))
        _advice(facts, advice)
    with left:
        if advice.points:
            st.plotly_chart(
                evaluation_plots.curve(
                    advice.points, advice.curve, advice.expected, facts.agreement, dark
                ),
                config=plots.CONFIG,
                key=f"evaluation_curve_{dark}",
                alt="Audit accuracy against labels with the fitted curve and its 95 % band",
            )
        else:
            st.caption("No model is measured on the audit set yet.")
    if facts.agreement is not None and facts.agreement.pairs:
        evaluation_details.pairs(facts.agreement)
    address.write()


def _advice(facts: Evaluation, advice: Stopping) -> None:
    """Say what the next labels bring, and how far annotators agree."""
    if advice.expected and advice.judged and advice.verdict:
        st.markdown(f"**{words.next_labels(advice.expected)}**")
        st.markdown(words.verdict(advice.judged, advice.verdict))
        st.caption(
            "From an inverse power law through all measured rounds, each weighted by its "
            "binomial error; ± is half of the 95 % band."
        )
    else:
        st.markdown(advice.why or "")
    if facts.agreement is not None:
        st.markdown(words.agreed(facts.agreement, facts.quality))
    else:
        st.caption(
            "The agreement between annotators, a ceiling for any model, is unknown: no image "
            "was labelled by two of them. With `second_opinions` on the Settings page a share of "
            "the labelled images is put to a second one, blind."
        )
