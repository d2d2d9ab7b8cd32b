"""What somebody has decided on a page: passed over for now, taken back, done again."""

from __future__ import annotations

from collections.abc import Callable

import streamlit as st

from labeller.project import Project
from labeller.services import steps
from labeller.services.steps import Step
from labeller.ui import keys, session, view
from labeller.ui.attempts import attempt
from labeller.ui.text import escape_markdown
from store.records import EventResult


def passed(project: Project, page: str) -> list[int]:
    """Return the items that were passed over in this tab."""
    found: list[int] = st.session_state.setdefault(f"{page}_passed_{project.id}", [])
    return found


def pass_button(project: Project, page: str, item: int) -> None:
    """Offer to leave an image for later."""
    st.button(
        keys.badge("Pass", "skip"),
        width="stretch",
        key=f"{page}_pass",
        on_click=passed(project, page).append,
        args=(item,),
    )


def step_buttons(
    project: Project,
    page: str,
    describe: Callable[[Step], str],
    place: str | None = None,
    wide: bool = True,
    hints: bool = True,
) -> None:
    """Offer to take the latest step of this person back, and to do again what was taken back.

    Parameters
    ----------
    project : Project
    page : str
        Whose steps, as their keys begin.
    describe : callable
        Says in a word or two what a step was.
    place : str, optional
        Where an error is told; the page when not given.
    wide : bool
        Whether the buttons fill their row.
    hints : bool
        Whether their keys stand on them.
    """
    latest = steps.latest(project, page, session.annotator())
    for word, step, take in (
        ("Undo", latest.undo, steps.undo),
        ("Redo", latest.redo, steps.redo),
    ):
        what = f": {escape_markdown(describe(step))}" if step else ""
        st.button(
            keys.badge(f"{word}{what}", word.lower()) if hints else f"{word}{what}",
            icon=f":material/{word.lower()}:",
            width="stretch" if wide else "content",
            key=f"{page}_{word.lower()}",
            disabled=step is None,
            on_click=_take,
            args=(project, place or page, step, take),
        )


def _take(
    project: Project,
    place: str,
    step: Step,
    take: Callable[[Project, Step, str, str], list[EventResult]],
) -> None:
    """Take a step back or do it again, and say what of it could not be."""
    with attempt(place):
        results = take(project, step, session.annotator(), session.page_session())
        if refused := {one.item_id: one.reason for one in results if one.status == "refused"}:
            left = view.count(len(refused), "image")
            reason = escape_markdown(next(iter(refused.values())) or "refused")
            session.toast_later(f"Not for {left}: {reason}", ":material/info:")
