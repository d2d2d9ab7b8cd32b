"""Audit images with what the model made of them: to look at, never to label."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

import streamlit as st

from labeller.errors import ImageError
from labeller.project import Project
from labeller.services import audit_seal, labelling, thumbnails
from labeller.ui import session, view
from labeller.ui.evaluation_words import SEAL
from labeller.ui.text import escape_markdown
from store.errors import StoreError
from store.records import ItemRecord

PAGE = 24
_SMALL = 96


@dataclass(frozen=True, slots=True)
class Card:
    """One image: its item and the lines below it, the first in bold."""

    item: int
    lines: tuple[str, ...]


def show(project: Project, cards: Sequence[Card], model: int, key: str) -> None:
    """Draw images, a page at a time, and keep that they were shown.

    Parameters
    ----------
    project : Project
    cards : sequence of Card
    model : int
        Whose mistakes are seen.
    key : str
        Of the page numbers.
    """
    try:
        audit_seal.note_shown(project, session.annotator(), model)
    except StoreError as error:
        st.error(f"The images stay sealed: {escape_markdown(str(error))}", icon=":material/error:")
        return
    st.info(SEAL, icon=":material/lock_open:")
    pages = max(1, -(-len(cards) // PAGE))
    page = 1
    if pages > 1:
        with st.container(
            horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
        ):
            st.caption(view.count(len(cards), "image"))
            page = st.pagination(pages, key=f"{key}_{pages}")
    part = cards[(page - 1) * PAGE : page * PAGE]
    with project.store.read() as unit:
        items = unit.items.many([card.item for card in part])
    figures = [_figure(project, items[card.item], card) for card in part if card.item in items]
    st.html(f'<div class="lb-gallery" role="list">{"".join(figures)}</div>')


def _figure(project: Project, item: ItemRecord, card: Card) -> str:
    """Return one image with its lines as HTML."""
    name = escape(labelling.item_name(item), quote=True)
    first, *others = card.lines
    text = f"<b>{escape(first)}</b>" + "".join(f"<span>{escape(line)}</span>" for line in others)
    return (
        f'<figure role="listitem" title="{name}">{thumbnail_html(project, item, name)}'
        f"<figcaption>{text}</figcaption></figure>"
    )


def thumbnail_html(project: Project, item: ItemRecord, name: str) -> str:
    """Return the thumbnail inside the page, or why there is none; `name` is escaped already."""
    try:
        path, kind = thumbnails.thumbnail(project, item, "thumb")
        data = base64.b64encode(path.read_bytes()).decode()
    except (ImageError, OSError) as error:
        return f'<div class="lb-no-image">{escape(str(error))}</div>'
    small = ' class="lb-pixels"' if max(item.width, item.height) < _SMALL else ""
    return f'<img{small} src="data:{kind};base64,{data}" alt="{name}">'
