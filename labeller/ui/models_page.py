"""The models page: a table of all models, and what can be done with the chosen ones."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import streamlit as st

from labeller.project import Project
from labeller.services import (
    evaluation_report,
    headline,
    model_files,
    model_shelf,
    pool_predictions,
    recent,
)
from labeller.services.headline import Headline
from labeller.services.model_shelf import Shelved
from labeller.ui import (
    attempts,
    history,
    model_facts,
    models_compare,
    models_export,
    models_features,
    session,
    snapshot_export,
    view,
)
from labeller.ui.choosing import chosen_rows
from labeller.ui.text import escape_markdown
from store.records import ModelRecord

_PLACE = "models"


def show(project: Project) -> None:
    """Draw the page."""
    st.title("Models")
    shelf = model_shelf.shelf(project)
    if not shelf:
        history.show_next_step(project, "No model yet.")
        return
    chosen = _table(project, shelf)
    _checking(project, shelf)
    attempts.show_error(_PLACE)
    if len(chosen) == 1:
        _one(project, chosen[0])
    elif chosen:
        _several(project, chosen)
    models_features.show(project)
    snapshot_export.show(project)


def rows(
    shelf: Sequence[Shelved], found: Mapping[int, Headline], now: float
) -> list[dict[str, Any]]:
    """Return the table's rows, with the accuracies `found` by model."""
    return [
        {
            "Model": one.model.id,
            "Round": one.round_number,
            "State": _state(one),
            "Trained": view.ago(one.model.created_at, now),
            "Labels": one.model.labels,
            "Audit accuracy": headline.short(found[one.model.id].measured),
            "Audit images": found[one.model.id].n,
            "How": str(one.model.config.get("training", "")).replace("_", " "),
            "Backbone": one.model.backbone,
            "Size": "–" if _gone(one) else view.size(one.bytes),
            "Export": "yes" if one.export else "",
        }
        for one in shelf
    ]


def _gone(one: Shelved) -> bool:
    return one.model.deleted_at is not None


def _state(one: Shelved) -> str:
    """Say in the table whether a model is in use or deleted, and that files are damaged."""
    words = {"in use": one.model.in_use, "deleted": _gone(one), "damaged": bool(one.damaged)}
    return ", ".join(word for word, holds in words.items() if holds)


def _checking(project: Project, shelf: Sequence[Shelved]) -> None:
    """Offer to read the files of all models; a chosen one's are read when it is shown."""
    st.button(
        "Check files",
        icon=":material/fact_check:",
        key="models_check",
        help="Reads the files of all models and says which of them are not as they were when the "
        "model was trained. Before a model is used it is checked anyway.",
        on_click=_check,
        args=(project, [one.model for one in shelf]),
    )


def _check(project: Project, models: Sequence[ModelRecord]) -> None:
    with attempts.attempt(_PLACE):
        damaged = model_files.check_models(project, models)
        there = sum(model.deleted_at is None for model in models)
        if damaged:
            named = ", ".join(map(str, damaged))
            text = f"{view.count(len(damaged), 'model')} of {there} damaged: {named}."
            session.toast_later(text, ":material/error:")
        else:
            text = f"{view.count(there, 'model')} checked: the files are as they were written."
            session.toast_later(text, ":material/check_circle:")


def _table(project: Project, shelf: Sequence[Shelved]) -> list[Shelved]:
    """List the models, newest first, and return the chosen ones."""
    first = next((place for place, one in enumerate(shelf) if one.model.in_use), 0)
    found = _headlines(project)
    picked = chosen_rows(
        rows(shelf, found, time.time()),
        key=f"models_table_{len(shelf)}",
        first=first,
        named=("models", [one.model.id for one in shelf]),
        columns={
            "Labels": st.column_config.NumberColumn(format="localized"),
            "Audit images": st.column_config.NumberColumn(format="localized"),
            "Audit accuracy": st.column_config.TextColumn(
                help=f"{history.ONE_NUMBER} Of a model that was deleted what its round measured."
            ),
            "Size": st.column_config.TextColumn(help="Of its files and predictions on the disk."),
        },
    )
    total = view.size(sum(one.bytes for one in shelf))
    st.caption(
        f"{view.count(len(shelf), 'model')}, {total}. All are measured on the same audit labels. "
        f"Choose one to use, export or delete it; choose several to compare them."
    )
    return [shelf[place] for place in picked]


def _headlines(project: Project) -> dict[int, Headline]:
    return _measured(str(project.root), evaluation_report.facts_key(project))


@st.cache_data(max_entries=20, show_spinner=False)
def _measured(root: str, stamp: tuple[Any, ...]) -> dict[int, Headline]:
    """Measure all models; `stamp` changes with whatever would change that."""
    del stamp
    project = recent.opened(root)
    with project.store.read() as unit:
        models = unit.models.all()
    return headline.headlines(project, models)


def _one(project: Project, one: Shelved) -> None:
    """Say all that is known of one model, and offer what can be done with it."""
    model = one.model
    found = _headlines(project)[model.id]
    st.subheader(f"Model {model.id}")
    if _gone(one):
        st.caption("It was deleted: its files are gone, its figures stay.")
        model_facts.show(model, found)
        if one.export is not None:
            models_export.exported(one.export)
        return
    damaged = model_files.check_once(project, model)
    if damaged and not one.damaged:
        st.rerun()  # the table was drawn before that was known
    if damaged:
        text = model_files.describe_damage(project, model, damaged)
        st.error(escape_markdown(text), icon=":material/error:")
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "In use" if model.in_use else "Use this model",
            icon=":material/check_circle:",
            disabled=model.in_use or bool(damaged),
            key="models_use",
            help="It suggests, predicts and decides in streams from now on; the queue stays. The "
            "next round trains a new one.",
            on_click=_use,
            args=(project, model.id),
        )
        if model.in_use:
            st.caption("Put another in use before you delete it.")
        else:
            _deletion(project, [one])
    if model.in_use and not one.predicted and not damaged:
        _unpredicted(project, one)
    model_facts.show(model, found)
    if damaged:
        return
    models_export.card(project, one)
    models_export.show(project, one)


def _unpredicted(project: Project, one: Shelved) -> None:
    """Say what waits for predictions of the pool, and offer to make them."""
    with project.store.read() as unit:
        running = bool(unit.jobs.active(pool_predictions.KIND))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.button(
            "Predicting the pool …" if running else "Predict the pool",
            icon=":material/batch_prediction:",
            disabled=running,
            key="models_predict",
            on_click=attempts.tried,
            args=(_PLACE, partial(pool_predictions.start, project, one.model.id)),
        )
        st.caption(
            "What it predicted went when another model took its place. Streams, propagation and "
            "the unfamiliar images wait for it."
        )


def _several(project: Project, chosen: Sequence[Shelved]) -> None:
    """Compare models, the oldest first, and offer to delete those that are not in use."""
    live = [one for one in reversed(chosen) if not _gone(one)]
    if len(live) < 2:
        st.caption("Deleted models have nothing left to compare. Choose two that are there.")
    else:
        models_compare.show(project, [one.model for one in live])
    if spare := [one for one in live if not one.model.in_use]:
        _deletion(project, spare)


def _deletion(project: Project, doomed: Sequence[Shelved]) -> None:
    """Offer to delete models, and say what goes and what stays."""
    ids = [one.model.id for one in doomed]
    named = f"model {ids[0]}" if len(ids) == 1 else f"models {', '.join(map(str, ids))}"
    with st.popover(
        f"Delete {named}" if len(ids) < 4 else f"Delete {len(ids)} models", icon=":material/delete:"
    ):
        st.markdown(
            f"The files of {named} go ({view.size(sum(one.bytes for one in doomed))}); the figures "
            f"stay in the history. This cannot be undone."
        )
        st.button(
            "Delete the files",
            type="primary",
            key="models_delete",
            on_click=_delete,
            args=(project, ids),
        )


def _use(project: Project, model: int) -> None:
    with attempts.attempt(_PLACE):
        model_shelf.use(project, model)
        job = pool_predictions.start(project, model)
        more = "" if job is None else " It predicts the pool anew: see the side bar."
        session.toast_later(f"Model {model} is in use.{more}", ":material/check_circle:")


def _delete(project: Project, models: Sequence[int]) -> None:
    freed, gone = 0, []
    with attempts.attempt(_PLACE):
        for model in models:
            freed += model_shelf.delete(project, model)
            gone.append(str(model))
    if gone:
        named = "Model" if len(gone) == 1 else "Models"
        text = f"{named} {', '.join(gone)} deleted: {view.size(freed)} freed."
        session.toast_later(text, ":material/delete:")
