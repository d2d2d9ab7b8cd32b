"""Evaluation: how good the model is, how that is known, what labels bought, when to stop."""

from __future__ import annotations

import streamlit as st

from labeller.ui import evaluation_page, session

project = session.current_project()
if project is None:
    st.stop()
evaluation_page.show(project)
