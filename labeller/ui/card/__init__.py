"""The labelling card: a Streamlit component that talks to the API by itself."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence
from functools import cache
from pathlib import Path
from typing import Any

import streamlit as st

from labeller import tokens
from labeller.project import Project
from labeller.ui import live
from labeller.ui.card.bundle import bundle
from labeller.ui.keys import table
from labeller.ui.running import base_path
from labeller.ui.text import plain_text

NAME = "labelling_card"
API = "/api/v1"
_KEPT = "card_access"
_NOTES = "card_notes"
_NOTES_KEPT = 5
_FOLDER = Path(__file__).parent


def labelling_card(project: Project, annotator: str, notes: Sequence[str] = ()) -> str | None:
    """Show the labelling card.

    Parameters
    ----------
    project : Project
        The project whose queue is labelled.
    annotator : str
        The name that labels given here get.
    notes : sequence of str
        What a toast would say elsewhere: here it would lie over a button. Told once.

    Returns
    -------
    str or None
        Where the person wants to go next: ``import``, ``classes``, ``settings``, ``export``,
        ``rounds`` or ``retrain``; None most of the time.
    """
    html, css, js = _sources()
    card = st.components.v2.component(NAME, html=html, css=css, js=js)
    result = card(
        key=f"card-{project.id}-{annotator}",
        data={**_data(project, annotator), "notes": _named(notes)},
        on_token_change=_forget_token,
        on_go_change=lambda: None,
    )
    return result.get("go") or None


def _named(notes: Sequence[str]) -> list[list[str]]:
    """Return the latest notes, each with a name of its own by which the card tells it once."""
    before: list[list[str]] = st.session_state.setdefault(_NOTES, [])
    before += [[uuid.uuid4().hex, plain_text(text)] for text in notes]
    del before[:-_NOTES_KEPT]
    return list(before)


@cache
def _sources() -> tuple[str, str, str]:
    """Read the card's markup, styles and script."""
    html = (_FOLDER / "card.html").read_text(encoding="utf-8")
    html = html.replace("<!-- keys -->", table.help_rows("label"))
    css = (_FOLDER / "card.css").read_text(encoding="utf-8")
    return html, css, "\n".join([table.script(), live.pulse(), bundle(_FOLDER / "js")])


def _data(project: Project, annotator: str) -> dict[str, Any]:
    """Return what the card is told; equal data at a rerun leaves the card alone."""
    settings = project.settings
    with project.store.read() as unit:
        classes = unit.classes.all()
    return {
        "project": {"id": project.id, "name": project.name},
        "annotator": annotator,
        "token": _token(project, annotator),
        "tokenSeconds": settings.token_hours * 3600,
        "api": f"{base_path()}{API}",
        "classes": [
            {"id": c.id, "name": c.name, "key": c.key, "colour": c.colour} for c in classes
        ],
        "keyInterval": settings.key_interval_ms,
        "leaseSeconds": settings.lease_seconds,
    }


def _token(project: Project, annotator: str) -> str:
    """Return this tab's token; a new one once half of its time is over."""
    kept = st.session_state.get(_KEPT)
    until = time.time() - project.settings.token_hours * 1800
    if kept and kept[0] == (project.id, annotator) and kept[1] > until:
        return str(kept[2])
    made = tokens.make(project, annotator, "page", "label")
    st.session_state[_KEPT] = ((project.id, annotator), time.time(), made)
    return made


def _forget_token() -> None:
    """Make a new token in this run: the card says that the API refused the old one."""
    st.session_state.pop(_KEPT, None)
