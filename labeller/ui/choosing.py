"""Tables with chosen rows: what stands below them is about those. A click anywhere in a row counts.

The browser takes only the box before a row for a choice of rows; a click elsewhere chooses a cell,
which is taken for its row here.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Literal

import streamlit as st

from labeller.ui import address

Mode = Literal["single-row-required", "multi-row"]


def chosen_row(
    rows: Sequence[dict[str, Any]],
    *,
    key: str,
    columns: dict[str, Any],
    first: int = 0,
    most: int = 8,
    height: int = 330,
    row_height: int | None = None,
    named: tuple[str, Sequence[object]] | None = None,
) -> int:
    """Draw a table of which one row is always chosen, and return its place.

    Parameters
    ----------
    rows : sequence of dict
        At least one, with a value for every column.
    key : str
        Another where places mean other things: the choice then begins anew.
    columns : dict
        The `column_config`.
    first : int
        Which is chosen until the person chooses.
    most : int
        So many rows are shown whole; of more the table scrolls at this `height`, in pixels.
    row_height : int, optional
        In pixels.
    named : (str, sequence), optional
        The choice's name in the address, and what each row is called there.
    """
    usual = [first]
    if named is not None:
        _follow_address(key, *named, usual)
    picked = _table(rows, "single-row-required", usual, key, columns, most, height, row_height)
    place = picked[0] if picked else first
    if named is not None:
        address.note(named[0], None if place == first else str(named[1][place]))
    return place


def chosen_rows(
    rows: Sequence[dict[str, Any]],
    *,
    key: str,
    columns: dict[str, Any],
    first: int,
    named: tuple[str, Sequence[object]],
    most: int = 8,
    height: int = 330,
) -> list[int]:
    """Draw a table of which several rows can be chosen by their boxes, and return their places.

    Parameters
    ----------
    rows, key, columns, first, named, most, height
        As of `chosen_row`.
    """
    usual = [first]
    _follow_address(key, *named, usual)
    picked = sorted(_table(rows, "multi-row", usual, key, columns, most, height, None))
    written = ",".join(str(named[1][place]) for place in picked)
    address.note(named[0], None if picked == usual else written or "none")
    return picked


def _follow_address(key: str, name: str, called: Sequence[object], usual: list[int]) -> None:
    """Choose the rows that the address asks for, where it decides."""
    if not address.deciding():
        return
    places = {str(one): place for place, one in enumerate(called)}

    def read(text: str) -> list[int]:
        return [] if text == "none" else [places[part] for part in text.split(",")]

    st.session_state[key] = _selection(address.asked(name, read, usual))


def _table(
    rows: Sequence[dict[str, Any]],
    mode: Mode,
    usual: list[int],
    key: str,
    columns: dict[str, Any],
    most: int,
    height: int,
    row_height: int | None,
) -> list[int]:
    # A default beside a value of the session would be one too many.
    default = None if key in st.session_state else _selection(usual)
    state = st.dataframe(
        rows,
        hide_index=True,
        height="auto" if len(rows) <= most else height,
        row_height=row_height,
        on_select=lambda: _take_row(key),
        selection_mode=[mode, "single-cell"],
        selection_default=default,
        key=key,
        column_config=columns,
    )
    return [int(place) for place in state["selection"]["rows"] if place < len(rows)]


def _take_row(key: str) -> None:
    """Choose the row, and it alone, of a cell that was clicked."""
    if cells := st.session_state[key]["selection"]["cells"]:
        st.session_state[key] = _selection([int(cells[0][0])])


def _selection(places: list[int]) -> Any:
    return {"selection": {"rows": places, "columns": [], "cells": []}}
