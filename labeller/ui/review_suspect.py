"""One doubted label on the review page: its image, why it is doubted, and the decisions by key."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from labeller.project import Project
from labeller.services import cleaning
from labeller.services.cleaning import Decision, Suspect
from labeller.services.steps import Step
from labeller.ui import attempts, decided, keys, picture, session, view
from labeller.ui.text import escape_markdown
from store.records import ClassRecord

PAGE = "review"
DONE = {
    "keep": "Kept",
    "relabel": "Relabelled",
    "flag": "Flagged",
    "put aside": "Put aside",
}
WHY = {
    cleaning.LABEL_ERROR: "Models that never saw this image disagree with its label, by more than "
    "they usually err (confident learning).",
    cleaning.TWIN: "Another image looks the same and has another label.",
    cleaning.LOSS: "Models that never saw this image find another class likelier.",
}


def show(project: Project, one: Suspect, classes: Mapping[int, ClassRecord]) -> None:
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
        with st.container(gap="small", key="lb_decide"):
            _classes(project, one, classes, None if other is None else other.class_id)
            _others(project, one)
            with st.container(horizontal=True, gap="small"):
                step_buttons(project)
            listen(project, one, classes)


def _question(one: Suspect, classes: Mapping[int, ClassRecord]) -> None:
    """Say what the label is, what the models think, and why that matters."""
    label = escape_markdown(classes[one.label].name)
    st.markdown(f"#### Is this really **{label}**?")
    if one.suggested is None or one.confidence is None:
        st.markdown("The models had no label of this class to compare with, or of this class only.")
    elif one.suggested != one.label:
        suggested = escape_markdown(classes[one.suggested].name)
        st.markdown(f"The models think **{suggested}** ({view.percent(one.confidence, 0)}).")
    for kind in one.kinds:
        if kind != cleaning.LOSS or len(one.kinds) == 1:
            st.caption(WHY[kind])


def _classes(
    project: Project, one: Suspect, classes: Mapping[int, ClassRecord], other: int | None
) -> None:
    """Offer the label, what speaks against it (the models, else the `other` image), and the rest.

    A button each with its key, and a list.
    """
    st.button(
        keys.badge(f"Keep the label: {escape_markdown(classes[one.label].name)}", "accept"),
        type="primary",
        width="stretch",
        key="review_keep",
        on_click=_decide,
        args=(project, one, "keep"),
    )
    possible = [c.id for c in classes.values() if not c.archived and c.id != one.label]
    against = next((i for i in (one.suggested, other) if i is not None and i in possible), None)
    if against is not None:
        st.button(
            keys.written(f"It is {escape_markdown(classes[against].name)}", classes[against].key),
            width="stretch",
            key="review_relabel",
            on_click=_decide,
            args=(project, one, "relabel", against),
        )
    _another(project, one, [i for i in possible if i != against], classes)


def _others(project: Project, one: Suspect) -> None:
    """Offer the decisions that leave the image without a label, and to leave it for later."""
    flag, aside, later = st.columns([3, 4, 3], gap="small", wrap=False)
    for place, decision, text, command in (
        (flag, "flag", "Flag", "flag"),
        (aside, "put_aside", "Put aside", "reject"),
    ):
        place.button(
            keys.badge(text, command),
            width="stretch",
            key=f"review_{decision}",
            help=_HELPS[decision],
            on_click=_decide,
            args=(project, one, decision),
        )
    with later:
        decided.pass_button(project, PAGE, one.item.id)


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
    with attempts.attempt(PAGE):
        name, tab = session.annotator(), session.page_session()
        cleaning.decide(project, one, decision, name, tab, class_id)


def listen(project: Project, one: Suspect | None, classes: Mapping[int, ClassRecord]) -> None:
    """Let keys decide about the label that is shown, if one is."""

    def is_class(class_id: int) -> None:
        if one is not None:
            _decide(project, one, *_decision(one, class_id))

    buttons = {
        "accept": "review_keep",
        "skip": "review_pass",
        "flag": "review_flag",
        "reject": "review_put_aside",
        "undo": "review_undo",
        "redo": "review_redo",
    }
    keys.listen(PAGE, buttons, classes.values() if one is not None else (), is_class)


def _decision(one: Suspect, class_id: int) -> tuple[Decision, int | None]:
    """Return what it means that an image is of a class: its own class keeps the label."""
    return ("keep", None) if class_id == one.label else ("relabel", class_id)


def step_buttons(project: Project) -> None:
    """Offer to take the latest decision back, or to make it again."""
    decided.step_buttons(project, PAGE, lambda step: DONE.get(_reason(step), "decided").lower())


def _reason(step: Step) -> str:
    return (step.said.reason or "").removeprefix(cleaning.REASON)
