"""Predict: what the model says of images that are not in the project."""

from __future__ import annotations

import streamlit as st

from labeller.ui import predict_page, session

project = session.current_project()
if project is None:
    st.stop()
predict_page.show(project)
