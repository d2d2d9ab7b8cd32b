"""The confusion matrix of the evaluation page, and the images of a cell."""

from __future__ import annotations

import numpy as np
import streamlit as st

from labeller.services.evaluation_audit import OnAudit
from labeller.services.evaluation_quality import Quality, confusions, in_cell
from labeller.services.evaluation_report import Evaluation
from labeller.ui import evaluation_cards, evaluation_gallery, evaluation_plots, plots
from labeller.ui.evaluation_cards import name_of
from labeller.ui.text import escape_markdown

MOST = 6  # confusions that are offered by a button
_TRUE, _PREDICTED = "evaluation_true", "evaluation_predicted"
_DRAWN, _CHOSEN = "evaluation_drawn", "evaluation_chosen"
# A cell may be chosen far above its images: bring them into sight, once for each choice.
_SCROLL = st.components.v2.component(
    "labeller_scroll_here",
    js="""export default function({ data, parentElement }) {
        if (window.labellerScrolled === data.choice) return;
        window.labellerScrolled = data.choice;
        const calm = matchMedia("(prefers-reduced-motion: reduce)").matches;
        (parentElement.host ?? parentElement).scrollIntoView(
            { block: "center", behavior: calm ? "auto" : "smooth" });
    }""",
)


def show(facts: Evaluation, dark: bool) -> None:
    """Draw the confusion matrix, and the images of the chosen cell."""
    model, quality = facts.chosen, facts.quality
    if model is None or quality is None:
        raise ValueError("A confusion matrix needs a measured model.")
    _matrix(facts, model, quality, dark)
    _buttons(facts, model, quality)
    true, predicted = _cell(facts, model)
    if true is None or predicted is None:
        return
    items = in_cell(model, int(true), int(predicted))
    if not len(items):
        st.caption("No audit image is in this cell.")
        return
    above = st.container()
    cards = [evaluation_cards.card(facts.names, model, int(item)) for item in items]
    evaluation_gallery.show(facts.project, cards, model.model.id, f"cell_{true}_{predicted}")
    if choice := st.session_state.get(_CHOSEN):
        with above:  # drawn last: there must be something to scroll to
            _SCROLL(key="evaluation_scroll", data={"choice": choice}, height=1)


def _matrix(facts: Evaluation, model: OnAudit, quality: Quality, dark: bool) -> None:
    """Draw the matrix; of many classes those with most mistakes."""
    places = evaluation_plots.shown_classes(quality.table)
    ids = [model.class_ids[place] for place in places]
    # A cell that was clicked stays marked until the plot is another one.
    key = f"evaluation_confusion_{model.model.id}_{dark}_{st.session_state.get(_DRAWN, 0)}"
    st.plotly_chart(
        evaluation_plots.confusion(
            quality.table[np.ix_(places, places)], ids, [name_of(facts.names, i) for i in ids], dark
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


def _buttons(facts: Evaluation, model: OnAudit, quality: Quality) -> None:
    """Offer the most frequent confusions, which are hard to find among many classes."""
    found = confusions(quality, MOST)
    if not found:
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption("Most often confused:", width="content")
        for true, predicted, number in found:
            names = (escape_markdown(name_of(facts.names, one)) for one in (true, predicted))
            st.button(
                f"{' → '.join(names)} :gray[{number:,}]",
                key=f"evaluation_confused_{true}_{predicted}",
                type="tertiary",
                on_click=_choose,
                args=(model.model.id, true, predicted),
            )


def _cell(facts: Evaluation, model: OnAudit) -> tuple[int | None, int | None]:
    """Let the person choose a cell without a mouse; a click fills the same fields."""
    names = {i: name_of(facts.names, i) for i in model.class_ids}
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
    if found := st.session_state[key]["selection"]["points"]:
        true, predicted, *_ = found[0]["customdata"]
        _take(model, int(true), int(predicted))


def _choose(model: int, true: int, predicted: int) -> None:
    """Take the classes of a button into the fields."""
    _take(model, true, predicted)
    _unmark()


def _take(model: int, true: int, predicted: int) -> None:
    st.session_state[f"{_TRUE}_{model}"] = true
    st.session_state[f"{_PREDICTED}_{model}"] = predicted
    st.session_state[_CHOSEN] = st.session_state.get(_CHOSEN, 0) + 1


def _unmark() -> None:
    """Draw the matrix anew when another cell is chosen elsewhere, without the old mark."""
    st.session_state[_DRAWN] = st.session_state.get(_DRAWN, 0) + 1
