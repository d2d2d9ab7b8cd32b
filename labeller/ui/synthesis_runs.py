"""Runs: what each made, cost and brought; its children to look at; delete it."""

from __future__ import annotations

import time
from collections.abc import Sequence

import streamlit as st

from labeller.project import Project
from labeller.services import ablations, synthesis
from labeller.services.ablations import Ablation
from labeller.services.budget import amount
from labeller.services.synthesis import RunView
from labeller.ui import attempts, round_details, session, synthesis_children, view
from labeller.ui import synthesis_view as words
from labeller.ui.choosing import chosen_row
from labeller.ui.text import escape_markdown
from store.records_made import SynthesisRunRecord

_PLACE = "synthesis_runs"


def show(project: Project, runs: Sequence[RunView]) -> None:
    """Draw the runs, the chosen one's children, and what the next model gained by them."""
    if not runs:
        with st.container(border=True):
            st.markdown(
                "**No run yet.** Create some items under Make: what they cost and brought is then "
                "told here."
            )
        return
    chosen = _table(runs)
    attempts.show_error(_PLACE)
    _head(project, chosen)
    if chosen.run.error:
        st.warning(escape_markdown(chosen.run.error), icon=":material/info:")
    if chosen.run.state == "deleted":
        st.caption("Its items and files are gone, and its cost was given back.")
        return
    _ablation(project, chosen)
    synthesis_children.show(project, chosen)


def _table(runs: Sequence[RunView]) -> RunView:
    """List the runs, newest first, and return the chosen one."""
    first = next((n for n, one in enumerate(runs) if one.run.state != "deleted"), 0)
    place = chosen_row(
        words.run_rows(runs, time.time()),
        key=f"synthesis_runs_{runs[0].run.id}_{first}",
        first=first,
        named=("run", [one.run.id for one in runs]),
        columns={
            "Run": st.column_config.NumberColumn(width="small"),
            "Failed": st.column_config.NumberColumn(
                help="Could not be made, or would have been their parent once more: not paid."
            ),
        },
    )
    return runs[place]


def _head(project: Project, chosen: RunView) -> None:
    """Name the run, how it was set, and offer to go on with it or to delete it."""
    run = chosen.run
    head = st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    )
    head.subheader(f"Run {run.id}", width="content")
    with head, st.container(horizontal=True, gap="small", width="content"):
        if chosen.resumable:
            st.button(
                "Go on with it",
                key=f"synthesis_resume_{run.id}",
                icon=":material/play_arrow:",
                on_click=attempts.tried,
                args=(_PLACE, lambda: synthesis.resume(project, run.id)),
            )
        if run.state != "deleted":
            _delete(project, chosen)
    facts = [f"{run.made:,} of {run.planned:,} made", f"seed {run.seed}"]
    if synthesis_children.pictures(chosen):
        facts += words.recipes_used(chosen.plan.recipes)
    st.caption(escape_markdown(" · ".join(facts)))


def _delete(project: Project, chosen: RunView) -> None:
    """Ask once more, then delete the run."""
    run = chosen.run
    busy = run.state == "running"
    with st.popover(
        "Delete",
        icon=":material/delete:",
        disabled=busy,
        help="Cancel it first." if busy else None,
        key=f"synthesis_delete_box_{run.id}",
    ):
        st.markdown(
            f"{view.count(run.made, 'item')} and their files go; {amount(run.spent)} of the budget "
            "comes back. Verdicts are lost. This cannot be undone, but the same seed makes the "
            "same pictures."
        )
        st.button(
            f"Delete run {run.id}",
            key=f"synthesis_delete_{run.id}",
            type="primary",
            icon=":material/delete:",
            on_click=_delete_now,
            args=(project, run),
        )


def _delete_now(project: Project, run: SynthesisRunRecord) -> None:
    with attempts.attempt(_PLACE):
        synthesis.delete(project, run.id)
        text = f"Run {run.id} is deleted; {amount(run.spent)} came back."
        session.toast_later(text, ":material/check_circle:")


def _ablation(project: Project, chosen: RunView) -> None:
    """Show what the next model gained by synthetic items, or say what brings the answer."""
    found, names = next_ablation(project, chosen)
    if found is None:
        st.caption(
            "What it brings is measured by the next round: the same training with and without "
            "synthetic items, compared on the audit set."
        )
        return
    with st.container(border=True):
        st.markdown(f"**What round {found.round} gained by synthetic items**")
        dark = st.context.theme.type == "dark"
        round_details.ablation(found, names, f"run_{chosen.run.id}", dark)


def next_ablation(project: Project, chosen: RunView) -> tuple[Ablation | None, dict[int, str]]:
    """Return the ablation of the first model made after a run, and the names of the classes."""
    ended = chosen.run.finished_at
    with project.store.read() as unit:
        made = {model.id: model.created_at for model in unit.models.all()}
        names = {one.id: one.name for one in unit.classes.all(archived=True)}
    later = [
        one
        for one in ablations.all_of(project)
        if ended is not None and made[one.model_id] >= ended
    ]
    return (min(later, key=lambda one: made[one.model_id]) if later else None), names
