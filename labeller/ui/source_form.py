"""The form that asks where images are: in a folder or file of this machine, or in an upload."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import streamlit as st

from labeller.errors import LabellerError
from labeller.project import Project
from labeller.ui import creation, picker, uploads
from labeller.ui.text import escape_markdown
from store.errors import StoreError

FOLDER, UPLOAD = "On this machine", "Upload"
IMAGES = ("jpg", "jpeg", "png", "webp", "gif", "bmp", "tif", "tiff")


@dataclass(frozen=True, slots=True)
class Chosen:
    """What the form says: a `path` as typed, or the `files` of an upload; `wrong` says why not."""

    upload: bool
    path: str
    files: tuple[uploads.Upload, ...]
    wrong: str | None

    @property
    def ready(self) -> bool:
        """Whether there is something to take."""
        return bool(self.files) if self.upload else not self.wrong


def choose(form: str, label: str, types: Sequence[str], upload_help: str, path_help: str) -> Chosen:
    """Ask where the images are.

    Parameters
    ----------
    form : str
        Begins the keys of the widgets.
    label : str
        Of the uploader.
    types : sequence of str
        Suffixes that it takes.
    upload_help, path_help : str
        What becomes of an upload, and what may be named.
    """
    way = st.segmented_control(
        "From",
        [FOLDER, UPLOAD],
        default=FOLDER,
        required=True,
        key=f"{form}_way",
        label_visibility="collapsed",
    )
    if way == UPLOAD:
        files = st.file_uploader(
            label,
            type=list(types),
            accept_multiple_files=True,
            key=f"{form}_files_{st.session_state.get(_round(form), 0)}",
            help=upload_help,
        )
        return Chosen(True, "", tuple(files), None)
    path = picker.folder_field(
        "Folder, zip file or CSV list",
        f"{form}_path",
        placeholder="/data/photos",
        help_text=path_help,
    )
    return Chosen(False, path, (), creation.source_error(path))


def say_what_is_wrong(chosen: Chosen) -> None:
    """Say why the typed path cannot be used."""
    if chosen.path and chosen.wrong:
        st.error(escape_markdown(chosen.wrong), icon=":material/error:")


def machine_sources(chosen: Chosen) -> list[Path]:
    """Return what was typed as a source."""
    return [Path(chosen.path).expanduser()]


def submit(project: Project, form: str, work: Callable[[], object]) -> None:
    """Do what the form's button says and draw the page with its progress, or say why not."""
    try:
        work()
    except (LabellerError, StoreError) as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
    except OSError as error:
        st.error(
            f"The upload cannot be kept in {escape_markdown(str(project.root))} "
            f"({escape_markdown(error.strerror or str(error))}). Free some space and try again.",
            icon=":material/error:",
        )
    else:
        st.session_state[_round(form)] = st.session_state.get(_round(form), 0) + 1
        st.rerun()


def _round(form: str) -> str:
    """Return the key of the number that gives the next upload an empty field."""
    return f"{form}_round"
