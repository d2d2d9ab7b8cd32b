"""The review page: look for labels that may be wrong, and decide about them by key."""

from __future__ import annotations

import time

import streamlit as st

from labeller.errors import LabellerError
from labeller.project import Project
from labeller.services import cleaning, recent
from labeller.services.cleaning import Review, Suspect
from labeller.ui import address, attempts, decided, review_suspect, session, unfamiliar, view
from labeller.ui.review_suspect import PAGE
from labeller.ui.text import escape_markdown
from store.errors import StoreError

SEALED = (
    "Five models are trained, each without a fifth of the training and validation labels, and "
    "asked about those. The audit set stays sealed: it is not searched."
)
ALL = "all"
TITLES = {
    ALL: "All",
    cleaning.LABEL_ERROR: "Strong doubts",
    cleaning.TWIN: "Near-duplicates",
    cleaning.LOSS: "High losses",
}


def show(project: Project) -> None:
    """Draw the page."""
    st.title("Review")
    with st.container(horizontal=True, horizontal_alignment="distribute"):
        images = unfamiliar.chosen()
        found = None if images else cleaning.review(project)
        if found is not None:
            _search(project, "Search again")
    if images:
        unfamiliar.show(project)
    elif found is None:
        _invitation(project)
    else:
        st.fragment(_deciding)(str(project.root))


def _invitation(project: Project) -> None:
    """Say what a search is for, and offer the first."""
    with st.container(border=True):
        st.markdown(
            "**Labels are wrong now and then.** Let models that have not seen a label say "
            "which ones they doubt, and look at those again: keep, relabel, flag or put "
            "aside, one key each."
        )
        st.caption(SEALED)
        _search(project, "Find doubtful labels")


def summary(found: Review, now: float) -> str:
    """Say how far the review is, and what was searched."""
    text = (
        f"{len(found.suspects) - len(found.open):,} of {len(found.suspects):,} decided · "
        f"{view.count(found.checked, 'label')} searched {view.ago(found.at, now)}"
    )
    if found.outdated:
        text += f"; {view.count(found.outdated, 'label')} given since"
    if found.confirmed:
        text += f"; {found.confirmed:,} kept in an earlier review left out"
    return text


def unjudged(found: Review) -> str | None:
    """Say how many labels no model could judge, why, and the mend; None when there are none."""
    if not found.unjudged:
        return None
    return (
        f"{view.count(found.unjudged, 'label')} could not be judged, only compared with "
        f"near-duplicates: the models that were not to see them had no other label of their class "
        f"to learn from, or of one class only. Label more images of rare classes, from other "
        f"groups, and search again."
    )


def _search(project: Project, text: str) -> None:
    with project.store.read() as unit:
        running = bool(unit.jobs.active(cleaning.KIND))
        counts = unit.items.count()
    labelled = counts.labelled_train + counts.labelled_valid
    hindrance = "The search is on; see the side bar." if running else None
    if hindrance is None and labelled < cleaning.FEWEST:
        missing = view.count(cleaning.FEWEST - labelled, "more image")
        hindrance = f"Label {missing} outside the audit set first."
    st.button(
        text,
        key="review_search",
        icon=":material/troubleshoot:",
        type="secondary" if text == "Search again" else "primary",
        disabled=hindrance is not None,
        help=hindrance or SEALED,
        on_click=_start,
        args=(project,),
    )
    if hindrance and not running:
        st.caption(hindrance)
        st.page_link("pages/label.py", label="Label images", icon=":material/ads_click:")


def _start(project: Project) -> None:
    try:
        cleaning.start(project)
    except (LabellerError, StoreError) as error:
        session.toast_later(escape_markdown(str(error)), ":material/error:")


def _deciding(root: str) -> None:
    """Show the worst suspect that nobody decided on; a decision draws only this anew."""
    project = recent.opened(root)
    found = cleaning.review(project)
    if found is None:
        return
    with project.store.read() as unit:
        classes = {record.id: record for record in unit.classes.all(archived=True)}
    attempts.show_error(PAGE)
    passed = decided.passed(project, PAGE)
    wanted = _wanted(found)
    waiting = [one for one in wanted if one.decision is None and one.item.id not in passed]
    total, left = len(found.suspects), len(found.open)
    st.progress((total - left) / total if total else 1.0, summary(found, time.time()))
    if (note := unjudged(found)) is not None:
        st.caption(note)
    for text in found.notes:
        st.warning(escape_markdown(text), icon=":material/warning:")
    if waiting:
        review_suspect.show(project, waiting[0], classes)
    else:
        _nothing(project, total, sum(one.decision is None for one in wanted), left)
        review_suspect.listen(project, None, classes)
    address.write()


def _wanted(found: Review) -> list[Suspect]:
    """Let the person look at one kind of suspects only; those by loss the highest first."""
    by_kind = {ALL: list(found.suspects)}
    for kind in review_suspect.WHY:
        if suspects := [one for one in found.suspects if kind in one.kinds]:
            by_kind[kind] = suspects
    if len(by_kind) < 3:
        return by_kind[ALL]

    def counted(kind: str) -> str:
        return f"{TITLES[kind]} {sum(one.decision is None for one in by_kind[kind]):,}"

    address.choice("kind", "review_kind", by_kind, ALL)
    chosen = st.segmented_control(
        "Which labels",
        list(by_kind),
        required=True,
        format_func=counted,
        key="review_kind",
        label_visibility="collapsed",
    )
    kind = chosen or ALL
    wanted = by_kind[kind]
    return sorted(wanted, key=lambda one: -(one.loss or 0.0)) if kind == cleaning.LOSS else wanted


def _nothing(project: Project, total: int, passed: int, left: int) -> None:
    with st.container(border=True):
        if passed:
            st.markdown(f"**Only what you passed over is left** ({passed}).")
            st.button(
                "Show them again",
                icon=":material/replay:",
                on_click=decided.passed(project, PAGE).clear,
            )
        elif left:
            st.markdown(f"**All of this kind are decided.** {left:,} of other kinds are left.")
        elif total:
            st.markdown("**All decided.** Retrain, and search again when there are more labels.")
        else:
            st.markdown("**No doubtful label.** The models agree with every label they were shown.")
        with st.container(horizontal=True, gap="small"):
            review_suspect.step_buttons(project)
