"""Rounds: the learning curve, every round, its confusion matrix and timings, class balance."""

from __future__ import annotations

import streamlit as st

from labeller.ui import history, session

project = session.current_project()
if project is None:
    st.stop()
history.show(project)
