"""Settings: the budget and everything in project.toml."""

from __future__ import annotations

import streamlit as st

from labeller.ui import session, settings_page

project = session.current_project()
if project is None:
    st.stop()
settings_page.show(project)
