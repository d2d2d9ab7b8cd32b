"""The classes page: the table of classes and the panel that changes one."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Any
from urllib.parse import quote

import streamlit as st

from labeller.project import Project
from labeller.services import classes
from labeller.ui import attempts, creation, keys, session, view
from labeller.ui.choosing import chosen_row
from labeller.ui.text import escape_markdown
from store.records import ClassRecord

_PLACE = "classes"
_CHOSEN = "classes_chosen"
_EXPLAINED = 5  # classes that cannot have the key of their name, told below the table


def show(project: Project) -> None:
    """Draw the page."""
    records = classes.listed(project)
    counts = classes.counts(project)
    head = st.container(
        horizontal=True, horizontal_alignment="distribute", vertical_alignment="center"
    )
    head.title("Classes", width="content")
    with head:
        _steps(project)
    attempts.show_error(_PLACE)
    if not records:
        st.markdown("No classes yet. Add the names that an image can get, one per line.")
        _add(project, expanded=True)
        _log(project)
        return
    left, right = st.columns([3, 2], gap="medium")
    with left:
        chosen = _table(records, counts)
        _add(project, expanded=False)
    with right:
        _editor(project, records, counts, chosen)
    _log(project)


def _table(records: list[ClassRecord], counts: dict[int, int]) -> ClassRecord:
    """Draw the classes with their counts and return the chosen one (the first to begin with)."""
    most = max(1, *counts.values()) if counts else 1
    order = [record.id for record in records]
    before = st.session_state.get(_CHOSEN)
    total = sum(counts.values())
    st.caption(f"{view.count(len(records), 'class', 'classes')}, {view.count(total, 'label')}")
    rows = [
        {
            "Colour": swatch(record.colour),
            "Key": record.key or "–",
            "Class": record.name,
            "Labels": counts.get(record.id, 0),
        }
        for record in records
    ]
    place = chosen_row(
        rows,
        key=f"classes_table_{hash(tuple(order))}",
        first=order.index(before) if before in order else 0,
        most=12,
        height=460,
        row_height=36,
        columns={
            "Colour": st.column_config.ImageColumn("", width=40),
            "Key": st.column_config.TextColumn(width=50),
            "Class": st.column_config.TextColumn(width=190),
            "Labels": st.column_config.ProgressColumn(
                format="localized", min_value=0, max_value=most, width=150
            ),
        },
    )
    for class_id, why in list(classes.explain_keys(records).items())[:_EXPLAINED]:
        name = next(record.name for record in records if record.id == class_id)
        st.caption(escape_markdown(f"“{name}”: {why}"))
    st.session_state[_CHOSEN] = records[place].id
    return records[place]


def swatch(colour: str) -> str:
    """Return a round spot of a colour (``#rrggbb``) as an image address."""
    svg = (
        '<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 20 20">'
        f'<circle cx="10" cy="10" r="8" fill="{colour}" stroke="#808080"/></svg>'
    )
    return f"data:image/svg+xml,{quote(svg)}"


def _add(project: Project, expanded: bool) -> None:
    """Add classes, many at once."""
    with (
        st.expander("Add classes", icon=":material/add:", expanded=expanded, key="classes_add_box"),
        st.form("classes_add", clear_on_submit=True, border=False),
    ):
        text = st.text_area("Names, one per line", key="classes_names", placeholder="cat\ndog")
        if st.form_submit_button("Add", type="primary", icon=":material/add:"):
            _try(lambda: classes.add(project, creation.names_in(text)))


def _editor(
    project: Project, records: list[ClassRecord], counts: dict[int, int], record: ClassRecord
) -> None:
    """Change the chosen class."""
    with st.container(border=True):
        st.subheader(escape_markdown(record.name))
        with st.form(f"class_{record.id}", border=False):
            name = st.text_input("Name", value=record.name, max_chars=classes.LONGEST)
            left, right = st.columns(2, vertical_alignment="bottom", wrap=False)
            used = {c.key: c.name for c in records if c.key and c.id != record.id}
            choices = [None, *classes.KEYS]
            key = left.selectbox(
                "Key",
                choices,
                index=choices.index(record.key) if record.key in choices else 0,
                format_func=lambda k: key_text(k, used),
                help="Pressed on the labelling page, it gives this label.",
            )
            colour = right.color_picker("Colour", value=record.colour)
            if st.form_submit_button("Save", type="primary", icon=":material/check:"):
                _try(lambda: _save(project, record, name, key, colour))
        _order(project, records, record)
        _merge(project, records, counts, record)
        _archive(project, counts, record)


def key_text(key: str | None, used: dict[str, str]) -> str:
    """Return a key as the list shows it: with the class that has it."""
    if key is None:
        return "none"
    return f"{key} · {used[key]}" if key in used else key


def _save(project: Project, record: ClassRecord, name: str, key: str | None, colour: str) -> None:
    """Store what was changed in the form, nothing else."""
    if name.strip() != record.name:
        classes.rename(project, record.id, name)
    if key != record.key:
        classes.set_key(project, record.id, key)
    if colour.lower() != record.colour:
        classes.set_colour(project, record.id, colour)


def _order(project: Project, records: list[ClassRecord], record: ClassRecord) -> None:
    """Move the class in the list."""
    place = [c.id for c in records].index(record.id)
    with st.container(horizontal=True, gap="small"):
        for text, icon, to in (
            ("Up", "arrow_upward", place - 1),
            ("Down", "arrow_downward", place + 1),
            ("To the top", "vertical_align_top", 0),
        ):
            st.button(
                text,
                icon=f":material/{icon}:",
                key=f"move_{text}_{record.id}",
                disabled=not 0 <= to < len(records) or to == place,
                on_click=attempts.tried,
                args=(_PLACE, lambda to=to: classes.move(project, record.id, to)),
            )


def _merge(
    project: Project, records: list[ClassRecord], counts: dict[int, int], record: ClassRecord
) -> None:
    """Merge the class into another, after its counts were shown."""
    others = {c.id: c for c in records if c.id != record.id}
    if not others:
        return
    with st.expander("Merge into another class", icon=":material/merge:"):
        target = st.selectbox(
            "Merge into",
            list(others),
            index=None,
            format_func=lambda i: others[i].name,
            key=f"merge_into_{record.id}",
            placeholder="Choose a class",
        )
        if target is None:
            return
        mine, theirs = counts.get(record.id, 0), counts.get(target, 0)
        st.markdown(
            f"{view.count(mine, 'label')} of **{escape_markdown(record.name)}** will count as "
            f"**{escape_markdown(others[target].name)}**, which then has {mine + theirs:,}. "
            "It can be undone."
        )
        if st.button("Merge", type="primary", key=f"merge_{record.id}"):
            _try(lambda: classes.merge(project, record.id, target))


def _archive(project: Project, counts: dict[int, int], record: ClassRecord) -> None:
    """Take the class out of use."""
    with st.expander("Archive", icon=":material/archive:"):
        labels = counts.get(record.id, 0)
        kept = f" Its {view.count(labels, 'label')} stay." if labels else ""
        st.markdown(f"No image can get an archived class any more.{kept} It can be undone.")
        if st.button("Archive", key=f"archive_{record.id}"):
            _try(lambda: classes.archive(project, record.id))


def _steps(project: Project) -> None:
    """Offer to take the latest change back, and to do again what was taken back."""
    undo, redo = classes.next_undo(project), classes.next_redo(project)
    with st.container(horizontal=True, gap="small", width="content"):
        _step(project, "Undo", undo, classes.undo_last_change)
        _step(project, "Redo", redo, classes.redo_last_change)
        keys.listen("classes", {"undo": "classes_undo", "redo": "classes_redo"})


def _step(
    project: Project,
    word: str,
    step: classes.Step | None,
    take: Callable[[Project, int], str | None],
) -> None:
    """Offer one of the two; where it puts labels out of use, only after that was said."""
    key, icon = f"classes_{word.lower()}", f":material/{word.lower()}:"
    if step is None:
        st.button(f"Nothing to {word.lower()}", icon=icon, key=key, disabled=True)
        return
    label = keys.badge(f"{word}: {escape_markdown(short(step.change.text))}", word.lower())

    def done() -> None:
        text = take(project, step.change.number)
        if text:
            session.toast_later(f"{word[:-1]}one: {escape_markdown(short(text))}", icon)

    if not step.labels:
        st.button(label, icon=icon, key=key, on_click=attempts.tried, args=(_PLACE, done))
        return
    with st.container(key=key, width="content"):
        # Another step is another popover: the one before does not stay open.
        asked = st.popover(label, icon=icon, key=f"{key}_asks_{step.change.number}_{step.labels}")
    with asked:
        st.markdown(consequence(step))
        st.button(
            f"{word} all the same",
            type="primary",
            key=f"{key}_now",
            on_click=attempts.tried,
            args=(_PLACE, done),
        )


def consequence(step: classes.Step) -> str:
    """Say what becomes of labels, as Markdown."""
    names = ", ".join(f"**{escape_markdown(name)}**" for name in step.classes)
    given, images = view.count(step.labels, "label"), view.count(step.images, "image")
    return (
        f"This archives {names}, which {'has' if len(step.classes) == 1 else 'have'} {given} on "
        f"{images}. The labels stay in the history, but no model is trained on them and no image "
        f"can get {'this class' if len(step.classes) == 1 else 'these classes'} until this is "
        f"taken back, with all its labels."
    )


def short(text: str, longest: int = 48) -> str:
    """Cut a text that is too long for a button."""
    return text if len(text) <= longest else f"{text[: longest - 1].rstrip()}…"


def _log(project: Project) -> None:
    """Show what was changed and when."""
    changes = classes.changes(project)
    if not changes:
        return
    with st.expander("Changes", icon=":material/history:"):
        for change in changes:
            text = escape_markdown(change.text)
            line = f"~~{text}~~" if change.undone else text
            st.markdown(f"{line} :gray[:small[{view.ago(change.at, time.time())}]]")


def _try(action: Callable[[], Any]) -> None:
    """Change something and draw the page anew; an error is shown there."""
    attempts.tried(_PLACE, action)
    st.rerun()
