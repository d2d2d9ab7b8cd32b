"""A field for a folder of the server, with a browser behind a button."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from labeller.ui import folders, view
from labeller.ui.text import escape_markdown

_MOST_ROWS = 60


def folder_field(label: str, key: str, *, help_text: str = "", placeholder: str = "") -> str:
    """Draw the field and return the path in it, as typed.

    Parameters
    ----------
    label : str
        What the folder is for.
    key : str
        Where the path lives in the session state.
    help_text, placeholder : str
        As of a text field.
    """
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small", wrap=False):
        value = st.text_input(label, key=key, help=help_text or None, placeholder=placeholder)
        with st.popover("Browse", icon=":material/folder_open:", key=f"{key}_popover"):
            _browser(key)
    return value.strip()


def _browser(key: str) -> None:
    """Draw the inside of a folder; a click goes in, "Use this folder" takes it."""
    here = _here(key)
    shown = folders.listing(here)
    st.markdown(f"**{escape_markdown(str(here))}**")
    with st.container(horizontal=True, gap="small"):
        st.button(
            "Use this folder",
            key=f"{key}_use",
            type="primary",
            icon=":material/check:",
            disabled=shown.error is not None,
            on_click=_use,
            args=(key, str(here)),
        )
        st.button(
            "Up",
            key=f"{key}_up",
            icon=":material/arrow_upward:",
            disabled=here == here.parent,
            on_click=_go,
            args=(key, str(here.parent)),
        )
        starts = {str(path): path for path in folders.starting_points()}
        jump = st.menu_button("Go to", list(starts), key=f"{key}_jump", format_func=escape_markdown)
        if jump is not None:
            _go(key, jump)
            st.rerun()
    if shown.error:
        st.error(escape_markdown(shown.error))
        return
    st.caption(f"{view.count(shown.images, 'image')} here" + _folders_text(shown))
    _rows(key, shown)


def _rows(key: str, shown: folders.Listing) -> None:
    """List the sub-folders, narrowed by what is typed when there are many."""
    rows = shown.folders
    if len(rows) > _MOST_ROWS:
        wanted = st.text_input("Find a folder", key=f"{key}_find").casefold()
        rows = tuple(folder for folder in rows if wanted in folder.name.casefold())
    with st.container(height=260 if len(rows) > 6 else "content", gap="xxsmall"):
        for folder in rows[:_MOST_ROWS]:
            number = view.count(folder.images, "image") + (" or more" if folder.more else "")
            st.button(
                f"{escape_markdown(folder.name)} :gray[· {number}]",
                key=f"{key}_row_{folder.path}",
                type="tertiary",
                icon=":material/folder:",
                on_click=_go,
                args=(key, str(folder.path)),
            )
    if len(rows) > _MOST_ROWS or shown.cut:
        st.caption("More folders than shown: type a part of the name above, or the path itself.")


def _folders_text(shown: folders.Listing) -> str:
    return f", {view.count(len(shown.folders), 'folder')}" if shown.folders else ", no folders"


def _here(key: str) -> Path:
    """Return the folder being browsed: the last one gone to, else what the field holds."""
    chosen = st.session_state.get(f"{key}_at")
    if chosen:
        return Path(chosen)
    typed = Path(str(st.session_state.get(key) or "")).expanduser()
    return typed if typed.is_absolute() and typed.is_dir() else folders.starting_points()[0]


def _go(key: str, path: str) -> None:
    st.session_state[f"{key}_at"] = path


def _use(key: str, path: str) -> None:
    st.session_state[key] = path
