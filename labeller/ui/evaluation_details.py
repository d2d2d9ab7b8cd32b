"""The lower part of the evaluation page: confusion, classes, losses, calibration, splits."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from labeller.services import training_words
from labeller.services.agreement import Agreement
from labeller.services.evaluation_audit import OnAudit
from labeller.services.evaluation_quality import Quality, worst
from labeller.services.evaluation_report import Evaluation
from labeller.ui import (
    address,
    evaluation_cards,
    evaluation_class_plots,
    evaluation_confusion,
    evaluation_gallery,
    evaluation_plots,
    leaks,
    plots,
    view,
)
from labeller.ui import evaluation_words as words
from labeller.ui.text import escape_markdown

WORST = 96  # four pages; the worst of the worst come first


def show(facts: Evaluation, dark: bool) -> None:
    """Draw one of the views."""
    views: dict[str, Callable[[Evaluation, bool], None]] = {"Splits": _splits}
    if facts.quality is not None and facts.chosen is not None:
        views = {
            "Confusion": evaluation_confusion.show,
            "Classes": _classes,
            "Highest losses": _losses,
            "Calibration": _calibration,
            **views,
        }
    address.begin_part("regrouping", "page")
    key = f"evaluation_view_{len(views)}"
    address.choice("view", key, views, next(iter(views)), _in_address)
    chosen = st.segmented_control(
        "View",
        list(views),
        required=True,
        key=key,
        label_visibility="collapsed",
    )
    views[str(chosen)](facts, dark)
    address.write()


def _in_address(view: str) -> str:
    """Write a view; which images it shows is left out, for no link may open the seal."""
    return view.lower().replace(" ", "-")


def _parts(facts: Evaluation) -> tuple[OnAudit, Quality]:
    """Return what the views of a measured model stand on."""
    if facts.chosen is None or facts.quality is None:
        raise ValueError("This view needs a measured model.")
    return facts.chosen, facts.quality


def _classes(facts: Evaluation, dark: bool) -> None:
    """Draw precision and recall of each class with intervals, and list them."""
    _, quality = _parts(facts)
    st.plotly_chart(
        evaluation_class_plots.class_bars(quality.scores, facts.names, dark),
        config=plots.CONFIG,
        key=f"evaluation_classes_{dark}",
        alt="Precision and recall of each class with 95 % intervals",
    )
    st.dataframe(
        class_rows(facts, quality),
        hide_index=True,
        height="auto" if len(quality.scores) <= 12 else 420,
        key="evaluation_class_table",
        column_config={
            "Audit images": st.column_config.NumberColumn(
                format="localized", help="Labelled so: the support of the recall."
            ),
            "Precision": st.column_config.TextColumn(
                help="Of what is predicted as the class, how much is right; Wilson's 95 %."
            ),
            "Recall": st.column_config.TextColumn(
                help="Of what is the class, how much is found; Wilson's 95 %."
            ),
        },
    )


def class_rows(facts: Evaluation, quality: Quality) -> list[dict[str, Any]]:
    """Return precision and recall per class as rows of a table."""
    return [
        {
            "Class": evaluation_cards.name_of(facts.names, score.class_id),
            "Audit images": score.support,
            "Predicted": score.precision.n,
            "Precision": words.share(score.precision),
            "Recall": words.share(score.recall),
        }
        for score in quality.scores
    ]


def _losses(facts: Evaluation, _dark: bool) -> None:
    """Show the audit images that the model is most wrong about, once asked for."""
    model, _ = _parts(facts)
    st.caption(
        "The audit images whose label the model finds least likely: its worst mistakes, or labels "
        "that are wrong."
    )
    if not st.toggle("Show the images", key="evaluation_losses"):
        return
    cards = [evaluation_cards.card(facts.names, model, item) for item, _ in worst(model, WORST)]
    evaluation_gallery.show(facts.project, cards, model.model.id, "losses")


def _calibration(facts: Evaluation, dark: bool) -> None:
    """Draw the reliability plot."""
    model, quality = _parts(facts)
    found = quality.calibration
    st.plotly_chart(
        evaluation_plots.reliability(found, dark),
        config=plots.CONFIG,
        key=f"evaluation_reliability_{dark}",
        alt="Accuracy against confidence before and after temperature scaling",
    )
    st.caption(
        f"Expected calibration error {view.percent(found.ece_before)} before and "
        f"{view.percent(found.ece_after)} after temperature scaling, measured on the audit "
        f"set. Temperature {training_words.temperature(model.model.metrics)}. Above the diagonal "
        f"the model is right more often than it says, below it less often. Larger points hold more "
        f"images; bars are Wilson's 95 %."
    )


def _splits(facts: Evaluation, dark: bool) -> None:
    """Draw the classes of each split, and say where they differ."""
    if not facts.splits:
        st.caption("Two splits with labels of at least two classes are needed to compare them.")
    for check in facts.splits:
        text = escape_markdown(words.split(check, facts.names))
        if check.differs:
            st.warning(text, icon=":material/balance:")
        else:
            st.markdown(text)
    if any(row.total for row in facts.balance):
        st.plotly_chart(
            evaluation_class_plots.class_shares(facts.balance, dark),
            config=plots.CONFIG,
            key=f"evaluation_splits_{dark}",
            alt="Share of each class in train, valid and audit",
        )
    leaks.show(facts.project)


def pairs(found: Agreement) -> None:
    """List how far each pair of annotators agrees."""
    with st.expander("Agreement by pair of annotators"):
        st.dataframe(
            [
                {
                    "Annotators": f"{pair.first}, {pair.second}",
                    "Images": pair.n,
                    "Agree": f"{view.percent(pair.share)} ({words.bounds(pair.low, pair.high)})",
                    "Cohen's kappa": "–"
                    if pair.kappa is None
                    else f"{pair.kappa:.2f} ({pair.kappa_low:.2f} to {pair.kappa_high:.2f})",
                }
                for pair in found.pairs
            ],
            hide_index=True,
            key="evaluation_pairs",
        )
