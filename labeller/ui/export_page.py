"""The export page: what there is to take along, how it looks, and the file."""

from __future__ import annotations

import io
import shlex
import tempfile
from collections import Counter

import streamlit as st

from labeller.errors import LabellerError
from labeller.project import Project
from labeller.services import classes, exporting, recent
from labeller.ui import address
from labeller.ui.text import escape_markdown
from store.errors import StoreError
from store.records import Counts

FORMATS = {"csv": "CSV", "jsonl": "JSON Lines"}
SOURCES = {"page": "given here", "api": "by the API", "cli": "by a file", "import": "imported"}
_PREVIEW = 6
_COUNT_SOURCES_UP_TO = 50_000


def show(project: Project) -> None:
    """Draw the page."""
    st.title("Export")
    with project.store.read() as unit:
        counts = unit.items.count()
        latest = unit.labels.recent(limit=1)
        accepted = sum(run.accepted for run in unit.generated.all() if run.verdict == "accepted")
    if not counts.labelled and not accepted:
        with st.container(border=True):
            st.markdown("**Nothing to export yet.** Labels appear here as soon as there are some.")
            st.page_link("pages/label.py", label="Label images", icon=":material/ads_click:")
        return
    stamp = latest[0].id if latest else 0
    _summary(project, counts, stamp)
    address.choice("format", "export_format", FORMATS, "csv")
    kind = st.segmented_control(
        "Format",
        list(FORMATS),
        required=True,
        format_func=FORMATS.__getitem__,
        key="export_format",
        help="CSV opens in a spreadsheet; JSON Lines holds every value exactly as it is.",
    )
    kind = kind or "csv"
    generated = bool(accepted) and _generated()
    name = f"{file_stem(project.name)}.{kind}"
    st.download_button(
        f"Download {name}",
        lambda: export_file(project, kind, generated),
        file_name=name,
        mime="text/csv" if kind == "csv" else "application/jsonl",
        type="primary",
        icon=":material/download:",
        key=f"export_{kind}_{generated}",
        on_click="ignore",
    )
    _left_out(project, counts, stamp, generated)
    st.markdown("**First rows**")
    try:
        st.code(preview(project, kind, generated), language="json" if kind == "jsonl" else None)
    except (LabellerError, StoreError) as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
    st.markdown("**The same on the command line**")
    option = " --generated" if generated else ""
    st.code(
        f"labeller export {shlex.quote(str(project.root))} --to {name}{option}", language="bash"
    )


def _left_out(project: Project, counts: Counts, stamp: int, generated: bool) -> None:
    """Name the images whose file holds another one by now: their labels are not exported."""
    if counts.labelled > _COUNT_SOURCES_UP_TO:
        st.caption("With so many labels, the command line says which files hold another image now.")
        return
    for text in _replaced(str(project.root), stamp, generated):
        st.warning(escape_markdown(text), icon=":material/warning:")


@st.cache_data(max_entries=20, ttl=60, show_spinner=False)
def _replaced(root: str, stamp: int, generated: bool) -> list[str]:
    """Look at the files of all labels, not more often than once a minute."""
    del stamp
    names: list[str] = []
    for _ in exporting.export_text(recent.opened(root), "jsonl", generated, names):
        pass
    return list(exporting.notes_on(names))


def _generated() -> bool:
    """Ask whether generated labels come along."""
    return st.checkbox(
        "Add generated labels",
        key="export_generated",
        help="Those of accepted runs, of images that no person labelled. Their provenance is "
        "`generated`, and the columns confidence and run are added. Reading the file again never "
        "makes a person's labels of them.",
    )


def _summary(project: Project, counts: Counts, stamp: int) -> None:
    """Say how many labels there are, by split, class and source."""
    used = sum(1 for number in classes.counts(project).values() if number)
    first, second, third = st.columns(3)
    first.metric("Labels", f"{counts.labelled:,}", border=True, height="stretch")
    second.metric("Classes with labels", f"{used:,}", border=True, height="stretch")
    third.metric("Images without one", f"{counts.items - counts.labelled:,}", border=True)
    left = counts.labelled - (counts.labelled_train + counts.labelled_valid + counts.labelled_audit)
    rest = f" · unused {left:,}" if left else ""
    splits = (
        f"train {counts.labelled_train:,} · valid {counts.labelled_valid:,} · "
        f"audit {counts.labelled_audit:,}{rest}"
    )
    sources = ""
    if 0 < counts.labelled <= _COUNT_SOURCES_UP_TO:
        numbers = _sources(str(project.root), stamp)
        sources = "; " + ", ".join(f"{n:,} {SOURCES.get(s, s)}" for s, n in numbers.items())
    st.caption(f"{splits}{sources}")


@st.cache_data(max_entries=20, show_spinner=False)
def _sources(root: str, stamp: int) -> dict[str, int]:
    """Count the labels by source; `stamp` is the latest event, so that the count stays true."""
    del stamp
    with recent.opened(root).store.read() as unit:
        return dict(Counter(row.source for row in unit.labels.export()).most_common())


def preview(project: Project, kind: str, generated: bool = False) -> str:
    """Return the first lines of an export."""
    pieces = exporting.export_text(project, kind, generated)
    text = next(pieces, b"")
    while text.count(b"\n") < _PREVIEW and (more := next(pieces, None)) is not None:
        text += more
    return "\n".join(text.decode("utf-8").splitlines()[:_PREVIEW])


def export_file(project: Project, kind: str, generated: bool = False) -> io.BufferedReader:
    """Return the whole export as an open temporary file, written piece by piece."""
    file = tempfile.TemporaryFile()  # noqa: SIM115 - Streamlit reads and closes it
    for piece in exporting.export_text(project, kind, generated):
        file.write(piece)
    file.seek(0)
    return io.BufferedReader(file.detach())  # Streamlit takes no file that can be written


def file_stem(name: str) -> str:
    """Return a project's name as the beginning of a file name."""
    clean = "".join(c if c.isalnum() or c in "-_" else "-" for c in name).strip("-")
    return f"{clean or 'project'}-labels"
