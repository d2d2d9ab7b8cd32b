"""Tables with a row that is always chosen: what stands below them is about that row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st


def chosen_row(
    rows: Sequence[dict[str, Any]],
    *,
    key: str,
    columns: dict[str, Any],
    first: int = 0,
    most: int = 8,
    height: int = 330,
    row_height: int | None = None,
) -> int:
    """Draw a table and return the place of the chosen row.

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
    """
    state = st.dataframe(
        rows,
        hide_index=True,
        height="auto" if len(rows) <= most else height,
        row_height=row_height,
        on_select="rerun",
        selection_mode="single-row-required",
        selection_default={"selection": {"rows": [first]}},
        key=key,
        column_config=columns,
    )
    picked = state["selection"]["rows"]
    return int(picked[0]) if picked and picked[0] < len(rows) else first
