"""Synthesis: new training examples made from labelled ones, looked at, checked and counted."""

from __future__ import annotations

import streamlit as st

from labeller.ui import session, synthesis_page

project = session.current_project()
if project is None:
    st.stop()
synthesis_page.show(project)
