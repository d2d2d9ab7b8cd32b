"""Check: a person says of each new example whether it would still be of its class."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from labeller.project import Project
from labeller.services.synthesis import RunView
from labeller.ui import address, session, view
from labeller.ui.check import check


def show(project: Project, runs: Sequence[RunView]) -> None:
    """Draw the check of what nobody has judged, or say what brings something to check."""
    shown = [one for one in runs if one.run.made and one.run.state != "deleted"]
    if not shown:
        with st.container(border=True):
            st.markdown(
                "**Nothing to check yet.** Create some items under Make; each is then shown here "
                "beside the image it was made of."
            )
        return
    labels = {
        one.run.id: f"Run {one.run.id} · {view.strategy_title(one.run.strategy)}" for one in shown
    }
    run = None
    if len(shown) > 1:
        key = f"synthesis_check_run_{project.id}"
        address.choice("run", key, [None, *labels], None)
        run = st.selectbox(
            "Run",
            [None, *labels],
            format_func=lambda key: labels[key] if key else "All runs",
            key=key,
            label_visibility="collapsed",
            width=260,
        )
    check(project, session.annotator(), run)
