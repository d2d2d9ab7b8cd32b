"""The part of the settings page that backs the project up, and lists the backups made so far."""

from __future__ import annotations

import time

import streamlit as st

from labeller.project import Project
from labeller.services import backups
from labeller.ui import attempts, view
from labeller.ui.text import escape_markdown

_MODELS, _VECTORS, _PLACE = "backup_models", "backup_vectors", "backup"
_SHOWN = 5


def show(project: Project) -> None:
    """Draw the panel."""
    with project.store.read() as unit:
        running = bool(unit.jobs.active(backups.KIND))
    with st.container(border=True):
        st.subheader("Backup")
        st.markdown(
            "One file with labels, history, images of the project, and its models; you can go on "
            "labelling meanwhile. `labeller restore FILE --to FOLDER` makes a project of it."
        )
        st.checkbox("With trained models", value=True, key=_MODELS)
        st.checkbox("With features and predictions", value=False, key=_VECTORS)
        st.button(
            "Back up now",
            icon=":material/backup:",
            key="back_up",
            disabled=running,
            help="A backup is being made; see the side bar." if running else None,
            on_click=_start,
            args=(project,),
        )
        attempts.show_error(_PLACE)
        _list(project)


def _start(project: Project) -> None:
    with attempts.attempt(_PLACE):
        backups.start_backup(project, st.session_state[_MODELS], st.session_state[_VECTORS])


def _list(project: Project) -> None:
    """List the newest backups in the project's folder."""
    made = backups.list_backups(project.root)
    if not made:
        st.caption("No backup in this project's folder yet. Keep copies on another disk.")
        return
    folder = escape_markdown(str(project.root / backups.PLACE))
    st.caption(f"{view.count(len(made), 'backup')} in {folder}. Keep copies on another disk.")
    for backup in made[:_SHOWN]:
        when = view.ago(backup.created, time.time())
        labels = view.count(backup.counts.get("labels", 0), "label")
        told = escape_markdown(backup.problem) if backup.problem else labels
        name = escape_markdown(backup.file.name)
        st.markdown(f"**{name}** · {when} · {view.size(backup.bytes)} · {told}")
