"""The editor of the project's mixture: rows of strategy and share, checked as they change."""

from __future__ import annotations

import os

import streamlit as st

from labeller.errors import LabellerError
from labeller.project import Project, change_settings
from labeller.ui import session, view
from labeller.ui.text import escape_markdown
from strategies import registry
from strategies.base import StrategyError
from strategies.pool import mixture

SETTING = "mixture"
VARIABLE = f"LABELLER_{SETTING.upper()}"
NAMES = tuple(name for name in registry.names("pool") if name != "mixture")
_ROWS = "mixture_rows"
_NEXT = "mixture_next"


def show(project: Project) -> None:
    """Draw the editor."""
    kept = project.settings.mixture
    with st.container(border=True, key="lb_mixture"):
        st.subheader("Mixture")
        st.caption(
            "What the strategy Mixture is made of. Each part picks its share of a batch, and each "
            "image keeps the name of the part that picked it."
        )
        if VARIABLE in os.environ:
            st.caption(f"Set by the environment variable {escape_markdown(VARIABLE)}.")
            st.code(kept, language=None, wrap_lines=True)
            return
        text = _rows(project)
        _bottom(project, text)


def _start(project: Project) -> list[tuple[int, str, float]]:
    """Return the rows as they stand: a key that stays with the row, a strategy and a share."""
    rows: dict[str, list[tuple[int, str, float]]] = st.session_state.setdefault(_ROWS, {})
    if project.id not in rows:
        try:
            parts = mixture.parse(project.settings.mixture)
        except StrategyError:  # somebody wrote the file by hand; what is wrong is said below
            parts = {name: 100 * share for name, share in mixture.USUAL.items()}
        first = st.session_state.get(_NEXT, 0)
        st.session_state[_NEXT] = first + len(parts)
        rows[project.id] = [
            (first + place, name, share) for place, (name, share) in enumerate(parts.items())
        ]
    return rows[project.id]


def _rows(project: Project) -> str:
    """Draw a line per part; returns the mixture as it is written."""
    rows, parts = _start(project), []
    for key, name, share in rows:
        columns = st.columns([5, 3, 1], vertical_alignment="bottom", gap="small")
        first = key == rows[0][0]
        chosen = columns[0].selectbox(
            "Strategy",
            NAMES,
            index=NAMES.index(name),
            format_func=view.strategy_title,
            key=f"mixture_strategy_{key}",
            label_visibility="visible" if first else "collapsed",
        )
        given = columns[1].number_input(
            "Share",
            min_value=0.0,
            value=share,
            step=5.0,
            format="%g",
            key=f"mixture_share_{key}",
            label_visibility="visible" if first else "collapsed",
        )
        columns[2].button(
            "",
            icon=":material/delete:",
            key=f"mixture_drop_{key}",
            help="Leave this part out",
            type="tertiary",
            disabled=len(rows) <= 2,
            on_click=_drop,
            args=(project.id, key),
        )
        parts.append(f"{chosen}={given:.10g}")
    return "+".join(parts)


def _bottom(project: Project, text: str) -> None:
    """Say what the rows make, or what is wrong with them; offer to add and to save."""
    written, saved = None, project.settings.mixture
    try:
        info = registry.get_pool(text)
        written = info.name
        st.caption(escape_markdown(info.summary))
    except StrategyError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
    try:
        saved = registry.get_pool(saved).name
    except StrategyError as error:
        st.warning(
            f"What project.toml says is no mixture: {escape_markdown(str(error))}",
            icon=":material/warning:",
        )
    with st.container(horizontal=True):
        st.button(
            "Add a part",
            icon=":material/add:",
            key="mixture_add",
            on_click=_add,
            args=(project.id, text),
        )
        if st.button(
            "Save",
            icon=":material/check:",
            key="mixture_save",
            disabled=written is None or written == saved,
            help="Nothing was changed." if written == saved else None,
        ):
            _save(project, str(written))


def _add(project_id: str, text: str) -> None:
    """Add a row with a strategy that is not there yet."""
    used = {part.partition("=")[0] for part in text.split("+")}
    free = [name for name in ("random", *NAMES) if name not in used]
    key = st.session_state[_NEXT]
    st.session_state[_NEXT] = key + 1
    st.session_state[_ROWS][project_id].append((key, (free or ["random"])[0], 10.0))


def _drop(project_id: str, key: int) -> None:
    rows = st.session_state[_ROWS]
    rows[project_id] = [row for row in rows[project_id] if row[0] != key]


def _save(project: Project, text: str) -> None:
    """Write the mixture to the project; an error leaves the file as it was."""
    try:
        change_settings(project, mixture=text)
    except (LabellerError, OSError) as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    st.session_state[_ROWS].pop(project.id, None)
    session.toast_later("Saved: Mixture.", ":material/check_circle:")
    st.rerun()
