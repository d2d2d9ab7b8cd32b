"""Review: labels that may be wrong, one at a time, a key per decision."""

from __future__ import annotations

import streamlit as st

from labeller.ui import review_page, session

project = session.current_project()
if project is None:
    st.stop()
review_page.show(project)
