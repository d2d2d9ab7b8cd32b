"""Models: compare them, put one in use, go back, delete, export."""

from __future__ import annotations

import streamlit as st

from labeller.ui import models_page, session

project = session.current_project()
if project is None:
    st.stop()
models_page.show(project)
