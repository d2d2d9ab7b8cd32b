"""The part of the models page that exports a model: files, how they compare, the card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from labeller.project import Project
from labeller.services import export_check, model_card, model_shelf
from labeller.services.export_check import Check
from labeller.services.model_shelf import CARD, CLASSES, Export, Shelved
from labeller.ui import attempts, view

FORMATS = {
    "onnx": "ONNX",
    "int8": "8-bit ONNX, for small devices",
    "fastai": "fastai learner",
}
_PLACE = "models_export"


def show(project: Project, one: Shelved) -> None:
    """Offer the formats, and below them what was exported."""
    st.markdown("##### Export")
    with project.store.read() as unit:
        running = bool(unit.jobs.active(model_shelf.KIND))
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        formats = st.pills(
            "Formats",
            list(FORMATS),
            default=list(FORMATS)[:2],
            selection_mode="multi",
            format_func=FORMATS.__getitem__,
            key="models_formats",
            label_visibility="collapsed",
        )
        st.button(
            "Export",
            icon=":material/deployed_code:",
            key="models_export",
            disabled=running or not formats,
            help="An export is on; see the side bar." if running else None,
            on_click=_export,
            args=(project, one.model.id, tuple(formats)),
        )
    attempts.show_error(_PLACE)
    if one.export is None:
        st.caption(
            "Each file is compared with the model before you get it, and comes with a model card."
        )
    else:
        exported(one.export)


def card(project: Project, one: Shelved) -> None:
    """Show the model's card, and offer it as a file."""
    box = st.expander(
        "Model card", icon=":material/description:", key="models_card", on_change="rerun"
    )
    if not box.open:  # it measures the model
        return
    with box:
        text = model_card.of(project, one.model, one.export)
        st.download_button(
            f"Download {CARD}",
            text,
            file_name=f"model-{one.model.id}-{CARD}",
            mime="text/markdown",
            icon=":material/download:",
            on_click="ignore",
        )
        st.markdown(_shown(text))


def _shown(text: str) -> str:
    """Return the Markdown of a card for a page: smaller headings, no names of colours or icons."""
    smaller = text.replace("\n## ", "\n##### ").replace("# ", "#### ", 1)
    return re.sub(r":(?=[a-z+-])", ":\u2060", smaller)  # Streamlit would read :red as a colour


def exported(export: Export) -> None:
    """Show how the exported files compare with the model, and offer them."""
    st.dataframe(check_rows(export.checks), hide_index=True, column_config=_HELPS)
    for said in filter(None, map(export_check.warning, export.checks)):
        st.warning(said, icon=":material/warning:")
    for reason in export.failed.values():
        st.warning(reason, icon=":material/error:")
    st.caption(
        f"Accuracy is measured on {view.count(export.n, 'labelled image')} of {export.split}"
        f"{_others(export)}. The files, with the model card, are in:"
    )
    st.code(str(export.folder), language=None)
    with st.container(horizontal=True, gap="small"):
        for path in _files(export):
            st.download_button(
                f"{path.name} · {view.size(path.stat().st_size)}",
                partial(path.open, "rb"),
                file_name=path.name,
                mime="application/octet-stream",
                icon=":material/download:",
                key=f"models_download_{path.name}",
                on_click="ignore",
            )


def _files(export: Export) -> list[Path]:
    """Return the files of an export that are there."""
    names = [*(check.name for check in export.checks), CLASSES, CARD]
    return [path for name in names if (path := export.folder / name).is_file()]


def _others(export: Export) -> str:
    """Say on how many images classes and probabilities were compared, where that was kept."""
    most = max((check.compared or 0 for check in export.checks), default=0)
    return f", the rest on {view.count(most, 'image')}" if most else ""


def check_rows(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Return a row for each file."""
    return [
        {
            "File": check.name,
            "Size": view.size(check.bytes),
            "Against the model": f"{export_check.interval(check)} points",
            "Same class": view.percent(check.agree),
            "99 % within": "" if check.far is None else f"{check.far:.2g}",
            "Largest difference": f"{check.largest:.2g}",
        }
        for check in checks
    ]


_HELPS = {
    "Against the model": st.column_config.TextColumn(
        help="Its accuracy less that of the model itself on the same labelled images, with the "
        "95 % interval of a paired comparison."
    ),
    "Same class": st.column_config.TextColumn(
        help="Share of the images to which file and model give the same class."
    ),
    "99 % within": st.column_config.TextColumn(
        help="On 99 % of the images no probability, which is 0 to 1, differs by more."
    ),
    "Largest difference": st.column_config.TextColumn(
        help="Of any probability between file and model, on any image."
    ),
}


def _export(project: Project, model: int, formats: tuple[str, ...]) -> None:
    with attempts.attempt(_PLACE):
        model_shelf.start_export(project, model, formats)
