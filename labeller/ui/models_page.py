"""The models page: a table of all models, and what can be done with the chosen ones."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import streamlit as st

from labeller.errors import EvaluationError, LabellerError
from labeller.project import Project
from labeller.services import model_comparison, model_shelf
from labeller.services.evaluation_scores import Share
from labeller.services.mcnemar import Paired
from labeller.services.model_comparison import Column
from labeller.services.model_shelf import Export, Shelved
from labeller.ui import session, snapshot_export, view
from labeller.ui.text import escape_markdown
from store.errors import StoreError

FORMATS = {
    "onnx": "ONNX",
    "int8": "8-bit ONNX, for small devices",
    "fastai": "fastai learner",
}
_ERROR = "models_error"


def show(project: Project) -> None:
    """Draw the page."""
    st.title("Models")
    shelf = model_shelf.shelf(project)
    if not shelf:
        with st.container(border=True):
            st.markdown(
                "**No model yet.** Label some images, then start a round from the side bar: each "
                "round trains a model, and all of them are kept here."
            )
            st.page_link("pages/label.py", label="Label images", icon=":material/ads_click:")
        return
    chosen = _table(shelf)
    if error := st.session_state.pop(_ERROR, None):
        st.error(escape_markdown(error), icon=":material/error:")
    if len(chosen) == 1:
        _one(project, chosen[0])
    elif chosen:
        _several(project, chosen)
    else:
        st.caption("Choose a model to use, export or delete it; choose several to compare them.")
    snapshot_export.show(project)


def rows(shelf: Sequence[Shelved], now: float) -> list[dict[str, Any]]:
    """Return the table's rows."""
    return [
        {
            "Model": one.model.id,
            "Round": one.round_number,
            "State": "in use" if one.model.in_use else "deleted" if _gone(one) else "",
            "Trained": view.ago(one.model.created_at, now),
            "Labels": one.model.labels,
            "Audit accuracy": view.accuracy(one.model.metrics) or "–",
            "95 %": view.interval(one.model.metrics) or "–",
            "How": str(one.model.config.get("training", "")).replace("_", " "),
            "Backbone": one.model.backbone,
            "Size": "–" if _gone(one) else view.size(one.bytes),
            "Export": "yes" if one.export else "",
        }
        for one in shelf
    ]


def _share(value: float | None) -> str:
    return "–" if value is None else view.percent(value)


def _gone(one: Shelved) -> bool:
    return one.model.deleted_at is not None


def _table(shelf: Sequence[Shelved]) -> list[Shelved]:
    first = next((place for place, one in enumerate(shelf) if one.model.in_use), 0)
    state = st.dataframe(
        rows(shelf, time.time()),
        hide_index=True,
        height="auto" if len(shelf) <= 8 else 330,
        on_select="rerun",
        selection_mode="multi-row",
        selection_default={"selection": {"rows": [first]}},
        key=f"models_table_{len(shelf)}",
    )
    picked = [place for place in state["selection"]["rows"] if place < len(shelf)]
    return [shelf[place] for place in sorted(picked)]


def _one(project: Project, one: Shelved) -> None:
    """Offer what can be done with one model."""
    model = one.model
    st.subheader(f"Model {model.id}")
    if _gone(one):
        st.caption("It was deleted: its files are gone, its figures stay.")
        return
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "In use" if model.in_use else "Use this model",
            icon=":material/check_circle:",
            disabled=model.in_use,
            key="models_use",
            help="It suggests, predicts and decides in streams from now on; the queue stays. The "
            "next round trains a new one.",
            on_click=_use,
            args=(project, model.id),
        )
        with st.popover("Delete", icon=":material/delete:", disabled=model.in_use):
            st.markdown(
                f"The files of model {model.id} go ({view.size(one.bytes)}); its figures stay in "
                "the history. This cannot be undone."
            )
            st.button(
                "Delete the files",
                type="primary",
                key="models_delete",
                on_click=_delete,
                args=(project, model.id),
            )
        if model.in_use:
            st.caption("Put another in use before you delete it.")
    st.markdown(_facts(one))
    _exporting(project, one)


def _facts(one: Shelved) -> str:
    model = one.model
    labels = f"{model.labels:,} labels, set `{model.label_hash[:12]}…`, seed {model.seed}"
    parts = [f"Trained on {escape_markdown(model.device)} from {labels}."]
    if why := model.config.get("why"):
        parts.append(f"How: {escape_markdown(str(why))}.")
    versions = ", ".join(f"{name} {number}" for name, number in model.versions.items())
    parts.append(f":gray[{escape_markdown(versions)}]")
    return "  \n".join(parts)


def _exporting(project: Project, one: Shelved) -> None:
    st.markdown("##### Export")
    with project.store.read() as unit:
        running = bool(unit.jobs.active(model_shelf.KIND))
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        formats = st.pills(
            "Formats",
            list(FORMATS),
            default=list(FORMATS)[:2],
            selection_mode="multi",
            format_func=FORMATS.__getitem__,
            key="models_formats",
            label_visibility="collapsed",
        )
        st.button(
            "Export",
            icon=":material/deployed_code:",
            key="models_export",
            disabled=running or not formats,
            help="An export is on; see the side bar." if running else None,
            on_click=_export,
            args=(project, one.model.id, tuple(formats)),
        )
    if one.export is None:
        st.caption(
            "Each file is compared with the model on the audit set before you get it, and comes "
            "with a model card."
        )
        return
    _checks(one.export)


def _checks(export: Export) -> None:
    """Show how the exported files compare with the model."""
    st.dataframe(
        [
            {
                "File": check.name,
                "Size": view.size(check.bytes),
                "Accuracy": view.percent(check.accuracy),
                "The model's": view.percent(check.model_accuracy),
                "Same class": view.percent(check.agree),
                "Largest difference": f"{check.largest:.2g}",
            }
            for check in export.checks
        ],
        hide_index=True,
    )
    where = f"{view.count(export.n, 'image')} of the {export.split} split"
    st.caption(f"Compared on {where}. The files, with the model card, are in:")
    st.code(str(export.folder), language=None)


def _several(project: Project, chosen: Sequence[Shelved]) -> None:
    """Compare models on the audit items that all of them predicted, the oldest first."""
    live = [one.model for one in reversed(chosen) if not _gone(one)]
    if len(live) < 2:
        st.caption("Deleted models have nothing left to compare. Choose two that are there.")
        return
    try:
        columns = model_comparison.compare(project, live)
    except EvaluationError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    with project.store.read() as unit:
        names = {one.id: one.name for one in unit.classes.all(archived=True)}
    n = columns[0].accuracy.n
    st.subheader("Side by side")
    if not n:
        st.caption("No audit item is labelled that all of them predicted. Label more, then retrain")
        return
    st.caption(f"On the {view.count(n, 'labelled audit item')} that all of them predicted.")
    st.dataframe(comparison_rows(columns), hide_index=True)
    st.markdown("##### Recall by class")
    st.dataframe(class_rows(columns, names), hide_index=True)
    st.page_link(
        "pages/evaluation.py",
        label="The items that flipped are on the Evaluation page",
        icon=":material/compare:",
    )


def comparison_rows(columns: Sequence[Column]) -> list[dict[str, str]]:
    """Return a row for each model: its figures, and how it compares with the first."""
    return [
        {
            "Model": str(one.model.id),
            "Labels": f"{one.model.labels:,}",
            "Accuracy": _bounded(one.accuracy),
            "Macro-F1": _share(one.macro_f1),
            f"Against model {columns[0].model.id}": _against(one.against),
        }
        for one in columns
    ]


def class_rows(columns: Sequence[Column], names: dict[int, str]) -> list[dict[str, str]]:
    """Return a row for each class with the recall of every model."""
    known = dict.fromkeys(class_id for one in columns for class_id in one.recalls)
    return [
        {
            "Class": names[class_id],
            "Audit items": str(
                next(o.recalls[class_id].n for o in columns if class_id in o.recalls)
            ),
            **{
                f"Model {one.model.id}": _bounded(one.recalls[class_id])
                if class_id in one.recalls
                else "–"
                for one in columns
            },
        }
        for class_id in known
    ]


def _bounded(value: Share) -> str:
    if value.value is None:
        return "–"
    return f"{view.percent(value.value)} ({value.low * 100:.1f}–{value.high * 100:.1f})"


def _against(result: Paired | None) -> str:
    """Write a paired comparison: points with bounds, flips, p."""
    if result is None:
        return "–"
    bounds = f"{result.low * 100:+.1f} to {result.high * 100:+.1f}"
    flips = f"{result.gained} became right, {result.lost} wrong"
    text = f"{result.difference * 100:+.1f} points ({bounds}); {flips}; p = {result.p_value:.2g}"
    return text.replace("-", "−")


def _use(project: Project, model: int) -> None:
    try:
        model_shelf.use(project, model)
    except (LabellerError, StoreError) as error:
        st.session_state[_ERROR] = str(error)
        return
    session.toast_later(f"Model {model} is in use.", ":material/check_circle:")


def _delete(project: Project, model: int) -> None:
    try:
        freed = model_shelf.delete(project, model)
    except (LabellerError, StoreError) as error:
        st.session_state[_ERROR] = str(error)
        return
    session.toast_later(f"Model {model} deleted: {view.size(freed)} freed.", ":material/delete:")


def _export(project: Project, model: int, formats: tuple[str, ...]) -> None:
    try:
        model_shelf.start_export(project, model, formats)
    except (LabellerError, StoreError) as error:
        st.session_state[_ERROR] = str(error)
