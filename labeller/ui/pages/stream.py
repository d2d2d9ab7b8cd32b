"""Stream: images pass one by one; the model labels the sure ones, you are asked about others."""

from __future__ import annotations

import streamlit as st

from labeller.ui import session, stream_page

project = session.current_project()
if project is None:
    st.stop()
stream_page.show(project)
