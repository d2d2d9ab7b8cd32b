"""The part of the models page that puts models side by side: figures, classes, flipped images."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from labeller.errors import EvaluationError
from labeller.project import Project
from labeller.services import headline, model_comparison
from labeller.services.evaluation_scores import Share
from labeller.services.mcnemar import Paired
from labeller.services.model_comparison import Column
from labeller.ui import address, evaluation_cards, evaluation_gallery, view
from labeller.ui import evaluation_words as words
from labeller.ui.text import escape_markdown
from store.records import ModelRecord

MEASURES = {"recall": "Recall", "precision": "Precision"}


def show(project: Project, models: Sequence[ModelRecord]) -> None:
    """Compare models on the audit items that all of them predicted; the first is the measure."""
    try:
        columns = model_comparison.compare(project, models)
    except EvaluationError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    st.subheader("Side by side")
    if not columns:
        st.caption(
            "No labelled audit image was predicted by all of them. Audit images come mixed into "
            "the queue: label some more."
        )
        return
    with project.store.read() as unit:
        names = {one.id: one.name for one in unit.classes.all(archived=True)}
    n = columns[0].accuracy.n
    st.caption(f"On the {view.count(n, 'labelled audit image')} that all of them predicted.")
    st.dataframe(comparison_rows(columns), hide_index=True, column_config=_HELPS)
    st.fragment(_by_class)(columns, names)
    st.fragment(_flips)(project, columns, names)


def comparison_rows(columns: Sequence[Column]) -> list[dict[str, Any]]:
    """Return a row for each model: its figures, and how it compares with the first."""
    return [
        {
            "Model": one.model.id,
            "Labels": one.model.labels,
            "Accuracy": headline.short(one.accuracy),
            "Macro-F1": f"{view.percent(one.macro_f1)} "
            f"({100 * one.macro_f1_low:.1f}–{100 * one.macro_f1_high:.1f})",
            "Calibration error": view.percent(one.calibration_error),
            "Log loss": f"{one.log_loss:.3f}",
            f"Against model {columns[0].model.id}": _against(one.against),
        }
        for one in columns
    ]


_HELPS = {
    "Labels": st.column_config.NumberColumn(format="localized"),
    "Accuracy": st.column_config.TextColumn(help="With Wilson's 95 % interval."),
    "Macro-F1": st.column_config.TextColumn(
        help="Mean over the classes of the harmonic mean of precision and recall; 95 % interval by "
        "bootstrap."
    ),
    "Calibration error": st.column_config.TextColumn(
        help="How far confidence and accuracy lie apart on average, after temperature scaling."
    ),
    "Log loss": st.column_config.TextColumn(
        help="Mean of −log of the probability of the true class: lower is better."
    ),
}


def _by_class(columns: Sequence[Column], names: Mapping[int, str]) -> None:
    """Show recall or precision of each class under every model."""
    address.choice("measure", "models_measure", MEASURES, "recall")
    measure = st.segmented_control(
        "By class",
        list(MEASURES),
        required=True,
        format_func=lambda name: f"{MEASURES[name]} by class",
        key="models_measure",
        label_visibility="collapsed",
    )
    rows = class_rows(columns, names, str(measure))
    st.dataframe(rows, hide_index=True, height="auto" if len(rows) <= 12 else 420)
    address.write()


def class_rows(
    columns: Sequence[Column], names: Mapping[int, str], measure: str
) -> list[dict[str, Any]]:
    """Return a row for each class with the ``recall`` or ``precision`` of every model."""
    known = dict.fromkeys(class_id for one in columns for class_id in one.scores)
    supports = {i: max(o.scores[i].support for o in columns if i in o.scores) for i in known}
    return [
        {
            "Class": names.get(class_id, f"class {class_id}"),
            "Audit images": supports[class_id],
            **{
                f"Model {one.model.id}": _bounded(getattr(one.scores[class_id], measure))
                if class_id in one.scores
                else "–"
                for one in columns
            },
        }
        for class_id in known
    ]


def _flips(project: Project, columns: Sequence[Column], names: Mapping[int, str]) -> None:
    """Show the images that flipped from the first model to another, once asked for."""
    first = columns[0]
    kinds = {
        (one.model.id, kind): f"Model {one.model.id}: {title} {len(items):,}"
        for one in columns[1:]
        for kind, title, items in (
            ("gained", "became right", one.gained),
            ("lost", "became wrong", one.lost),
        )
        if len(items)
    }
    if not kinds:
        st.caption(f"No image flipped against model {first.model.id}.")
        return
    chosen = st.pills(
        f"Show the images that flipped against model {first.model.id}",
        list(kinds),
        format_func=kinds.__getitem__,
        key=f"models_flips_{'_'.join(str(one.model.id) for one in columns)}",
    )
    if chosen is None:
        return
    number, kind = chosen
    one = next(column for column in columns if column.model.id == number)
    cards = evaluation_cards.flip_cards(
        names, first.audit, one.audit, one.gained if kind == "gained" else one.lost
    )
    evaluation_gallery.show(project, cards, number, f"models_flips_{number}_{kind}")


def _bounded(value: Share) -> str:
    if value.value is None:
        return "–"
    return f"{view.percent(value.value)} ({value.low * 100:.1f}–{value.high * 100:.1f})"


def _against(result: Paired | None) -> str:
    """Write a paired comparison: points with bounds, flips, p."""
    if result is None:
        return "–"
    bounds = f"{words.points(result.low)} to {words.points(result.high)}"
    flips = f"{result.gained:,} became right, {result.lost:,} wrong"
    return f"{words.points(result.difference)} points ({bounds}); {flips}; p = {result.p_value:.2g}"
