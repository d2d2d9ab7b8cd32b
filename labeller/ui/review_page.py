"""The review page: look for labels that may be wrong, and decide about them by key."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence

import streamlit as st

from labeller.errors import LabellerError
from labeller.project import Project
from labeller.services import cleaning, recent
from labeller.services.cleaning import Decision, Review, Suspect
from labeller.ui import decided, picture, session, unfamiliar, view
from labeller.ui.decided import Done
from labeller.ui.text import escape_markdown
from store.errors import StoreError
from store.records import ClassRecord

WHY = {
    cleaning.LABEL_ERROR: "Models that never saw this image disagree with its label, by more than "
    "they usually err (confident learning).",
    cleaning.TWIN: "Another image looks the same and has another label.",
    cleaning.LOSS: "Models that never saw this image find another class likelier.",
}
SEALED = (
    "Five models are trained, each without a fifth of the training and validation labels, and "
    "asked about those. The audit set stays sealed: it is not searched."
)
DONE = {
    "keep": "Kept",
    "relabel": "Relabelled",
    "flag": "Flagged",
    "put aside": "Put aside",
}
_PAGE = "review"


def show(project: Project) -> None:
    """Draw the page."""
    st.title("Review")
    if unfamiliar.chosen():
        unfamiliar.show(project)
        return
    with project.store.read() as unit:
        running = bool(unit.jobs.active(cleaning.KIND))
        labelled = unit.items.count().labelled
    found = cleaning.review(project)
    _head(project, found, running, labelled)
    if found is not None:
        st.fragment(_deciding)(str(project.root))


def _head(project: Project, found: Review | None, running: bool, labelled: int) -> None:
    """Say what was searched, and offer to search (again)."""
    if found is None:
        with st.container(border=True):
            st.markdown(
                "**Labels are wrong now and then.** Let models that have not seen a label say "
                "which ones they doubt, and look at those again: keep, relabel, flag or put "
                "aside, one key each."
            )
            st.caption(SEALED)
            _search(project, "Find doubtful labels", running, labelled)
        return
    with st.container(horizontal=True, vertical_alignment="center"):
        since = f"; {view.count(found.outdated, 'label')} given since" if found.outdated else ""
        st.caption(
            f"{view.count(found.checked, 'label')} searched {view.ago(found.at, time.time())}, "
            f"{view.count(found.label_errors, 'likely error')} found{since}.",
            help=SEALED,
            width="stretch",
        )
        _search(project, "Search again", running, labelled)


def _search(project: Project, text: str, running: bool, labelled: int) -> None:
    hindrance = "The search is on; see the side bar." if running else None
    hindrance = hindrance or (None if labelled else "Label some images first.")
    st.button(
        text,
        key="review_search",
        icon=":material/troubleshoot:",
        type="secondary" if text == "Search again" else "primary",
        disabled=hindrance is not None,
        help=hindrance,
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
    decided.show_error(_PAGE)
    passed = decided.passed(project, _PAGE)
    waiting = [one for one in found.open if one.item.id not in passed]
    total, left = len(found.suspects), len(found.open)
    st.progress((total - left) / total if total else 1.0, f"{total - left:,} of {total:,} decided")
    if waiting:
        _suspect(project, waiting[0], classes)
    else:
        _nothing(project, total, left)


def _nothing(project: Project, total: int, passed: int) -> None:
    with st.container(border=True):
        if passed:
            st.markdown(f"**Only what you passed over is left** ({passed}).")
            st.button(
                "Show them again",
                icon=":material/replay:",
                on_click=decided.passed(project, _PAGE).clear,
            )
        elif total:
            st.markdown("**All decided.** Retrain, and search again when there are more labels.")
        else:
            st.markdown("**No doubtful label.** The models agree with every label they were shown.")
        _undo_button(project)


def _suspect(project: Project, one: Suspect, classes: Mapping[int, ClassRecord]) -> None:
    """Draw the image, why it is suspected, and the decisions."""
    with project.store.read() as unit:
        twin = unit.items.get(one.twin) if one.twin is not None else None
        other = unit.labels.current(one.twin) if one.twin is not None else None
    left, right = st.columns([3, 2], gap="large")
    with left:
        pictures = st.columns(2) if twin is not None else [st.container()]
        with pictures[0]:
            picture.show(project, one.item)
        if twin is not None:
            with pictures[1]:
                picture.show(project, twin)
                name = other.class_name if other else "not labelled"
                st.caption(f"Looks the same, labelled **{escape_markdown(name)}**")
    with right:
        with st.container(key="lb_review_why"):
            _question(one, classes)
        _decisions(project, one, classes)


def _question(one: Suspect, classes: Mapping[int, ClassRecord]) -> None:
    """Say what the label is, what the models think, and why that matters."""
    label, suggested = (classes[i].name for i in (one.label, one.suggested))
    st.markdown(f"#### Is this really **{escape_markdown(label)}**?")
    if one.suggested != one.label:
        share = view.percent(one.confidence, 0)
        st.markdown(f"The models think **{escape_markdown(suggested)}** ({share}).")
    for kind in one.kinds:
        if kind != cleaning.LOSS or len(one.kinds) == 1:
            st.caption(WHY[kind])


def _decisions(project: Project, one: Suspect, classes: Mapping[int, ClassRecord]) -> None:
    """Draw a button for each decision, with its key."""
    others = [c.id for c in classes.values() if not c.archived and c.id != one.label]
    chosen = one.suggested if one.suggested in others else None
    with st.container(gap="small"):
        st.button(
            "Keep the label",
            shortcut="k",
            type="primary",
            width="stretch",
            key="review_keep",
            on_click=_decide,
            args=(project, one, "keep"),
        )
        if chosen is not None:
            st.button(
                f"It is {escape_markdown(classes[chosen].name)}",
                shortcut="l",
                width="stretch",
                key="review_relabel",
                on_click=_decide,
                args=(project, one, "relabel", chosen),
            )
        _another(project, one, [i for i in others if i != chosen], classes)
        with st.container(horizontal=True, gap="small"):
            for decision, text, key in (("flag", "Flag", "f"), ("put_aside", "Put aside", "a")):
                st.button(
                    text,
                    shortcut=key,
                    width="stretch",
                    key=f"review_{decision}",
                    help=_HELPS[decision],
                    on_click=_decide,
                    args=(project, one, decision),
                )
        with st.container(horizontal=True, gap="small"):
            st.button(
                "Pass",
                shortcut="n",
                width="stretch",
                key="review_pass",
                on_click=decided.passed(project, _PAGE).append,
                args=(one.item.id,),
            )
            _undo_button(project)


_HELPS = {
    "flag": "Somebody else should look at it; until then it is not trained on.",
    "put_aside": "It is none of the classes: it keeps no label and is not trained on.",
}


def _another(
    project: Project, one: Suspect, others: Sequence[int], classes: Mapping[int, ClassRecord]
) -> None:
    """Offer the classes that the models do not suggest."""
    if not others:
        return
    st.selectbox(
        "Another class",
        others,
        index=None,
        format_func=lambda i: classes[i].name,
        placeholder="It is another class …",
        label_visibility="collapsed",
        key=f"review_class_{one.item.id}",
        on_change=_relabel_chosen,
        args=(project, one),
    )


def _relabel_chosen(project: Project, one: Suspect) -> None:
    chosen = st.session_state.get(f"review_class_{one.item.id}")
    if chosen is not None:
        _decide(project, one, "relabel", chosen)


def _decide(
    project: Project, one: Suspect, decision: Decision, class_id: int | None = None
) -> None:
    """Record a decision."""

    def record() -> None:
        name, tab = session.annotator(), session.page_session()
        keys = cleaning.decide(project, one, decision, name, tab, class_id)
        text = DONE[decision.replace("_", " ")].lower()
        decided.past(project, _PAGE).append(Done(text, one.item.id, keys))

    decided.attempt(_PAGE, record)


def _undo_button(project: Project) -> None:
    def take_back(done: Done) -> None:
        cleaning.undo(project, done.keys, session.annotator(), session.page_session())

    decided.undo_button(project, _PAGE, take_back)
