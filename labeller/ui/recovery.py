"""What the start page shows of a project whose database or signing key is gone or damaged."""

from __future__ import annotations

import time
from collections.abc import Callable
from html import escape
from pathlib import Path

import streamlit as st

from labeller import config, trust
from labeller.errors import BrokenError, LabellerError, SecretError, StrangerError
from labeller.project import own_database, replace_secret
from labeller.services import recovery
from labeller.ui import session, view
from labeller.ui.text import escape_markdown

_CONSENT = "begin anew"


def show(error: BrokenError) -> None:
    """Draw what is wrong with a project, and what can be done."""
    if isinstance(error, SecretError):
        _offer_key(error)
    elif isinstance(error, StrangerError):
        _ask_for_trust(error.folder)
    else:
        _offer_databases(error.folder, str(error))


def _ask_for_trust(folder: Path) -> None:
    """List what a project of somebody else asks for, and let the person decide."""
    settings = config.load_settings(folder, {})
    wishes = trust.list_wishes(folder, settings, own_database(folder, settings))
    with st.container(border=True, key="lb_recovery"):
        st.subheader("This project was not made here")
        st.caption(escape_markdown(str(folder)))
        st.markdown(
            "It asks for what acts outside its folder. Nothing of that is done until you agree. "
            "Trust it only if you know who made it."
        )
        for wish in wishes:
            st.html(
                f"<p class='lb-wish'><b>{escape(_title(wish.name))}</b> "
                f"<code>{escape(wish.value)}</code><br>{escape(wish.effect)}</p>"
            )
        with st.container(horizontal=True):
            if st.button(
                "Only look at it",
                key="look",
                type="primary",
                icon=":material/visibility:",
                disabled=bool(settings.database),
                help="Nothing in it is changed, and nothing that it asks for is done.",
            ):
                _look(folder)
            if st.button("Trust it and open", key="trust", icon=":material/handshake:"):
                _open(lambda: _agree(folder, settings.id))


def _title(name: str) -> str:
    """Return what a project asks for as people read it."""
    return name.replace("_", " ").capitalize()


def _agree(folder: Path, identity: str) -> Path:
    trust.trust_project(folder, identity)
    return folder


def _look(folder: Path) -> None:
    try:
        session.look(folder)
    except LabellerError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    st.rerun()


def _offer_key(error: SecretError) -> None:
    with st.container(border=True, key="lb_recovery"):
        st.subheader("This project's signing key cannot be used")
        st.error(escape_markdown(str(error)), icon=":material/key_off:")
        st.markdown(
            "It signs the tokens of open pages and of scripts. With a new one open pages sign in "
            "by themselves when they are loaded again; scripts need new tokens. Labels stay as "
            "they are."
        )
        if st.button("Make a new key", key="new_key", type="primary", icon=":material/key:"):
            _open(lambda: _replace_key(error.folder))


def _replace_key(folder: Path) -> Path:
    replace_secret(folder)
    return folder


def _offer_databases(folder: Path, error: str) -> None:
    """Draw what can be put back, and the way to begin anew."""
    with st.container(border=True, key="lb_recovery"):
        st.subheader("This project's database cannot be used")
        st.error(escape_markdown(error), icon=":material/database_off:")
        try:
            copies = recovery.find_copies(folder)
        except (LabellerError, OSError) as problem:
            st.error(escape_markdown(str(problem)), icon=":material/error:")
            return
        if copies:
            st.markdown("These databases lie in its folder. What is replaced is kept beside it.")
        else:
            st.markdown(
                "No other database lies in its folder. If you have one elsewhere, copy it there "
                "and look again, or run `labeller recover` with `--from`."
            )
        for copy in copies:
            _copy_row(folder, copy)
        st.button("Look again", icon=":material/refresh:", key="recovery_again")
        _begin_anew(folder)


def _copy_row(folder: Path, copy: recovery.DatabaseCopy) -> None:
    text, action = st.columns([5, 1], vertical_alignment="center", wrap=False)
    when = view.ago(copy.changed_at, time.time())
    name = escape_markdown(copy.path.name)
    if copy.problem is not None:
        text.markdown(f":gray[**{name}** · {when} · {escape_markdown(copy.problem)}]")
        return
    text.markdown(
        f"**{name}** · {when}  \n"
        f":small[{view.count(copy.labels, 'label')} of {view.count(copy.items, 'image')}]"
    )
    if action.button("Put back", key=f"put_back_{copy.path.name}", type="primary"):
        _open(lambda: recovery.put_back(folder, copy.path).root)


def _begin_anew(folder: Path) -> None:
    with st.expander("Begin with an empty database"):
        st.markdown(
            "Labels, rounds and budget begin at nothing. Images and label files can be imported "
            f"again. The old files stay beside it. To go on, type `{_CONSENT}`."
        )
        typed = st.text_input("Type it here", key="recovery_consent")
        if st.button("Begin anew", key="begin_anew", disabled=typed.strip() != _CONSENT):
            _open(lambda: recovery.begin_anew(folder).root)


def _open(mend: Callable[[], Path]) -> None:
    """Mend the project, and go into it."""
    try:
        session.open(mend())
    except LabellerError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    st.rerun()
