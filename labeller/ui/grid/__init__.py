"""The grid of thumbnails: many images at a glance, chosen by click, Shift-click or keys."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import streamlit as st

from labeller import tokens
from labeller.project import Project
from labeller.ui import opened

_HERE = Path(__file__).parent
_GRID = st.components.v2.component(
    "labeller_grid",
    html=(_HERE / "grid.html").read_text(encoding="utf-8"),
    css=(_HERE / "grid.css").read_text(encoding="utf-8"),
    js=(_HERE / "grid.js").read_text(encoding="utf-8"),
)


@dataclass(frozen=True, slots=True)
class Tile:
    """One thumbnail: `label` with its `colour`, or a `note` in its place.

    `width` and `height` of the original are 0 where nobody knows them.
    """

    id: int
    name: str
    image: str
    width: int
    height: int
    label: str | None = None
    colour: str | None = None
    note: str | None = None


def grid(
    project: Project,
    annotator: str,
    tiles: Sequence[Tile],
    *,
    key: str,
    reset: int,
    pixels: int,
    choosing: bool = True,
) -> tuple[int, ...]:
    """Draw thumbnails and return which are selected, in the order of the tiles.

    `opened.in_grid` tells what was opened, by a double click or Enter.

    Parameters
    ----------
    project : Project
        Whose images they are.
    annotator : str
        In whose name the browser asks the API for the images.
    tiles : sequence of Tile
        What to show.
    key : str
        The component's key, and that of the fragment which it is drawn in: what is opened is drawn
        by the fragment `opened.DIALOG` beside that one.
    reset : int
        Another number than before clears the selection.
    pixels : int
        Least width of a tile on screen.
    choosing : bool
        Whether a click chooses a tile; else it opens it.
    """
    data = {
        "items": [asdict(tile) for tile in tiles],
        "api": "api/v1/",
        "token": tokens.make(project, annotator, "page", "label"),
        "reset": reset,
        "tile": pixels,
        "choosing": choosing,
    }
    result = _GRID(
        key=key,
        data=data,
        default={"selected": []},
        on_selected_change=_nothing,
        on_opened_change=lambda: _open(key),
    )
    chosen = set(result.get("selected") or [])
    return tuple(tile.id for tile in tiles if tile.id in chosen)


def _open(key: str) -> None:
    """Take over what the browser says was opened."""
    item = st.session_state[key].get("opened")
    if isinstance(item, int):
        opened.open(key, item)


def _nothing() -> None:
    """Streamlit wants a callback for every value that a component sends."""
