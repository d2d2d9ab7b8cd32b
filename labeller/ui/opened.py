"""What a person opened: its dialog stays, whatever is drawn anew, until it is closed.

The dialog is drawn by a fragment of its own, a sibling of the fragment with the grid, never inside
it. For where a fragment runs twice in a row, Streamlit drops what the first run had not delivered
yet, but keeps what fragments inside it drew, such as the content of a dialog. Content that comes
without its dialog turns the page white.
"""

from __future__ import annotations

import streamlit as st

DIALOG = "opened"  # the key of the fragment with the dialog
_OPENED = "opened_in"
_PAGE = "opened_page"


def open(grid: str, item: int) -> None:
    """Keep what was opened and have its dialog drawn; for callbacks only.

    Parameters
    ----------
    grid : str
        The key of the grid and of the fragment that it is in.
    item : int
    """
    before = st.session_state.get(_OPENED)
    st.session_state[_OPENED] = (grid, item)
    if before is None:
        st.rerun([grid, DIALOG])
    elif before != (grid, item):
        st.rerun()  # the dialog before may be on its way still: only a whole page replaces it


def in_grid(grid: str) -> int | None:
    """Return what was opened in a grid and is not closed yet."""
    where, item = st.session_state.get(_OPENED, ("", 0))
    return int(item) if where == grid else None


def close() -> None:
    """Forget what was opened; the `on_dismiss` of its dialog."""
    st.session_state.pop(_OPENED, None)


def turn_to(page: str) -> None:
    """Close what was opened on another page."""
    if st.session_state.get(_PAGE) != page:
        st.session_state[_PAGE] = page
        close()
