"""The leak guard on the evaluation page: near-duplicates that were brought into one split."""

from __future__ import annotations

import time
from html import escape

import streamlit as st

from labeller.project import Project
from labeller.services import labelling, leak_guard
from labeller.services.leak_guard import Guarded, Twin
from labeller.ui import attempts, session, view
from labeller.ui.evaluation_gallery import thumbnail_html
from labeller.ui.text import escape_markdown
from store.records import ItemRecord
from store.records_leaks import RegroupingRecord

PAGE = 12
_PLACE = "leaks"


def show(project: Project) -> None:
    """Say what was found; list the regroupings, with images and a way back."""
    st.subheader("Leak guard", help="No near-duplicate of a training image may measure a model.")
    found = leak_guard.overview(project)
    st.markdown(escape_markdown(summary(found, project.settings.leak_distance)))
    attempts.show_error(_PLACE)
    runs = [run for run in found.runs if run.joined or run.apart]
    if not runs:
        return
    names = {run.id: title(run) for run in runs}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        chosen = st.selectbox(
            "Regrouping", list(names), format_func=names.__getitem__, key=f"leaks_run_{len(runs)}"
        )
        run = next(run for run in runs if run.id == chosen)
        _way_back(project, run)
    _remarks(run)
    _gallery(project, run)


def summary(found: Guarded, distance: float) -> str:
    """Return what the guard found, in plain text."""
    if not distance:
        return "The leak guard is off: set the leak distance on the Settings page."
    looks = found.links.get("hash", 0) + found.links.get("mirror", 0)
    close = found.links.get("embedding", 0)
    if not looks + close:
        if found.checked is None:
            return "Images are compared when they are imported, and by embeddings in each round."
        return f"No near-duplicates were found (embeddings closer than {distance:g})."
    text = (
        f"{view.count(looks + close, 'near-duplicate')} found: {looks:,} that look the same or "
        f"mirrored, {close:,} by embeddings closer than {distance:g}. Each shares the split of "
        f"its twin."
    )
    if found.unused:
        text += (
            f" {view.count(found.unused, 'image')} that would measure what a strategy picked "
            f"{'is' if found.unused == 1 else 'are'} in no split."
        )
    return text


def title(run: RegroupingRecord) -> str:
    """Return a regrouping in a line."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.at))
    parts = [f"{run.joined:,} joined", f"{run.moved:,} moved", f"{run.unused:,} unused"]
    if run.apart:
        parts.append(f"{run.apart:,} left apart")
    back = " · taken back" if run.undone_at else ""
    return f"{run.id} · {when} · {', '.join(parts)}{back}"


def _way_back(project: Project, run: RegroupingRecord) -> None:
    """Offer to take a regrouping back."""
    if run.undone_at or not run.joined:
        return
    with st.popover("Take back", icon=":material/undo:", key=f"leaks_undo_{run.id}"):
        st.markdown(
            f"{view.count(run.joined, 'image')} get their old groups and splits again, and are not "
            "brought together any more. Labelled images that left the audit set stay in training: "
            "a model may have learned from them."
        )
        st.button(
            "These are no near-duplicates",
            key=f"leaks_undo_now_{run.id}",
            type="primary",
            on_click=_undo,
            args=(project, run.id),
        )


def _remarks(run: RegroupingRecord) -> None:
    """Say what a person should know of a regrouping besides its images."""
    if run.undone_at:
        st.caption("Taken back: these images are not brought together again.")
    if run.apart:
        st.caption(
            f"{view.count(run.apart, 'pair')} of near-duplicates stayed apart: a chain of them "
            "would have joined too many images in one group. A smaller leak distance breaks chains."
        )


def _undo(project: Project, number: int) -> None:
    with attempts.attempt(_PLACE):
        changed = leak_guard.undo(project, number)
        session.toast_later(f"{view.count(changed, 'image')} put back.", ":material/undo:")


def _gallery(project: Project, run: RegroupingRecord) -> None:
    """Draw the changed images beside their twins, a page at a time."""
    pages = max(1, -(-run.joined // PAGE))
    page = 1
    if pages > 1:
        page = st.pagination(pages, key=f"leaks_page_{run.id}_{pages}")
    twins = leak_guard.twins(project, run.id, (page - 1) * PAGE, PAGE)
    pairs = "".join(_pair(project, one) for one in twins)
    st.html(f'<div class="lb-twins" role="list">{pairs}</div>')


def _pair(project: Project, twin: Twin) -> str:
    """Return an image beside its twin as HTML."""
    before, after = twin.change.split_before, twin.change.split_after
    moved = f"{before} → {after}" if before != after else f"stays in {after}"
    images = _image(project, twin.item) + (_image(project, twin.other) if twin.other else "")
    return (
        f'<figure role="listitem"><div>{images}</div>'
        f"<figcaption><b>{escape(moved)}</b><span>{escape(why(twin))}</span></figcaption></figure>"
    )


def _image(project: Project, item: ItemRecord) -> str:
    return thumbnail_html(project, item, escape(labelling.item_name(item), quote=True))


def why(twin: Twin) -> str:
    """Say what made the guard think that two images are near-duplicates."""
    if twin.link is None:
        return "by another image of its group"
    if twin.link.method == "hash":
        return f"looks the same: {twin.link.distance:.0f} of 256 bits differ"
    if twin.link.method == "mirror":
        return f"mirrored: {twin.link.distance:.0f} of 256 bits differ"
    return f"embeddings {twin.link.distance:.2f} apart"
