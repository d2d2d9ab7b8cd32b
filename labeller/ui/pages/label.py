"""Label: the card fills the page."""

from __future__ import annotations

import streamlit as st

from labeller.errors import LabellerError
from labeller.services import rounds
from labeller.ui import session
from labeller.ui.card import labelling_card
from labeller.ui.text import escape_markdown

# The card reaches from edge to edge: an image cannot be large enough. It does not fade while the
# page is drawn again, for it goes on by itself.
ROOM = """<style>
.stMainBlockContainer { padding: 4.25rem 1rem 0 !important; max-width: none !important; }
.stMain { overflow: hidden auto; }
[data-stale="true"] { opacity: 1 !important; }
</style>"""
PAGES = {
    "import": "pages/images.py",
    "classes": "pages/classes.py",
    "settings": "pages/settings.py",
    "export": "pages/export.py",
    "rounds": "pages/rounds.py",
}

project = session.current_project()
if project is None:
    st.stop()
st.html(ROOM)
where = labelling_card(project, session.annotator(), session.pop_toasts())
if where == "retrain":
    strategy = st.session_state.get(f"strategy_{project.id}")
    batch = st.session_state.get(f"batch_{project.id}")
    try:
        rounds.start_round(project, strategy, None if batch is None else int(batch))
    except LabellerError as error:
        session.toast_later(escape_markdown(str(error)), ":material/error:")
    st.rerun()
elif where in PAGES:
    st.switch_page(PAGES[where])
