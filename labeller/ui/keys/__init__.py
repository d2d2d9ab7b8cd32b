"""Keys on pages made of Streamlit's own widgets: a key presses a button of the page."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from functools import cache
from pathlib import Path

import streamlit as st

from labeller.ui.keys import table
from store.records import ClassRecord

_FOLDER = Path(__file__).parent


def listen(
    page: str,
    buttons: Mapping[str, str],
    classes: Iterable[ClassRecord] = (),
    on_class: Callable[[int], None] | None = None,
) -> None:
    """Let keys press buttons of the page, and offer the list of them.

    Parameters
    ----------
    page : str
        A page of the table of keys.
    buttons : mapping of str to str
        The key of the Streamlit button that each command presses; one that is disabled or not
        there does nothing.
    classes : iterable of ClassRecord
        Those whose keys mean something here.
    on_class : callable, optional
        What a class's key does; called with the class.
    """
    name = f"keys_{page}"
    st.components.v2.component(
        f"labeller_keys_{page}", html=_html(page), css=_read("page.css"), js=_script()
    )(
        key=name,
        data={
            "page": page,
            "buttons": dict(buttons),
            "classes": {one.key: one.id for one in classes if one.key and not one.archived},
        },
        on_class_change=lambda: _pressed(name, on_class),
    )


def badge(text: str, command: str) -> str:
    """Return what stands on a button that a key presses, as Markdown."""
    return written(text, table.hint(command))


def written(text: str, key: str | None) -> str:
    """Return a button's text with a key behind it, as Markdown."""
    return f"{text} `{key.upper() if len(key) == 1 else key}`" if key else text


def _pressed(name: str, on_class: Callable[[int], None] | None) -> None:
    """Take over which class the browser says was meant."""
    said = st.session_state[name].get("class")
    if on_class is not None and isinstance(said, int):
        on_class(said)


@cache
def _html(page: str) -> str:
    return _read("page.html").replace("<!-- keys -->", table.help_rows(page))


@cache
def _script() -> str:
    return f"{table.script()}\n{_read('page.js')}"


@cache
def _read(name: str) -> str:
    return (_FOLDER / name).read_text(encoding="utf-8")
