"""The part of the models page that exports a snapshot, and says where the last one is."""

from __future__ import annotations

import time
from pathlib import Path

import streamlit as st

from labeller.project import Project
from labeller.services import snapshots
from labeller.services.snapshot_files import Images
from labeller.ui import attempts, view
from labeller.ui.text import escape_markdown
from store.records import JobRecord

_IMAGES: dict[Images, str] = {"copy": "Copy the images", "reference": "Only refer to them"}
_CHOICE, _PLACE = "snapshot_images", "snapshot"


def show(project: Project) -> None:
    """Draw the button with its choices, and below it the folder of the last snapshot."""
    with project.store.read() as unit:
        running = bool(unit.jobs.active(snapshots.KIND))
        done = [job for job in unit.jobs.all(500) if job.kind == snapshots.KIND]
    with st.popover("Export snapshot", icon=":material/inventory_2:"):
        st.markdown(
            "All items, labels and settings in one folder. `labeller snapshot --restore` makes a "
            "project of it anywhere, and a round there gives a model with the same metrics."
        )
        st.session_state.setdefault(_folder(project), _proposed(project))
        st.text_input("New folder", key=_folder(project))
        st.radio(
            "Images",
            list(_IMAGES),
            format_func=_IMAGES.__getitem__,
            key=_CHOICE,
            horizontal=True,
        )
        st.button(
            "Export",
            type="primary",
            key="snapshot_export",
            disabled=running,
            help="A snapshot is being written; see the side bar." if running else None,
            on_click=_export,
            args=(project,),
        )
        attempts.show_error(_PLACE)
    if newest := next((job for job in sorted(done, key=lambda job: -job.id)), None):
        _newest(newest)


def _newest(job: JobRecord) -> None:
    """Say how the last export ended, while its folder is there."""
    if job.state == "failed" and job.error:
        st.error(escape_markdown(job.error), icon=":material/error:")
    if job.state != "done" or job.result is None or not Path(job.result["folder"]).is_dir():
        return
    for note in job.result["notes"]:
        st.warning(escape_markdown(note), icon=":material/warning:")
    st.caption(
        f"The last snapshot, {view.count(job.result['items'], 'item')} and "
        f"{view.count(job.result['labels'], 'label')}, is in:"
    )
    st.code(job.result["folder"], language=None)


def _folder(project: Project) -> str:
    """Return the key of the folder's field: each project proposes its own."""
    return f"snapshot_folder_{project.id}"


def _proposed(project: Project) -> str:
    return str(project.root / "exports" / time.strftime("snapshot-%Y-%m-%d-%H%M%S"))


def _export(project: Project) -> None:
    state = st.session_state
    with attempts.attempt(_PLACE):
        snapshots.start_export(project, Path(state[_folder(project)].strip()), state[_CHOICE])
        state[_folder(project)] = _proposed(project)
