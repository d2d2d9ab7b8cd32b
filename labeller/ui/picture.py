"""One image on a page, as large as its column, with its name below."""

from __future__ import annotations

import streamlit as st

from labeller.errors import ImageError
from labeller.project import Project
from labeller.services import labelling, thumbnails
from labeller.ui.text import escape_markdown
from store.records import ItemRecord


def show(project: Project, item: ItemRecord) -> None:
    """Draw an image, or why it cannot be shown."""
    name = labelling.item_name(item)
    small = max(item.width, item.height) < 96
    try:
        path, _ = thumbnails.thumbnail(project, item, "card")
        with st.container(key=f"lb_item_small_{item.id}" if small else f"lb_item_image_{item.id}"):
            st.image(str(path), width="stretch", alt=name)
    except (ImageError, OSError) as error:
        st.error(escape_markdown(f"{name} cannot be shown: {error}"), icon=":material/error:")
    st.caption(escape_markdown(name))
