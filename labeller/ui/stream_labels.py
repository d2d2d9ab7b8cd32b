"""The labels that a run generated, as thumbnails: by confidence, one class or all."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from labeller.project import Project
from labeller.services import labelling, recent
from labeller.ui import address, session, view
from labeller.ui import item as item_dialog
from labeller.ui.grid import Tile, grid
from store.records import ClassRecord, ItemRecord
from store.records_made import AuditAnswer

PAGE = 48
PIXELS, WIDER = 130, 170
ORDERS = {"unsure": "Least sure first", "sure": "Surest first"}
MOST_WRONG = 120  # a run with more wrong ones than this is one to roll back

Ints = NDArray[np.int64]
Accepted = tuple[Ints, Ints, NDArray[np.float64]]


def browse(project: Project, run_id: int, accepted: int) -> None:
    """Draw the grid; as a fragment, so that a filter does not draw the page anew.

    Parameters
    ----------
    project : Project
    run_id : int
    accepted : int
        How many labels the run has generated so far.
    """
    if not accepted:
        st.caption("This run has generated no label.")
        return
    key = f"stream_grid_{run_id}"
    st.fragment(_browse, key=key)(str(project.root), run_id, accepted, key)
    item_dialog.show(project, key)


def _browse(root: str, run_id: int, accepted: int, key: str) -> None:
    project = recent.opened(root)
    with project.store.read() as unit:
        classes = {record.id: record for record in unit.classes.all(archived=True)}
        targets = unit.classes.targets()
        sealed = unit.generated_labels.audit_open(run_id)
    ids, raw, sure = _accepted(root, run_id, accepted)
    resolved = np.array([targets[one] for one in raw.tolist()], np.int64)
    class_id, order = _filters(classes, resolved, run_id)
    wanted = ~np.isin(ids, sealed)
    if class_id:
        wanted &= resolved == class_id
    chosen = np.flatnonzero(wanted)
    chosen = chosen[sorted_places(sure[chosen], order)]
    page = _page(len(chosen), len(sealed), f"{run_id}_{class_id}_{order}")
    places = chosen[(page - 1) * PAGE : page * PAGE]
    with project.store.read() as unit:
        items = unit.items.many(ids[places].tolist())
        tiles = []
        for place in places.tolist():
            item, shown = items[int(ids[place])], classes[int(resolved[place])]
            label = unit.labels.current(item.id) if item.state == "labelled" else None
            said = classes[label.class_id] if label else None
            tiles.append(_tile(project, item, shown, caption(shown, float(sure[place]), said)))
    grid(project, session.annotator(), tiles, key=key, reset=0, pixels=PIXELS)
    address.write()


@st.cache_data(max_entries=4, show_spinner=False)
def _accepted(root: str, run_id: int, accepted: int) -> Accepted:
    """Read what a run accepted; `accepted` is their number, so that a run that goes on is new."""
    del accepted
    with recent.opened(root).store.read() as unit:
        return unit.generated_labels.accepted(run_id)


def sorted_places(confidences: NDArray[np.float64], order: str) -> Ints:
    """Return the places of confidences (N,) in order; equal ones keep theirs."""
    keys = confidences if order == "unsure" else -confidences
    return np.argsort(keys, kind="stable")


def _filters(classes: dict[int, ClassRecord], resolved: Ints, run_id: int) -> tuple[int, str]:
    """Draw the filters and return the class (0 for all) and the order."""
    numbers = Counter(resolved.tolist())
    row = st.container(horizontal=True, vertical_alignment="bottom", gap="small")
    known = [0, *(i for i in classes if i in numbers)]
    address.choice("class", f"stream_class_{run_id}", known, 0)
    class_id = row.selectbox(
        "Class",
        known,
        format_func=lambda i: f"{classes[i].name} {numbers[i]:,}" if i else "All classes",
        key=f"stream_class_{run_id}",
        width=200,
    )
    address.choice("order", f"stream_order_{run_id}", ORDERS, "unsure")
    order = row.selectbox(
        "Order",
        list(ORDERS),
        format_func=ORDERS.__getitem__,
        key=f"stream_order_{run_id}",
        width=180,
    )
    return int(class_id or 0), order or "unsure"


def _page(total: int, sealed: int, key: str) -> int:
    """Say how many there are and let the person turn pages."""
    pages = max(1, -(-total // PAGE))
    hidden = f" · {sealed:,} not shown: they wait to be checked blind" if sealed else ""
    with st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    ):
        st.caption(f"{view.count(total, 'generated label')}{hidden}")
        place = f"stream_page_{key}_{pages}"
        address.number("page", place, 1, pages)
        return 1 if pages == 1 else st.pagination(pages, key=place)


def caption(generated: ClassRecord, sure: float, said: ClassRecord | None) -> str:
    """Return what stands below a thumbnail: the label, how sure, and what a person said since."""
    if said is None:
        return f"{view.percent(sure, 0)} {generated.name}"
    return f"{generated.name} ✓" if said.id == generated.id else f"{generated.name} → {said.name}"


def disagreements(project: Project, run_id: int, answers: Sequence[AuditAnswer]) -> None:
    """Show the checked items whose generated label a person did not confirm.

    Parameters
    ----------
    project : Project
    run_id : int
    answers : sequence of AuditAnswer
        All that were checked, or more.
    """
    wrong = [one for one in answers if one.generated != one.truth]
    if not wrong:
        return
    key = f"stream_wrong_{run_id}"
    st.fragment(_disagreements, key=key)(str(project.root), wrong, key)
    item_dialog.show(project, key)


def _disagreements(root: str, wrong: list[AuditAnswer], key: str) -> None:
    project = recent.opened(root)
    more = f", the first {MOST_WRONG} of {len(wrong):,}" if len(wrong) > MOST_WRONG else ""
    st.markdown(f"**Where you disagreed** :gray[generated → said{more}]")
    shown = wrong[:MOST_WRONG]
    with project.store.read() as unit:
        classes = {record.id: record for record in unit.classes.all(archived=True)}
        items = unit.items.many([one.item_id for one in shown])
    tiles = [
        _tile(
            project,
            items[one.item_id],
            classes[one.truth],
            f"{classes[one.generated].name} → {classes[one.truth].name}",
        )
        for one in shown
    ]
    grid(project, session.annotator(), tiles, key=key, reset=0, pixels=WIDER)


def _tile(project: Project, item: ItemRecord, shown: ClassRecord, text: str) -> Tile:
    return Tile(
        id=item.id,
        name=labelling.item_name(item),
        image=labelling.image_url(project, item),
        width=item.width,
        height=item.height,
        label=text,
        colour=shown.colour,
    )
