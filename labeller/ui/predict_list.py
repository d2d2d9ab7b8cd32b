"""The predictions of the project: a table, and what can be done with the chosen one."""

from __future__ import annotations

import time
from collections.abc import Collection, Sequence
from functools import partial
from pathlib import PurePath
from typing import Any

import streamlit as st

from labeller.project import Project
from labeller.services import predictions
from labeller.services.prediction_files import STAGE
from labeller.services.prediction_index import RESULT
from labeller.services.prediction_plans import UPLOADS, Plan, folder_of
from labeller.services.predictions import Kept
from labeller.ui import attempts, session, view
from labeller.ui.choosing import chosen_row
from labeller.ui.text import escape_markdown

_PLACE = "predict"
_NAMED = 3  # sources in a title


def show(project: Project, kept: Sequence[Kept], models: Collection[int], idle: bool) -> Kept:
    """List predictions and return the chosen one, whose head is drawn.

    Parameters
    ----------
    project : Project
    kept : sequence of Kept
        Newest first, those that are being made left out.
    models : collection of int
        The models that can predict.
    idle : bool
        Whether no prediction is on.
    """
    st.subheader("Predictions")
    chosen = _table(kept)
    attempts.show_error(_PLACE)
    _head(project, chosen, models, idle)
    return chosen


def source_title(plan: Plan) -> str:
    """Name what was predicted in a few words."""
    if plan.uploaded:
        names = [PurePath(source).name for source in plan.sources if source != UPLOADS]
        named = f" ({_listed(names)})" if names else ""
        return f"{view.count(plan.uploaded, 'uploaded file')}{named}"
    return _listed([PurePath(source).name or source for source in plan.sources])


def _listed(names: Sequence[str]) -> str:
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return ", ".join(names[:_NAMED]) + more


def rows(kept: Sequence[Kept], now: float) -> list[dict[str, Any]]:
    """Return the table's rows."""
    return [
        {
            "Predicted": view.ago(one.plan.created_at, now),
            "Source": source_title(one.plan),
            "Model": one.plan.model,
            "Images": one.summary.predicted if one.summary else _so_far(one, "predicted"),
            "Could not be read": one.summary.failed if one.summary else _so_far(one, "failed"),
            "State": "finished" if one.state == "done" else "stopped",
            "Size": view.size(one.bytes),
        }
        for one in kept
    ]


def _so_far(one: Kept, name: str) -> int:
    """Return how many a stopped prediction has, as its job told last."""
    return int(one.job.detail.get(name) or 0) if one.job else 0


def _table(kept: Sequence[Kept]) -> Kept:
    place = chosen_row(
        rows(kept, time.time()),
        key=f"predict_table_{len(kept)}_{kept[0].plan.id}_{kept[0].state}",
        most=6,
        height=250,
        named=("prediction", [one.number for one in kept]),
        columns={
            "Source": st.column_config.TextColumn(width="medium"),
            "Model": st.column_config.NumberColumn(width="small"),
            "Images": st.column_config.NumberColumn(format="localized"),
            "Could not be read": st.column_config.NumberColumn(format="localized"),
        },
    )
    return kept[place]


def _head(project: Project, one: Kept, models: Collection[int], idle: bool) -> None:
    """Name a prediction, and offer to download, go on with or delete it."""
    head = st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    )
    head.markdown(f"#### {escape_markdown(source_title(one.plan))}", width="content")
    with head, st.container(horizontal=True, gap="small", width="content"):
        if one.state == "done":
            _downloads(project, one)
        else:
            _going_on(project, one, one.plan.model in models, idle)
        _delete(project, one)
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(one.plan.created_at))
    where = [] if one.plan.uploaded else list(one.plan.sources)
    st.caption(escape_markdown(" · ".join([when, f"model {one.plan.model}", *where])))
    if one.state == "stopped":
        _why_stopped(one)


def _downloads(project: Project, one: Kept) -> None:
    folder = folder_of(project, one.number)
    name = file_stem(one)
    st.download_button(
        "CSV",
        lambda: predictions.table(project, one.number),
        file_name=f"{name}.csv",
        mime="text/csv",
        icon=":material/download:",
        key=f"predict_csv_{one.plan.id}",
        on_click="ignore",
        help="A row for each image, with all probabilities; opens in a spreadsheet.",
    )
    st.download_button(
        "JSON Lines",
        lambda: (folder / RESULT).open("rb"),
        file_name=f"{name}.jsonl",
        mime="application/jsonl",
        icon=":material/download:",
        key=f"predict_jsonl_{one.plan.id}",
        on_click="ignore",
        help=f"A line for each image, with all probabilities. The file itself lies in "
        f"{escape_markdown(str(folder))}",
    )


def file_stem(one: Kept) -> str:
    """Return the beginning of a download's file name."""
    clean = "".join(c if c.isalnum() or c in "-_" else "-" for c in source_title(one.plan))
    return f"{clean.strip('-')[:60] or 'images'}-model-{one.plan.model}"


def _going_on(project: Project, one: Kept, possible: bool, idle: bool) -> None:
    """Offer to go on with a stopped prediction, or to begin it anew."""
    why = "Another prediction is on." if not idle else None
    why = why if possible else f"Model {one.plan.model} was deleted."
    for text, icon, restart in (
        ("Go on", "play_arrow", False),
        ("Begin anew", "restart_alt", True),
    ):
        st.button(
            text,
            key=f"predict_resume_{restart}_{one.plan.id}",
            icon=f":material/{icon}:",
            type="tertiary" if restart else "primary",
            disabled=why is not None,
            help=why,
            on_click=attempts.tried,
            args=(_PLACE, partial(predictions.resume, project, one.number, restart)),
        )


def _delete(project: Project, one: Kept) -> None:
    """Ask once more, then delete."""
    with st.popover("Delete", icon=":material/delete:", key=f"predict_delete_box_{one.plan.id}"):
        sent = f" and the {view.count(one.plan.uploaded, 'uploaded file')}"
        st.markdown(
            f"The result{sent if one.plan.uploaded else ''} ({view.size(one.bytes)}) "
            f"{'go' if one.plan.uploaded else 'goes'}. This cannot be undone."
            + ("" if one.plan.uploaded else " The images themselves stay where they are.")
        )
        st.button(
            "Delete it",
            type="primary",
            icon=":material/delete:",
            key=f"predict_delete_{one.plan.id}",
            on_click=attempts.tried,
            args=(_PLACE, partial(_delete_now, project, one.number)),
        )


def _delete_now(project: Project, number: int) -> None:
    freed = view.size(predictions.delete(project, number))
    session.toast_later(f"The prediction is deleted: {freed} freed.", ":material/delete:")


def _why_stopped(one: Kept) -> None:
    """Say how far a stopped prediction came, and why it stopped."""
    done, total = (_so_far(one, name) for name in ("done", "total"))
    known = one.job is not None and one.job.stage == STAGE and total
    far = f"It stopped after {done:,} of {total:,} files." if known else "It was stopped."
    if one.job is not None and one.job.state == "failed" and one.job.error:
        st.error(escape_markdown(f"{far} {one.job.error}"), icon=":material/error:")
    else:
        st.caption(f"{far} What is predicted is kept.")
