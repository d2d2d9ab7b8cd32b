"""The second part of the review page: images that look like nothing the model has seen."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import streamlit as st

from labeller.project import Project
from labeller.services import energies, labelling, recent, unfamiliar
from labeller.services.unfamiliar import Listing, Unfamiliar
from labeller.ui import address, attempts, decided, keys, picture, plots, session, view
from labeller.ui import item as item_dialog
from labeller.ui.grid import Tile, grid
from labeller.ui.text import escape_markdown
from store.records import ClassRecord

if TYPE_CHECKING:
    from plotly.graph_objects import Figure

LABELS, IMAGES = "Doubtful labels", "Unfamiliar images"
BUTTONS = 9  # classes that have one; more would push the rest out of sight
_PAGE = "unfamiliar"
_GRID = "unfamiliar_grid"
_BINS = 60
_EXPLAINED = (
    "The energy says how strongly anything in an image speaks for any of the classes; it is high "
    "for images unlike all that was trained on, however sure the model is (Liu et al. 2020)."
)


def chosen() -> bool:
    """Let the person choose between the two parts of the page; True for the images."""
    address.choice("part", "review_part", (LABELS, IMAGES), LABELS, lambda _: "unfamiliar")
    part = st.segmented_control(
        "What to review",
        (LABELS, IMAGES),
        required=True,
        key="review_part",
        label_visibility="collapsed",
    )
    return part == IMAGES


def show(project: Project) -> None:
    """Draw the most unfamiliar image with what can be decided; as a fragment, quick by key."""
    st.fragment(_deciding, key=_GRID)(str(project.root))
    item_dialog.show(project, _GRID)


def _deciding(root: str) -> None:
    project = recent.opened(root)
    found = unfamiliar.listing(project)
    attempts.show_error(_PAGE)
    if found.why_not is not None:
        _nothing_known(found)
        return
    st.caption(heading(found), help=_EXPLAINED)
    passed = decided.passed(project, _PAGE)
    waiting = [one for one in found.shown if one.item.id not in passed]
    if waiting:
        with project.store.read() as unit:
            classes = unit.classes.all(archived=True)
        _one(project, waiting[0], classes)
    else:
        _nothing_left(project, len(found.shown))
        _listen(project, None)
    _histogram(found)
    if len(waiting) > 1:
        _rest(project, waiting[1:], found.total)


def heading(found: Listing) -> str:
    """Say how many images are listed, and how the limit was drawn and proves itself."""
    known = found.familiarity
    looks = "looks" if found.total == 1 else "look"
    text = f"{view.count(found.total, 'unlabelled image')} {looks} like nothing seen"
    if known is None:
        return f"{text}."
    return f"{text}: {energies.told(known)} (model of round {found.round_number})."


def _nothing_known(found: Listing) -> None:
    """Say why nothing is listed and what to do."""
    with st.container(border=True):
        st.markdown(
            "**Some images show none of your classes.** Those that look like nothing the model has "
            "seen are listed here: label them, or put them aside as “none of these”."
        )
        st.markdown(escape_markdown(found.why_not or ""))
        st.page_link("pages/label.py", label="Label images", icon=":material/ads_click:")


def _nothing_left(project: Project, passed: int) -> None:
    with st.container(border=True):
        if passed:
            st.markdown(f"**Only what you passed over is left** ({passed}).")
            st.button(
                "Show them again",
                icon=":material/replay:",
                key="unfamiliar_again",
                on_click=decided.passed(project, _PAGE).clear,
            )
        else:
            st.markdown("**No unlabelled image looks unfamiliar.** Every one is like those seen.")
        with st.container(horizontal=True, gap="small"):
            _step_buttons(project)


def _one(project: Project, one: Unfamiliar, classes: list[ClassRecord]) -> None:
    """Draw an image and a button for every class, with its key."""
    left, right = st.columns([3, 2], gap="large")
    with left:
        picture.show(project, one.item)
    with right:
        name = next(c.name for c in classes if c.id == one.suggested)
        st.markdown("#### Is this one of your classes?")
        st.caption(
            f"Energy {_written(one.energy)}. The model would say {escape_markdown(name)} "
            f"({view.percent(one.confidence, 0)})."
        )
        usable = [c for c in classes if not c.archived]
        with st.container(gap="small", key="lb_decide"):
            _class_buttons(project, one, usable)
            st.button(
                keys.badge("None of these", "reject"),
                type="primary",
                width="stretch",
                key="unfamiliar_none",
                help="It is put aside: it keeps no label and is not trained on.",
                on_click=_decide,
                args=(project, one.item.id, None),
            )
            decided.pass_button(project, _PAGE, one.item.id)
            with st.container(horizontal=True, gap="small"):
                _step_buttons(project)
            _listen(project, one)


def _written(energy: float) -> str:
    return f"{energy:.2f}".replace("-", "−")


def _class_buttons(project: Project, one: Unfamiliar, classes: list[ClassRecord]) -> None:
    """Offer some classes as buttons, and the others from a list; each has its key all the same."""
    with st.container(horizontal=True, gap="small"):
        for record in classes[:BUTTONS]:
            st.button(
                keys.written(escape_markdown(record.name), record.key),
                key=f"unfamiliar_class_{record.id}",
                on_click=_decide,
                args=(project, one.item.id, record.id),
            )
    others = {record.id: record.name for record in classes[BUTTONS:]}
    if others:
        st.selectbox(
            "Another class",
            list(others),
            index=None,
            format_func=others.__getitem__,
            placeholder="It is another class …",
            label_visibility="collapsed",
            key=f"unfamiliar_other_{one.item.id}",
            on_change=_decide_chosen,
            args=(project, one.item.id),
        )


def _decide_chosen(project: Project, item_id: int) -> None:
    class_id = st.session_state.get(f"unfamiliar_other_{item_id}")
    if class_id is not None:
        _decide(project, item_id, class_id)


def _decide(project: Project, item_id: int, class_id: int | None) -> None:
    """Record a decision."""
    with attempts.attempt(_PAGE):
        name, tab = session.annotator(), session.page_session()
        unfamiliar.decide(project, item_id, class_id, name, tab)


def _listen(project: Project, one: Unfamiliar | None) -> None:
    """Let keys decide about the image that is shown, if one is."""
    with project.store.read() as unit:
        classes = unit.classes.all() if one is not None else []

    def is_class(class_id: int) -> None:
        if one is not None:
            _decide(project, one.item.id, class_id)

    buttons = {
        "skip": "unfamiliar_pass",
        "reject": "unfamiliar_none",
        "undo": "unfamiliar_undo",
        "redo": "unfamiliar_redo",
    }
    keys.listen(_PAGE, buttons, classes, is_class)


def _step_buttons(project: Project) -> None:
    with project.store.read() as unit:
        names = {record.id: record.name for record in unit.classes.all(archived=True)}
    decided.step_buttons(
        project, _PAGE, lambda step: names.get(step.said.class_id or 0, "None of these")
    )


def _histogram(found: Listing) -> None:
    """Draw the energies of the pool with the limit."""
    if not len(found.pool):
        return
    dark = st.context.theme.type == "dark"
    box = st.expander(
        "Energies of the unlabelled images",
        icon=":material/bar_chart:",
        key="unfamiliar_energies",
        on_change="rerun",
    )
    if box.open:  # a closed one costs nothing at each key
        box.plotly_chart(
            histogram(found, dark),
            theme="streamlit",
            config=plots.CONFIG,
            key=f"unfamiliar_histogram_{dark}",
            alt="How many unlabelled images have which energy, and the limit",
        )


def histogram(found: Listing, dark: bool) -> Figure:
    """Return the energies of the pool as bars, with the limit as a line."""
    import plotly.graph_objects as go

    numbers, edges = np.histogram(found.pool, _BINS)
    figure = go.Figure(
        go.Bar(
            x=(edges[:-1] + edges[1:]) / 2,
            y=numbers,
            width=np.diff(edges),
            marker={"color": plots.LINES[dark][0], "line": {"width": 0}},
            hovertemplate="energy %{x:.2f}: <b>%{y:,}</b><extra></extra>",
        )
    )
    if found.familiarity is not None and found.familiarity.threshold is not None:
        figure.add_vline(
            x=found.familiarity.threshold,
            line={"color": plots.LINES[dark][1], "dash": "dash"},
            annotation_text="unfamiliar from here",
        )
    figure.update_xaxes(title="Energy: higher is less like anything seen")
    figure.update_yaxes(title="Images", tickformat=",d")
    return plots.laid_out(figure, 260)


def _rest(project: Project, others: list[Unfamiliar], total: int) -> None:
    """Show what comes next; a double click or Enter opens one with its history."""
    more = f", the first {len(others):,} of {total - 1:,}" if total - 1 > len(others) else ""
    st.markdown(f"**Next** :gray[most unfamiliar first{more}]")
    tiles = [
        Tile(
            id=one.item.id,
            name=labelling.item_name(one.item),
            image=labelling.image_url(project, one.item),
            width=one.item.width,
            height=one.item.height,
            note=f"energy {_written(one.energy)}",
        )
        for one in others
    ]
    grid(project, session.annotator(), tiles, key=_GRID, reset=0, pixels=130)
