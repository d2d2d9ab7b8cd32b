"""What a tab has decided on a page that asks about one image after the other, and its Undo."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import streamlit as st

from labeller.project import Project
from labeller.ui.attempts import attempt
from labeller.ui.text import escape_markdown


@dataclass(frozen=True, slots=True)
class Done:
    """A decision that was recorded: what it was in a word, and the events it takes back."""

    text: str
    item: int
    keys: tuple[str, ...]


def past(project: Project, page: str) -> list[Done]:
    """Return what this tab has decided in a project on a page, the latest last."""
    found: list[Done] = st.session_state.setdefault(f"{page}_past_{project.id}", [])
    return found


def passed(project: Project, page: str) -> list[int]:
    """Return the items that were passed over in this tab."""
    found: list[int] = st.session_state.setdefault(f"{page}_passed_{project.id}", [])
    return found


def pass_button(project: Project, page: str, item: int) -> None:
    """Offer to leave an image for later."""
    st.button(
        "Pass",
        shortcut="n",
        width="stretch",
        key=f"{page}_pass",
        on_click=passed(project, page).append,
        args=(item,),
    )


def undo_button(page: str, done: list[Done], take_back: Callable[[Done], None]) -> None:
    """Offer to take the latest decision back; one that cannot be taken back now stays offered."""
    st.button(
        f"Undo: {escape_markdown(done[-1].text)}" if done else "Undo",
        shortcut="u",
        icon=":material/undo:",
        width="stretch",
        key=f"{page}_undo",
        disabled=not done,
        on_click=_undo,
        args=(done, page, take_back),
    )


def _undo(done: list[Done], page: str, take_back: Callable[[Done], None]) -> None:
    if not done:
        return
    with attempt(page):
        take_back(done[-1])
        done.pop()
