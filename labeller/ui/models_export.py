"""The part of the models page that exports a model: files, how they compare, the card."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import streamlit as st

from labeller.project import Project
from labeller.services import model_card, model_shelf
from labeller.services.model_shelf import CARD, CLASSES, Check, Export, Shelved
from labeller.ui import attempts, view
from labeller.ui import evaluation_words as words

FORMATS = {
    "onnx": "ONNX",
    "int8": "8-bit ONNX, for small devices",
    "fastai": "fastai learner",
}
LOSES = 0.01  # of the accuracy; with more a file is warned about
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
            "Each file is compared with the model on the audit set before you get it, and comes "
            "with a model card."
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
    for check in export.checks:
        if check.model_accuracy - check.accuracy >= LOSES:
            st.warning(
                f"{check.name} is right on {view.percent(check.accuracy)}, the model on "
                f"{view.percent(check.model_accuracy)}: take it only where its size matters more.",
                icon=":material/warning:",
            )
    for reason in export.failed.values():
        st.warning(reason, icon=":material/error:")
    where = f"{view.count(export.n, 'image')} of the {export.split} split"
    st.caption(f"Compared on {where}. The files, with the model card, are in:")
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


def check_rows(checks: Sequence[Check]) -> list[dict[str, Any]]:
    """Return a row for each file."""
    return [
        {
            "File": check.name,
            "Size": view.size(check.bytes),
            "Accuracy": view.percent(check.accuracy),
            "Against the model": f"{words.points(check.accuracy - check.model_accuracy)} points",
            "Same class": view.percent(check.agree),
            "Largest difference": f"{check.largest:.2g}",
        }
        for check in checks
    ]


_HELPS = {
    "Accuracy": st.column_config.TextColumn(help="Of the file, on the images named below."),
    "Against the model": st.column_config.TextColumn(
        help="Its accuracy less that of the model itself on the same images."
    ),
    "Same class": st.column_config.TextColumn(
        help="Share of the images to which file and model give the same class."
    ),
    "Largest difference": st.column_config.TextColumn(
        help="Of any probability, which is 0 to 1, between file and model."
    ),
}


def _export(project: Project, model: int, formats: tuple[str, ...]) -> None:
    with attempts.attempt(_PLACE):
        model_shelf.start_export(project, model, formats)
