"""One image in a dialog: its facts, its history, and undo."""

from __future__ import annotations

import time
import uuid
from collections.abc import Sequence

import streamlit as st

from labeller.errors import ImageError, LabellerError
from labeller.project import Project
from labeller.services import generated_marks, labelling, recent, thumbnails
from labeller.services.generated_marks import Mark
from labeller.services.labelling import Act
from labeller.ui import acts, keys, opened, session, view
from labeller.ui.text import escape_markdown
from store.errors import StoreError
from store.records import ClassRecord, EventRecord, ItemRecord, LabelRecord


def show(project: Project, grid: str) -> None:
    """Draw the dialog of the image that was opened in a grid, until it is closed."""
    st.fragment(_show, key=opened.DIALOG)(str(project.root), grid)


def _show(root: str, grid: str) -> None:
    project = recent.opened(root)
    item_id = opened.in_grid(grid)
    if item_id is None:
        return
    with project.store.read() as unit:
        item = unit.items.get(item_id)
    if item is None:
        st.toast("That image is no longer in the project.", icon=":material/info:")
        opened.close()
        return
    title = escape_markdown(labelling.item_name(item))
    st.dialog(title, width="large", on_dismiss=opened.close)(_body)(project, item_id)


def _body(project: Project, item_id: int) -> None:
    """Draw the image, what is known of it, and what happened to it."""
    with project.store.read() as unit:
        item = unit.items.get(item_id)
        label = unit.labels.current(item_id)
        history = unit.labels.history(item_id)
        names = {record.id: record.name for record in unit.classes.all(archived=True)}
        mark = generated_marks.marks(unit, [item_id]).get(item_id)
    if item is None:
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        _image(project, item)
    with right:
        st.markdown(_facts(project, item, label, mark))
        st.markdown("**History**")
        if not history:
            st.caption("Nothing happened to this image yet.")
        with st.container(height=260 if len(history) > 5 else "content", gap="xsmall"):
            for event in reversed(history):
                st.markdown(_line(event, names, time.time()))
        _steps(project, history)
        _label(project, item, history)


def _image(project: Project, item: ItemRecord) -> None:
    try:
        path, _ = thumbnails.thumbnail(project, item, "card")
        small = max(item.width, item.height) < 96
        with st.container(key="lb_item_small" if small else "lb_item_image"):
            st.image(str(path), width="stretch", alt=labelling.item_name(item))
    except (ImageError, OSError) as error:
        st.error(
            f"The image cannot be shown: {escape_markdown(str(error))}", icon=":material/error:"
        )


def _facts(project: Project, item: ItemRecord, label: LabelRecord | None, mark: Mark | None) -> str:
    """Return the facts about an item as Markdown; no prediction, so that the audit stays blind."""
    state = f"**{escape_markdown(label.class_name)}**" if label else item.state.capitalize()
    rows = [
        ("Label", state),
        ("Generated", _generated(mark)) if mark else None,
        (
            "Size",
            f"{item.width:,} × {item.height:,} · {item.format} · {view.size(item.bytes)}",
        ),
        ("Split", item.split),
        ("Group", escape_markdown(item.group)) if item.group != item.sha256 else None,
        ("File", f":small[{escape_markdown(str(project.file(item.path)))}]"),
        ("SHA-256", f":small[{item.sha256[:16]}…]"),
    ]
    return "  \n".join(f":gray[{row[0]}] {row[1]}" for row in rows if row)


def _generated(mark: Mark) -> str:
    """Return a generated label as Markdown."""
    name = f"**{escape_markdown(mark.class_name)}** " if mark.class_name else ""
    return f"{name}:small[{mark.long}]"


def _line(event: EventRecord, names: dict[int, str], now: float) -> str:
    """Return one event as Markdown."""
    what = {
        "label": f"labelled **{escape_markdown(names.get(event.class_id or 0, '?'))}**",
        "skip": "skipped",
        "flag": "flagged",
        "undo": "undid",
        "clear": "label removed",
    }[event.kind]
    reason = f": {escape_markdown(event.reason)}" if event.reason else ""
    strategy = f", {view.strategy_title(event.strategy).lower()}" if event.strategy else ""
    who = f"{escape_markdown(event.annotator)}, {view.ago(event.at, now)}, {event.source}{strategy}"
    text = f"{what}{reason} :gray[:small[{who}]]"
    return f"~~{text}~~" if event.undone else text


def _steps(project: Project, history: list[EventRecord]) -> None:
    """Offer to take back the latest event in force, and to do again what was taken back."""
    mine = session.annotator()
    last = next((e for e in reversed(history) if not e.undone and e.kind not in ("undo",)), None)
    if last is not None:
        other = last.annotator != mine
        if st.button(
            keys.badge(f"Undo the last {last.kind}", "undo"),
            icon=":material/undo:",
            key=f"undo_{last.id}",
            disabled=other,
            help=f"Only {escape_markdown(last.annotator)} can undo it." if other else None,
        ):
            _do(project, Act(uuid.uuid4().hex, "undo", undoes=last.key))
    again = to_do_again(history, mine)
    if again is not None and st.button(
        keys.badge(f"Redo the {again.kind}", "redo"),
        icon=":material/redo:",
        key=f"redo_{again.id}",
    ):
        _do(project, Act(uuid.uuid4().hex, "redo", redoes=again.key))


def to_do_again(history: Sequence[EventRecord], annotator: str) -> EventRecord | None:
    """Return what somebody took back last and may do again; whatever is new ends that."""
    undone: list[EventRecord] = []
    by_id = {event.id: event for event in history}
    for event in history:
        if event.annotator != annotator:
            continue
        if event.kind == "undo":
            undone.append(by_id[event.undoes or 0])
        elif undone and (event.kind, event.class_id) == (undone[-1].kind, undone[-1].class_id):
            undone.pop()
        else:
            undone.clear()
    return undone[-1] if undone else None


def _do(project: Project, act: Act) -> None:
    """Record one event, or say why it was not taken."""
    mine, tab = session.annotator(), session.page_session()
    try:
        answer = labelling.record(project, mine, tab, "page", [act])
        # An undo leases the item to who undid it; here nobody is about to label it.
        labelling.release(project, mine, tab)
    except (LabellerError, StoreError) as error:
        st.error(escape_markdown(str(error)))
        return
    if answer["results"][0]["status"] == "refused":
        st.error(escape_markdown(answer["results"][0]["reason"] or "It was refused."))
        return
    st.rerun()


def _label(project: Project, item: ItemRecord, history: list[EventRecord]) -> None:
    """Let the person label or flag the image, by key too."""
    with project.store.read() as unit:
        classes = {record.id: record for record in unit.classes.all()}

    def give(class_id: int) -> None:
        acts.record(project, acts.relabel(project, [item], session.annotator(), class_id))

    def give_chosen() -> None:
        if (class_id := st.session_state.get(key)) is not None:
            give(class_id)

    def flag() -> None:
        acts.record(project, [acts.act("flag", item, acts.FLAGGED)])

    key = f"item_label_{item.id}_{len(history)}"
    with st.container(horizontal=True, gap="small", vertical_alignment="center"):
        st.selectbox(
            "Label as",
            list(classes),
            index=None,
            format_func=lambda i: keyed(classes[i]),
            placeholder="Label as …",
            label_visibility="collapsed",
            key=key,
            width=190,
            on_change=give_chosen,
        )
        st.button(
            keys.badge("Flag", "flag"), icon=":material/flag:", key="item_flag", on_click=flag
        )
    again = to_do_again(history, session.annotator())
    last = next((e for e in reversed(history) if not e.undone and e.kind != "undo"), None)
    buttons = {"flag": "item_flag"}
    buttons |= {"undo": f"undo_{last.id}"} if last else {}
    buttons |= {"redo": f"redo_{again.id}"} if again else {}
    keys.listen("item", buttons, classes.values(), give)


def keyed(record: ClassRecord) -> str:
    """Return a class with its key, as lists show it."""
    return f"{record.name} · {record.key.upper()}" if record.key else record.name
