"""Export: the labels as CSV or JSON Lines."""

from __future__ import annotations

import streamlit as st

from labeller.ui import export_page, session

project = session.current_project()
if project is None:
    st.stop()
export_page.show(project)
