"""The images of the project: filters, a grid, and what can be done with the chosen ones."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import streamlit as st

from labeller.project import Project
from labeller.services import generated_marks, labelling, recent
from labeller.services.generated_marks import Mark
from labeller.services.labelling import Act
from labeller.services.steps import Step
from labeller.ui import acts, address, attempts, browse_filters, decided, keys, session, view
from labeller.ui import item as item_dialog
from labeller.ui.browse_filters import Filters
from labeller.ui.grid import Tile, grid
from store.records import ClassRecord, EventKind, ItemRecord
from store.store import Unit

PAGE = 60
NO_REFUND = "The history keeps it; the budget is not refunded."
_GRID = "lb_grid"
_RESET = "browse_reset"


def show(project: Project) -> None:
    """Draw filters and grid; they run as a fragment, so that choosing never draws the page anew."""
    st.fragment(_show, key=_GRID)(str(project.root))
    item_dialog.show(project, _GRID)


def _show(root: str) -> None:
    session.show_toasts()
    attempts.show_error(acts.PAGE)
    address.begin_part("page")
    project = recent.opened(root)
    with project.store.read() as unit:
        classes = {record.id: record for record in unit.classes.all()}
        counts = unit.items.count()
        generated = unit.generated_labels.count()
    filters, pixels = browse_filters.draw(counts, generated, classes)
    kinds = (filters.state, filters.class_id, filters.split, filters.text, filters.generated)
    with project.store.read() as unit:
        total = unit.items.page_count(*kinds)
    if not total:
        _nothing(filters)
        with st.container(horizontal=True, gap="small"):
            _steps(project, classes)
        _listen(project, (), classes)
        address.write()
        return
    top = st.container(horizontal=True, vertical_alignment="center", gap="xsmall", key="lb_actions")
    page = _page_number(filters, total)
    with project.store.read() as unit:
        items = unit.items.page(
            *kinds,
            order=filters.order,  # type: ignore[arg-type]
            offset=(page - 1) * PAGE,
            limit=PAGE,
        )
        made = generated_marks.marks(unit, [item.id for item in items])
        tiles = [_tile(project, unit, item, classes, made.get(item.id)) for item in items]
    selected = grid(
        project,
        session.annotator(),
        tiles,
        key=_GRID,
        reset=st.session_state.get(_RESET, 0),
        pixels=pixels,
    )
    with top:
        _actions(project, selected, {i.id: i for i in items}, classes)
    chosen = set(selected)
    _listen(project, [item for item in items if item.id in chosen], classes)
    address.write()


def _nothing(filters: Filters) -> None:
    """Say that no image matches, and how to see some."""
    with st.container(border=True, horizontal_alignment="center"):
        st.markdown(
            "No image matches these filters."
            if any(
                (filters.state, filters.generated, filters.class_id, filters.split, filters.text)
            )
            else "No images yet: import some above."
        )


def _page_number(filters: Filters, total: int) -> int:
    """Draw the pages below the grid's head; another filter begins at page 1."""
    pages = max(1, -(-total // PAGE))
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.caption(view.count(total, "image"))
        key = f"browse_page_{hash(filters)}_{pages}"
        address.number("page", key, 1, pages)
        return 1 if pages == 1 else st.pagination(pages, key=key)


def _tile(
    project: Project,
    unit: Unit,
    item: ItemRecord,
    classes: dict[int, ClassRecord],
    mark: Mark | None,
) -> Tile:
    """Turn an item into a thumbnail with its label, or what else it is."""
    label = unit.labels.current(item.id) if item.state == "labelled" else None
    known = classes.get(label.class_id) if label else None
    return Tile(
        id=item.id,
        name=labelling.item_name(item),
        image=labelling.image_url(project, item),
        width=item.width,
        height=item.height,
        label=label.class_name if label else None,
        colour=known.colour if known else None,
        note=mark.short if mark else item.state if item.state in ("skipped", "flagged") else None,
    )


def _actions(
    project: Project,
    selected: Sequence[int],
    items: dict[int, ItemRecord],
    classes: dict[int, ClassRecord],
) -> None:
    """Offer what can be done with the selected images; the row is always there: nothing jumps."""
    chosen = [items[i] for i in selected]
    none = not chosen
    st.markdown(f"**{len(chosen)}** selected" if chosen else ":gray[Nothing selected]")
    class_id = st.selectbox(
        "Label as",
        list(classes),
        index=None,
        format_func=lambda i: classes[i].name,
        key="browse_label_as",
        placeholder="Label as …",
        label_visibility="collapsed",
        width=150,
        disabled=none,
    )
    st.button(
        "Label",
        type="primary",
        key="browse_label",
        disabled=none or class_id is None,
        on_click=_label,
        args=(project, chosen, class_id),
    )
    _other_actions(project, chosen)
    _steps(project, classes)


def _steps(project: Project, classes: Mapping[int, ClassRecord]) -> None:
    """Offer to take back what was done last, to however many images, and to do it again."""
    decided.step_buttons(
        project, acts.PAGE, lambda step: told(step, classes), wide=False, hints=False
    )


def _listen(
    project: Project, chosen: Sequence[ItemRecord], classes: Mapping[int, ClassRecord]
) -> None:
    """Let keys do the same."""
    buttons = {"flag": "browse_flag", "undo": "images_undo", "redo": "images_redo"}

    def is_class(class_id: int) -> None:
        if chosen:
            _label(project, chosen, class_id)

    keys.listen("images", buttons, classes.values(), is_class)


def _other_actions(project: Project, chosen: Sequence[ItemRecord]) -> None:
    """Offer flag, put back and remove label."""
    held = [item for item in chosen if item.state in ("skipped", "flagged")]
    labelled = [item for item in chosen if item.state == "labelled"]
    for text, icon, key, kind, items, help_text in (
        (
            keys.badge("Flag", "flag"),
            "",
            "browse_flag",
            "flag",
            chosen,
            "Set aside: no strategy picks it.",
        ),
        ("Put back", "", "browse_back", "clear", held, "Skipped and flagged images only."),
        ("Remove label", "", "browse_clear", "clear", labelled, NO_REFUND),
    ):
        st.button(
            text,
            icon=f":material/{icon}:" if icon else None,
            key=key,
            disabled=not items,
            help=help_text,
            on_click=_do,
            args=(project, kind, items),
        )


def _label(project: Project, items: Sequence[ItemRecord], class_id: int) -> None:
    """Give the chosen images a class."""
    _record(project, acts.relabel(project, items, session.annotator(), class_id))


def _do(project: Project, kind: EventKind, items: Sequence[ItemRecord]) -> None:
    """Flag the chosen images, or take their label, skip or flag away."""
    reason = acts.FLAGGED if kind == "flag" else None
    _record(project, [acts.act(kind, item, reason) for item in items])


def told(step: Step, classes: Mapping[int, ClassRecord]) -> str:
    """Say what a step did: ``12 × cat``, ``flag``."""
    said = step.said
    what = {"label": "label", "flag": "flag", "clear": "removed"}.get(said.kind, said.kind)
    if said.class_id is not None and said.class_id in classes:
        what = classes[said.class_id].name
    number = len(step.items)
    return f"{number:,} × {what}" if number > 1 else what


def _record(project: Project, done: Sequence[Act]) -> None:
    """Store events and clear the selection."""
    acts.record(project, done)
    st.session_state[_RESET] = st.session_state.get(_RESET, 0) + 1
