"""The filters above the grid of images."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, get_args

import streamlit as st

from labeller.ui import address
from store.records import ClassRecord, Counts, ItemState, Split

SIZES = {"S": 96, "M": 136, "L": 220}
USUAL_SIZE = "M"
STATES: dict[ItemState | None, str] = {
    None: "All",
    "unlabelled": "Unlabelled",
    "labelled": "Labelled",
    "skipped": "Skipped",
    "flagged": "Flagged",
}
ORDERS = {"newest": "Newest first", "oldest": "Oldest first", "path": "By path"}
GENERATED = "generated"


@dataclass(frozen=True, slots=True)
class Filters:
    """Which images to show; `generated` ones are unlabelled and have a generated label."""

    state: ItemState | None
    generated: bool
    class_id: int | None
    split: Split | None
    text: str | None
    order: str


def draw(counts: Counts, generated: int, classes: dict[int, ClassRecord]) -> tuple[Filters, int]:
    """Draw the filters and return what is chosen, with the least width of a tile."""
    state = _state(counts, generated)
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    address.text("find", "browse_text")
    text = row.text_input(
        "Find",
        key="browse_text",
        icon=":material/search:",
        placeholder="part of the path",
        live=True,
        width=220,
    )
    address.choice("class", "browse_class", [0, *classes], 0)
    class_id = row.selectbox(
        "Class",
        [0, *classes],
        format_func=lambda i: classes[i].name if i else "All classes",
        key="browse_class",
        width=170,
    )
    address.choice("split", "browse_split", ["", *get_args(Split)], "")
    split = row.selectbox(
        "Split",
        ["", *get_args(Split)],
        format_func=lambda s: s or "All splits",
        key="browse_split",
        help="The audit set measures the model: it is never trained on.",
        width=130,
    )
    address.choice("order", "browse_order", ORDERS, "newest")
    order = row.selectbox(
        "Order", list(ORDERS), format_func=ORDERS.__getitem__, key="browse_order", width=150
    )
    address.choice("size", "browse_size", SIZES, USUAL_SIZE)
    size = row.segmented_control("Size", list(SIZES), required=True, key="browse_size")
    return (
        Filters(
            None if state == GENERATED else state,
            state == GENERATED,
            class_id or None,
            split or None,
            text.strip() or None,
            order,
        ),
        SIZES[size or USUAL_SIZE],
    )


def _state(counts: Counts, generated: int) -> Any:
    """Draw the states to choose from; generated labels among them when there are some."""
    numbers = {None: counts.items} | {s: getattr(counts, s) for s in STATES if s}
    titles: dict[str | None, str] = {s: f"{STATES[s]} {numbers[s]:,}" for s in STATES}
    chosen = address.choice("state", "browse_state", [*STATES, GENERATED], None)
    if generated or chosen == GENERATED:
        titles[GENERATED] = f"Generated {generated:,}"
    return st.pills(
        "State",
        list(titles),
        format_func=titles.__getitem__,
        key="browse_state",
        label_visibility="collapsed",
    )
