"""The leak guard on the evaluation page: near-duplicates that were brought into one split."""

from __future__ import annotations

import time
from html import escape

import streamlit as st

from labeller.perceptual_hash import BITS
from labeller.project import Project
from labeller.services import labelling, leak_guard
from labeller.services.leak_guard import Guarded, Twin
from labeller.ui import address, attempts, session, view
from labeller.ui.evaluation_gallery import thumbnail_html
from labeller.ui.text import escape_markdown
from store.records import ItemRecord
from store.records_leaks import RegroupingRecord

PAGE = 12
COLUMNS = 3
_PLACE = "leaks"
STRATIFIED = (
    "Splits are drawn class by class where labels came with the images, at random within a class: "
    "each class has its share of the audit set, and the intervals are rather too wide than too "
    "narrow."
)


def show(project: Project) -> None:
    """Say what was found; list the regroupings, with images and a way back."""
    st.subheader(
        "Leak guard", help="Near-duplicates of training images should not measure a model."
    )
    if project.settings.split_method == "stratified":
        st.caption(STRATIFIED)
    found = leak_guard.overview(project)
    st.markdown(escape_markdown(summary(found, project.settings.leak_distance)))
    if found.apart:
        st.warning(escape_markdown(warning(found.apart)), icon=":material/call_split:")
    attempts.show_error(_PLACE)
    runs = [run for run in found.runs if run.joined]
    if not runs:
        return
    again = leak_guard.done_again(project)
    names = {run.id: title(run, again.get(run.id)) for run in runs}
    with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
        key = f"leaks_run_{len(runs)}"
        address.choice("regrouping", key, names, runs[0].id)
        chosen = st.selectbox("Regrouping", list(names), format_func=names.__getitem__, key=key)
        run = next(run for run in runs if run.id == chosen)
        _way_back(project, run)
        _way_forth(project, run)
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
        return f"No near-duplicates share a group (embeddings closer than {distance:g})."
    text = (
        f"{view.count(looks + close, 'near-duplicate')} found that share the split of their twin: "
        f"{looks:,} look the same, mirrored, cropped or turned a little, "
        f"{close:,} have embeddings closer than {distance:g}."
    )
    if found.unused:
        text += (
            f" {view.count(found.unused, 'image')} near the audit set "
            f"{'is' if found.unused == 1 else 'are'} in no split: to train on "
            f"{'it' if found.unused == 1 else 'them'} would flatter the model."
        )
    if found.unused_labels:
        text += (
            f" {view.count(found.unused_labels, 'label')} of such images neither "
            f"{'trains nor measures' if found.unused_labels == 1 else 'train nor measure'} a model."
        )
    return text


def warning(apart: int) -> str:
    """Say what it means that pairs stayed apart, in plain text."""
    return (
        f"{view.count(apart, 'pair')} of near-duplicates lie in two splits: together their "
        f"groups would hold too many of the images, as with a camera that never moves, or they "
        f"were taken back. Where there are many, the accuracy is that on images like those learned "
        f"from, and too good for others: give bursts, days or videos a group of their own when you "
        f"import."
    )


def title(run: RegroupingRecord, again: int | None = None) -> str:
    """Return a regrouping in a line; `again` is the one that it does again."""
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(run.at))
    what = "import" if run.job_id is None else "round"
    what = what if again is None else f"{again} done again"
    parts = [f"{run.joined:,} joined", f"{run.moved:,} moved", f"{run.unused:,} unused"]
    if run.undone:
        parts.append(f"{run.undone:,} taken back")
    return f"{run.id} · {when} · {what} · {', '.join(parts)}"


def _way_back(project: Project, run: RegroupingRecord) -> None:
    """Offer to take a whole regrouping back."""
    if run.undone >= run.joined:
        return
    with st.popover("Take all back", icon=":material/undo:", key=f"leaks_undo_{run.id}"):
        st.markdown(
            f"{view.count(run.joined - run.undone, 'image')} get their old groups and splits "
            "again, and are not brought together any more. What left the audit set and was seen "
            "since stays in training: a model may have learned from it."
        )
        st.button(
            "None of these are near-duplicates",
            key=f"leaks_undo_now_{run.id}",
            type="primary",
            on_click=_undo,
            args=(project, run.id),
        )


def _way_forth(project: Project, run: RegroupingRecord) -> None:
    """Offer to do again what was taken back of a regrouping."""
    with project.store.read() as unit:
        groups = sum(len(keys) for keys in unit.regroupings.taken_back(run.id).values())
    if not groups:
        return
    with st.popover("Redo", icon=":material/redo:", key=f"leaks_redo_{run.id}"):
        st.markdown(
            f"{view.count(groups, 'group')} taken out {'is' if groups == 1 else 'are'} put "
            "together with what they look like again, as a new regrouping, which can be taken back "
            "too. Images that would join the audit set are in no split then."
        )
        st.button(
            "They are near-duplicates after all",
            key=f"leaks_redo_now_{run.id}",
            type="primary",
            on_click=_redo,
            args=(project, run.id),
        )


def _redo(project: Project, number: int, anchor: int | None = None) -> None:
    with attempts.attempt(_PLACE):
        new = leak_guard.redo(project, number, anchor)
        text = f"{view.count(new.joined, 'image')} put together again: regrouping {new.id}."
        session.toast_later(text, ":material/redo:")


def _undo(project: Project, number: int, anchor: int | None = None) -> None:
    with attempts.attempt(_PLACE):
        changed = leak_guard.undo(project, number, anchor)
        session.toast_later(f"{view.count(changed, 'image')} put back.", ":material/undo:")


def _gallery(project: Project, run: RegroupingRecord) -> None:
    """Draw the changed images beside their twins, a page at a time, each with its way back."""
    pages = max(1, -(-run.joined // PAGE))
    key = f"leaks_page_{run.id}_{pages}"
    address.number("page", key, 1, pages)
    page = st.pagination(pages, key=key) if pages > 1 else 1
    twins = leak_guard.twins(project, run.id, (page - 1) * PAGE, PAGE)
    for first in range(0, len(twins), COLUMNS):
        for column, twin in zip(st.columns(COLUMNS), twins[first : first + COLUMNS], strict=False):
            with column:
                st.html(_pair(project, twin))
                if twin.change.undone_at is not None:
                    _taken_back(project, run, twin)
                    continue
                st.button(
                    "Not the same",
                    icon=":material/undo:",
                    type="tertiary",
                    key=f"leaks_part_{run.id}_{twin.change.item_id}",
                    help="Take this group apart; its images are not brought together again.",
                    on_click=_undo,
                    args=(project, run.id, twin.change.anchor_id),
                )


def _taken_back(project: Project, run: RegroupingRecord, twin: Twin) -> None:
    """Say that a group was taken apart; offer to put it together again, where that can be."""
    st.caption("Taken back")
    if twin.item.group == twin.change.group_before:
        st.button(
            "The same after all",
            icon=":material/redo:",
            type="tertiary",
            key=f"leaks_join_{run.id}_{twin.change.item_id}",
            help="Put this group together again, as a new regrouping.",
            on_click=_redo,
            args=(project, run.id, twin.change.anchor_id),
        )


def _pair(project: Project, twin: Twin) -> str:
    """Return an image beside its twin as HTML."""
    before, after = twin.change.split_before, twin.change.split_after
    moved = f"{before} → {after}" if before != after else f"stays in {after}"
    images = _image(project, twin.item) + (_image(project, twin.other) if twin.other else "")
    return (
        f'<figure class="lb-twins"><div>{images}</div>'
        f"<figcaption><b>{escape(moved)}</b><span>{escape(why(twin))}</span></figcaption></figure>"
    )


def _image(project: Project, item: ItemRecord) -> str:
    return thumbnail_html(project, item, escape(labelling.item_name(item), quote=True))


def why(twin: Twin) -> str:
    """Say what made the guard think that two images are near-duplicates."""
    if twin.link is None:
        return "by another image of its group"
    if twin.link.method == "hash" and twin.link.distance > BITS:
        return "the same picture, cropped or turned"
    if twin.link.method == "hash":
        return f"looks the same: {twin.link.distance:.0f} of 256 bits differ"
    if twin.link.method == "mirror":
        return f"mirrored: {twin.link.distance:.0f} of 256 bits differ"
    return f"embeddings {twin.link.distance:.2f} apart"
