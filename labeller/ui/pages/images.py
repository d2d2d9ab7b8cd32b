"""Images: import them, look at them, change many labels at once."""

from __future__ import annotations

import streamlit as st

from labeller.ui import browse, imports, session

project = session.current_project()
if project is None:
    st.stop()
with project.store.read() as unit:
    empty = unit.items.count().items == 0
    importing = bool(unit.jobs.active("import"))
st.title("Images")
if empty and not importing:
    st.markdown("No images yet. Choose where they are; labelling can begin as soon as they are in.")
imports.panel(project, empty)
if not empty:
    browse.show(project)
