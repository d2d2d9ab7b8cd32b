"""Classes: add, rename, give keys and colours, order, merge, archive; all of it can be undone."""

from __future__ import annotations

import streamlit as st

from labeller.ui import class_editor, session

project = session.current_project()
if project is None:
    st.stop()
class_editor.show(project)
