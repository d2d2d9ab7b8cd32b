"""What one browser tab has chosen: the project and the annotator's name."""

from __future__ import annotations

import getpass
import os
import re
import time
import unicodedata
import uuid
from pathlib import Path
from urllib.parse import unquote

import streamlit as st

from labeller.errors import BrokenError, LabellerError
from labeller.project import Project
from labeller.services import recent
from labeller.ui import address
from labeller.ui.running import check_sign_in
from labeller.ui.text import escape_markdown

COOKIE = "labeller_annotator"
UNKNOWN = (
    "The address names a project that was never opened on this machine, or is not there any more. "
    "Open its folder below once; the address works from then on."
)
LONGEST_NAME = 60
_ROOT = "session_project"
_ERROR = "session_error"
_BROKEN = "session_broken"
_NAME = "session_annotator"
_TOASTS = "session_toasts"
_EVENTS = "session_events"
_COUNTS = "session_counts"
_COUNTS_SECONDS = 15.0
_TARGET = "session_target"


def current_project() -> Project | None:
    """Return the project of this tab: the one opened here, in its address, or in LABELLER_PROJECT.

    After Back or Forward the address counts again. One that cannot be opened counts as none;
    `open_error` says why.
    """
    chosen = st.session_state.get(_ROOT)
    root = chosen if chosen is not None and not address.travelled() else _from_address(chosen)
    if not root:
        st.session_state[_ROOT] = ""
        return None
    try:
        project = recent.opened(root)
        project.secret()  # no page works without it
        check_sign_in(project)
    except LabellerError as error:
        st.session_state[_ROOT] = ""
        note_error(error)
        return None
    if chosen != str(project.root):
        _enter(project)
    return project


def open(path: Path | str) -> Project:
    """Open a project in this tab.

    Raises
    ------
    LabellerError
        When it cannot be opened; the tab keeps what it had.
    """
    project = recent.reopen(path)
    project.secret()
    check_sign_in(project)
    _enter(project)
    return project


def look(path: Path) -> None:
    """Open somebody else's project in this tab, to look at; errors as `open`."""
    project = recent.look(path)
    project.secret()
    check_sign_in(project)
    _enter(project)


def _enter(project: Project) -> None:
    """Make a project this tab's, and tell what opening it changed."""
    recent.remember(project)
    st.session_state[_ROOT] = str(project.root)
    st.session_state.pop(_ERROR, None)
    st.session_state.pop(_BROKEN, None)
    for notice in () if project.is_read_only else project.notices:  # every page says that
        toast_later(escape_markdown(notice), ":material/info:")


def note_error(error: LabellerError) -> None:
    """Keep why a project could not be opened, for the start page."""
    st.session_state[_ERROR] = str(error)
    st.session_state[_BROKEN] = error if isinstance(error, BrokenError) else None


def broken_project() -> BrokenError | None:
    """Return what was wrong with a project that can be mended, until another is opened."""
    error: BrokenError | None = st.session_state.get(_BROKEN)
    return error


def note_counts(project: Project, items: int, labelled: int) -> None:
    """Keep a project's counts for the start page, not more often than they are worth."""
    seen: tuple[str, int, int, float] = st.session_state.get(_COUNTS, ("", 0, 0, 0.0))
    now = time.monotonic()
    if seen[:3] == (project.id, items, labelled):
        return
    if seen[0] != project.id or now - seen[3] > _COUNTS_SECONDS:
        st.session_state[_COUNTS] = (project.id, items, labelled, now)
        recent.remember(project, (items, labelled))


def close() -> None:
    """Leave the project, for the start page; other tabs keep it."""
    st.session_state[_ROOT] = ""
    st.session_state.pop(_ERROR, None)
    st.query_params.from_dict({address.PROJECT: address.ALL})


def open_error() -> str | None:
    """Return why the project could not be opened, until another one is."""
    error = st.session_state.get(_ERROR)
    return str(error) if error else None


def annotator() -> str:
    """Return the name that labels given in this tab get."""
    chosen = st.session_state.get(_NAME)
    if chosen:
        return str(chosen)
    cookie: object = st.context.cookies.get(COOKIE)
    remembered = unquote(cookie) if isinstance(cookie, str) else ""
    for name in (remembered, os.environ.get("LABELLER_ANNOTATOR", ""), _login()):
        if clean := clean_name(name):
            return clean
    return "annotator"


def set_annotator(name: str) -> None:
    """Take another name from now on; an empty one changes nothing."""
    if clean := clean_name(name):
        st.session_state[_NAME] = clean


def clean_name(name: str) -> str:
    """Return a person's name on one line, composed (NFC), without control characters, cut.

    Two underscores become one: Streamlit parts the identities of components there.
    """
    text = unicodedata.normalize("NFC", name)
    text = "".join(" " if unicodedata.category(c).startswith(("C", "Z")) else c for c in text)
    return re.sub("__+", "_", " ".join(text.split()))[:LONGEST_NAME].strip()


def go_to(page: str) -> None:
    """Have the next run show another page (a name of `main.PAGES`)."""
    st.session_state[_TARGET] = page


def pop_target() -> str | None:
    """Return where `go_to` said to go, once."""
    target = st.session_state.pop(_TARGET, None)
    return str(target) if target else None


def page_session() -> str:
    """Return the name under which changes made on this tab's pages are stored."""
    return str(st.session_state.setdefault(_EVENTS, f"pages-{uuid.uuid4().hex[:12]}"))


def toast_later(text: str, icon: str) -> None:
    """Show a toast in the next run of the page (one shown now would go with a rerun)."""
    st.session_state.setdefault(_TOASTS, []).append((text, icon))


def pop_toasts() -> list[str]:
    """Return what `toast_later` was given, for a page that tells it by itself."""
    return [text for text, _ in st.session_state.pop(_TOASTS, [])]


def show_toasts() -> None:
    """Show what `toast_later` was given."""
    for text, icon in st.session_state.pop(_TOASTS, []):
        st.toast(text, icon=icon, duration="long")


def _from_address(chosen: str | None) -> str:
    """Return the folder of the project that the address names, empty for the start page.

    Only projects that were opened on this machine are found: no address opens a folder. Of copies
    with the same identity the one that is `chosen` already stays.
    """
    named = st.query_params.get(address.PROJECT)
    if named is None:
        return os.environ.get("LABELLER_PROJECT", "")
    if named == address.ALL:
        return ""
    folders = recent.all_by_id(named)
    if not folders:
        st.session_state[_ERROR] = UNKNOWN
        return ""
    return next((str(one) for one in folders if str(one) == chosen), str(folders[0]))


def _login() -> str:
    """Return the name of the account that runs the server; empty when there is none."""
    try:
        return getpass.getuser()
    except (OSError, KeyError):
        return ""
