"""What a page shows is in its address: a reload, a link, Back and Forward open the same view.

A choice has a name in the address, and there only while it is not the usual one. Where the person
came by an address (a link, a reload, Back, another page), the address decides and the session
follows; afterwards the session decides and the address follows. What an address asks for and cannot
be had is left out, and that is said.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Iterable, Sequence
from typing import Any, TypeVar

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from labeller.ui.text import escape_markdown

Value = TypeVar("Value")

PROJECT = "project"
ALL = "all"  # as the project: the list of projects
_PLACE = "address_place"  # project and page
_ASKED = "address_asked"  # what the address asks for, until its page is drawn; None afterwards
_TAKEN = "address_taken"  # the names of it that the page knows
_REFUSED = "address_refused"
_SHOWN = "address_shown"  # what is chosen, as it stands in the address
_LONGEST = 200
_QUOTED = 40

# Streamlit writes the page first and its choices with the next message: one step of the person is
# one entry of the history, and so is a text that is being typed. Links get the project when they
# are pointed at, so that they can be copied or opened in another tab.
_STEPS = st.components.v2.component(
    "labeller_address",
    js="""export default function ({ data }) {
        window.labellerProject = data.project;
        if (window.labellerSteps) return;
        window.labellerSteps = true;
        const push = history.pushState.bind(history);
        const sameStep = (next) => {
            if (next.pathname !== location.pathname) return false;
            const before = new URLSearchParams(location.search), after = next.searchParams;
            if (!before.has("project") && after.has("project")) return true;
            const changed = [...new Set([...before.keys(), ...after.keys()])]
                .filter((name) => before.get(name) !== after.get(name));
            return before.has("find") && after.has("find") && changed.includes("find")
                && changed.every((name) => ["find", "page"].includes(name));
        };
        history.pushState = (state, title, url) => {
            const next = new URL(url ?? location.href, location.href);
            if (sameStep(next)) history.replaceState(state, title, url);
            else push(state, title, url);
        };
        const pages = '[data-testid="stTopNavLink"], [data-testid="stSidebarNavLink"], '
            + '[data-testid="stPageLink-NavLink"]';
        const lend = ({ target }) => {
            const link = target instanceof Element && target.closest(pages);
            if (!link?.href || !window.labellerProject) return;
            const to = new URL(link.href);
            if (to.origin !== location.origin) return;
            to.searchParams.set("project", window.labellerProject);
            link.href = to.href;
        };
        document.addEventListener("pointerover", lend, true);
        document.addEventListener("focusin", lend, true);
    }""",
)


def watch_steps(project: str) -> None:
    """Have the browser count steps as the person does; `project` goes into links."""
    with st.container(key="lb_address"):
        _STEPS(key="address_steps", data={"project": project}, height=1)


def travelled() -> bool:
    """Whether Back or Forward led here, so that the address counts and not the session."""
    context = get_script_run_ctx()
    return context is not None and context.is_history_navigation


def turn_to(project: str, page: str) -> None:
    """Begin a run of a whole page: see whether the address decides what it shows."""
    state, place = st.session_state, (project, page)
    if state.get(_PLACE) != place or travelled():
        query = st.query_params.to_dict()
        other = query.pop(PROJECT, project) != project
        state[_ASKED] = {} if other else query
    state[_PLACE] = place
    # A run that another overtook begins anew, and so does what it had taken.
    state[_TAKEN], state[_REFUSED], state[_SHOWN] = set(), set(), {}


def leave() -> None:
    """Forget the page: the one that comes next begins by its address."""
    for name in (_PLACE, _ASKED, _TAKEN, _REFUSED, _SHOWN):
        st.session_state.pop(name, None)


def choice(
    name: str,
    key: str,
    options: Iterable[Value],
    usual: Value,
    write: Callable[[Value], str] = str,
) -> Value:
    """Keep the choice of the widget that is drawn next in the address, and return it.

    Parameters
    ----------
    name : str
        In the address.
    key : str
        Of the widget, which gets no default of its own.
    options : iterable
        What can be chosen.
    usual : value
        Chosen until the person chooses; it is not in the address.
    write : callable
        Writes an option, other than the usual one, for the address.
    """
    known = list(options)
    by_text = {write(one): one for one in known if one != usual}
    return keep(name, key, usual, by_text.__getitem__, write, lambda value: value in known)


def number(name: str, key: str, usual: int, most: int, least: int = 1) -> int:
    """Keep a whole number in the address: see `choice`."""

    def read(text: str) -> int:
        if not (text.isascii() and text.isdigit() and least <= int(text) <= most):
            raise ValueError(text)
        return int(text)

    return keep(name, key, usual, read, str, lambda value: least <= value <= most)


def text(name: str, key: str) -> str:
    """Keep what is typed into a field in the address: see `choice`."""

    def read(written: str) -> str:
        if len(written) > _LONGEST or any(unicodedata.category(c) == "Cc" for c in written):
            raise ValueError(written)
        return written

    return keep(name, key, "", read, str)


def span(name: str, key: str, least: int, most: int) -> tuple[int, int]:
    """Keep the two ends of a slider in the address, as ``20-80``: see `choice`."""

    def read(written: str) -> tuple[int, int]:
        low, high = (int(part) for part in written.split("-"))
        if not least <= low <= high <= most:
            raise ValueError(written)
        return low, high

    return keep(name, key, (least, most), read, lambda ends: f"{ends[0]}-{ends[1]}")


def keep(
    name: str,
    key: str,
    usual: Value,
    read: Callable[[str], Value],
    write: Callable[[Value], str],
    possible: Callable[[Value], bool] = lambda _: True,
) -> Value:
    """Keep what is under `key` in the session in the address as well, and return it.

    Parameters
    ----------
    name, key, usual, write
        As of `choice`.
    read : callable
        Turns what `write` gives back; raises KeyError or ValueError for what it never gives.
    possible : callable
        Whether a value of the session can be chosen still.
    """
    if deciding():
        st.session_state[key] = asked(name, read, usual)
    elif key not in st.session_state or not possible(st.session_state[key]):
        st.session_state[key] = usual
    value: Value = st.session_state[key]
    note(name, None if value == usual else write(value))
    return value


def deciding() -> bool:
    """Whether the address decides in this run."""
    return st.session_state.get(_ASKED) is not None


def asked(name: str, read: Callable[[str], Value], usual: Value) -> Value:
    """Return what the address asks for under a name; the usual where that is nothing possible."""
    wanted: dict[str, str] | None = st.session_state.get(_ASKED)
    if wanted is None or name not in wanted:
        return usual
    st.session_state[_TAKEN].add(name)
    try:
        return read(wanted[name])
    except (KeyError, ValueError):
        st.session_state[_REFUSED].add(name)
        return usual


def note(name: str, written: str | None) -> None:
    """Note how a choice stands in the address; None for the usual one."""
    shown: dict[str, str] = st.session_state.setdefault(_SHOWN, {})
    shown.pop(name, None)
    if written is not None:
        shown[name] = written


def begin_part(*names: str) -> None:
    """Begin a fragment with choices of these names: those that it draws no more go."""
    for name in names:
        note(name, None)


def write(*, whole: bool = False) -> None:
    """Bring the address up to date; the end of a page, and of each fragment with choices.

    Parameters
    ----------
    whole : bool
        Whether the whole page was drawn: what the address asked for in vain is then said.
    """
    place = st.session_state.get(_PLACE)
    if place is None:
        return
    if whole:
        _say_what_was_refused()
        st.session_state[_ASKED] = None
    if st.session_state.get(_ASKED) is not None:
        return  # a page on its way: its end writes
    wanted = {PROJECT: place[0], **st.session_state.get(_SHOWN, {})}
    if st.query_params.to_dict() != wanted:
        st.query_params.from_dict(wanted)


def _say_what_was_refused() -> None:
    """Say what the address asked for and the page cannot show."""
    wanted: dict[str, str] = st.session_state.get(_ASKED) or {}
    unknown = set(wanted) - st.session_state[_TAKEN]
    refused = sorted(unknown | st.session_state[_REFUSED])
    if refused:
        st.toast(escape_markdown(refusal(refused, wanted)), icon=":material/link_off:")


def refusal(names: Sequence[str], wanted: dict[str, Any]) -> str:
    """Say in plain text which parts of an address were left out."""
    parts = [f"{_cut(name)} = {_cut(wanted[name])}" for name in names[:3]]
    more = f" and {len(names) - 3:,} more" if len(names) > 3 else ""
    return f"The address asks for what is not there: {', '.join(parts)}{more}. It was left out."


def _cut(written: str) -> str:
    return written if len(written) <= _QUOTED else f"{written[: _QUOTED - 1]}…"
