"""What a person asks for, and why it could not be done: told once, where they asked."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager

import streamlit as st

from labeller.errors import LabellerError
from labeller.ui.text import escape_markdown
from store.errors import StoreError
from strategies.base import StrategyError


@contextmanager
def attempt(place: str) -> Iterator[None]:
    """Do the work of the block; an error ends it and waits for `show_error` of the same place."""
    try:
        yield
    except (LabellerError, StoreError, StrategyError) as error:
        st.session_state[_key(place)] = str(error)


def tried(place: str, action: Callable[[], object]) -> None:
    """Attempt what a button says; its `on_click`."""
    with attempt(place):
        action()


def show_error(place: str) -> None:
    """Say why the last attempt failed, if it did and that was not said yet."""
    if error := st.session_state.pop(_key(place), None):
        st.error(escape_markdown(error), icon=":material/error:")


def _key(place: str) -> str:
    return f"attempt_{place}"
