"""The check of synthetic items: a component that talks to the API by itself, a key per verdict."""

from __future__ import annotations

from functools import cache
from pathlib import Path

import streamlit as st

from labeller import tokens
from labeller.project import Project
from labeller.ui.keys import table
from labeller.ui.synthesis_view import PARAMETER_TITLES, recipe_title
from strategies.synthesis.recipes import BY_NAME

_HERE = Path(__file__).parent


def check(project: Project, annotator: str, run: int | None) -> None:
    """Show the synthetic items that nobody judged, one at a time beside its parent.

    Parameters
    ----------
    project : Project
    annotator : str
        In whose name verdicts are given.
    run : int, optional
        Only the items of this run.
    """
    html, css, js = _sources()
    with project.store.read() as unit:
        classes = {one.key: one.name for one in unit.classes.all() if one.key}
    component = st.components.v2.component("labeller_check", html=html, css=css, js=js)
    component(
        key=f"check-{project.id}",
        data={
            "project": project.id,
            "annotator": annotator,
            "run": run,
            "classes": classes,
            "parameters": PARAMETER_TITLES,
            "recipes": {name: recipe_title(name) for name in BY_NAME},
            "api": "api/v1/",
            "token": tokens.make(project, annotator, "page", "label"),
        },
        on_stale_change=lambda: None,
    )


@cache
def _sources() -> tuple[str, str, str]:
    """Read the component's markup, styles and scripts."""
    markup = _read("check.html").replace("<!-- keys -->", table.help_rows("check"))
    scripts = [table.script(), _read("outbox.js"), _read("check.js")]
    return markup, _read("check.css"), "\n".join(scripts)


def _read(name: str) -> str:
    return (_HERE / name).read_text(encoding="utf-8")
