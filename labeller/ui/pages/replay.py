"""Replay: compare strategies on the project's own labels."""

from __future__ import annotations

import streamlit as st

from labeller.ui import replay_page, session

project = session.current_project()
if project is None:
    st.stop()
replay_page.show(project)
