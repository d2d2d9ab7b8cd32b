"""The lower part of the evaluation page: confusion, classes, losses, calibration, splits."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any

import numpy as np
import streamlit as st

from labeller.services.agreement import Agreement
from labeller.services.evaluation_audit import OnAudit
from labeller.services.evaluation_quality import Quality, in_cell, worst
from labeller.services.evaluation_report import Evaluation
from labeller.ui import (
    evaluation_class_plots,
    evaluation_gallery,
    evaluation_plots,
    plots,
    view,
)
from labeller.ui import evaluation_words as words
from labeller.ui.evaluation_gallery import Card
from labeller.ui.text import escape_markdown

WORST = 96  # four pages; the worst of the worst come first
_TRUE, _PREDICTED = "evaluation_true", "evaluation_predicted"
_DRAWN = "evaluation_drawn"


def show(facts: Evaluation, dark: bool) -> None:
    """Draw one of the views."""
    views: dict[str, Callable[[Evaluation, bool], None]] = {"Splits": _splits}
    if facts.quality is not None and facts.chosen is not None:
        views = {
            "Confusion": _confusion,
            "Classes": _classes,
            "Highest losses": _losses,
            "Calibration": _calibration,
            **views,
        }
    chosen = st.segmented_control(
        "View",
        list(views),
        default=next(iter(views)),
        required=True,
        key=f"evaluation_view_{len(views)}",
        label_visibility="collapsed",
    )
    views[str(chosen)](facts, dark)


def _parts(facts: Evaluation) -> tuple[OnAudit, Quality]:
    """Return what the views of a measured model stand on."""
    if facts.chosen is None or facts.quality is None:
        raise ValueError("This view needs a measured model.")
    return facts.chosen, facts.quality


def _confusion(facts: Evaluation, dark: bool) -> None:
    """Draw the confusion matrix, and the images of the chosen cell."""
    model, quality = _parts(facts)
    places = evaluation_plots.shown_classes(quality.table)
    ids = [model.class_ids[place] for place in places]
    # A cell that was clicked stays marked until the plot is another one.
    key = f"evaluation_confusion_{model.model.id}_{dark}_{st.session_state.get(_DRAWN, 0)}"
    st.plotly_chart(
        evaluation_plots.confusion(
            quality.table[np.ix_(places, places)], ids, [_name(facts.names, i) for i in ids], dark
        ),
        on_select=lambda: _clicked(key, model.model.id),
        selection_mode="points",
        config=plots.CONFIG,
        key=key,
        alt="Confusion matrix on the audit set: rows are labels, columns predictions",
    )
    note = "Counts of audit images; the colour is the share of the label's row. "
    if len(ids) < len(model.class_ids):
        note += f"The {len(ids)} classes with most mistakes of {len(model.class_ids):,} are drawn. "
    st.caption(f"{note}Click a cell, or choose below, to see its images.")
    cell = _cell(facts, model)
    if cell[0] is None or cell[1] is None:
        return
    items = in_cell(model, int(cell[0]), int(cell[1]))
    if not len(items):
        st.caption("No audit image is in this cell.")
        return
    cards = [_card(facts.names, model, int(item)) for item in items]
    evaluation_gallery.show(facts.project, cards, model.model.id, f"cell_{cell[0]}_{cell[1]}")


def _cell(facts: Evaluation, model: OnAudit) -> tuple[int | None, int | None]:
    """Let the person choose a cell without a mouse; a click fills the same fields."""
    names = {i: _name(facts.names, i) for i in model.class_ids}
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    true, predicted = (
        row.selectbox(
            label,
            list(names),
            index=None,
            format_func=names.__getitem__,
            placeholder="any class",
            key=f"{state}_{model.model.id}",
            on_change=_unmark,
            width=200,
        )
        for label, state in (("Labelled", _TRUE), ("Predicted", _PREDICTED))
    )
    return true, predicted


def _clicked(key: str, model: int) -> None:
    """Take the classes of a clicked cell into the fields below the matrix."""
    found = st.session_state[key]["selection"]["points"]
    if not found:
        return
    true, predicted, *_ = found[0]["customdata"]
    st.session_state[f"{_TRUE}_{model}"] = int(true)
    st.session_state[f"{_PREDICTED}_{model}"] = int(predicted)


def _unmark() -> None:
    """Draw the matrix anew when another cell is chosen in the fields, without the old mark."""
    st.session_state[_DRAWN] = st.session_state.get(_DRAWN, 0) + 1


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
            "Class": _name(facts.names, score.class_id),
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
    cards = [_card(facts.names, model, item) for item, _ in worst(model, WORST)]
    evaluation_gallery.show(facts.project, cards, model.model.id, "losses")


def _calibration(facts: Evaluation, dark: bool) -> None:
    """Draw the reliability plot."""
    _, quality = _parts(facts)
    found = quality.calibration
    st.plotly_chart(
        evaluation_plots.reliability(found, dark),
        config=plots.CONFIG,
        key=f"evaluation_reliability_{dark}",
        alt="Accuracy against confidence before and after temperature scaling",
    )
    st.caption(
        f"Expected calibration error {view.percent(found.ece_before)} before and "
        f"{view.percent(found.ece_after)} after temperature scaling (T = {found.temperature:.2f}, "
        f"fitted on other images). Above the diagonal the model is right more often than it "
        f"says, below it less often. Larger points hold more images; bars are Wilson's 95 %."
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


def flip_cards(
    names: Mapping[int, str], old: OnAudit, new: OnAudit, items: Iterable[int]
) -> list[Card]:
    """Return items that flipped, with what both models said."""
    return [
        Card(
            int(item),
            (
                _label(names, new, int(item)),
                f"was {_said(names, old, int(item))}",
                f"now {_said(names, new, int(item))}",
            ),
        )
        for item in items
    ]


def _card(names: Mapping[int, str], model: OnAudit, item: int) -> Card:
    """Return an item with its label and what the model said."""
    row = _row(model, item)
    likely = float(model.probs[row, model.truth[row]])
    lines = (_label(names, model, item), f"predicted {_said(names, model, item)}")
    wrong = model.predicted[row] != model.truth[row]
    extra = (f"the label: {view.percent(likely, 0)}",) if wrong else ()
    return Card(item, lines + extra)


def _row(model: OnAudit, item: int) -> int:
    return int(np.searchsorted(model.item_ids, item))


def _label(names: Mapping[int, str], model: OnAudit, item: int) -> str:
    return _name(names, model.class_ids[int(model.truth[_row(model, item)])])


def _said(names: Mapping[int, str], model: OnAudit, item: int) -> str:
    row = _row(model, item)
    column = int(model.predicted[row])
    sure = view.percent(float(model.probs[row, column]), 0)
    return f"{_name(names, model.class_ids[column])}, {sure}"


def _name(names: Mapping[int, str], class_id: int) -> str:
    return names.get(class_id, f"class {class_id}")
