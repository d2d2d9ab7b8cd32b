"""The start page: the ways into a project."""

from __future__ import annotations

import time
from pathlib import Path

import streamlit as st

from labeller.errors import DatabaseError, LabellerError
from labeller.project import Project, is_project
from labeller.services import recent
from labeller.services.import_sources import Labels
from labeller.ui import creation, folders, picker, recovery, session, view
from labeller.ui.text import escape_markdown
from store.errors import StoreError

DEMO_FOLDER = "demo"
TYPED, FOLDERS = "Type them", "Sub-folders are the classes"
_SHOWN = 8
_PREVIEW = 40


def show(error: str | None) -> None:
    """Draw the page."""
    with st.container(key="lb_start", width=1080):
        st.title("Labeller")
        st.markdown("Spend your labels where they teach the model most.")
        broken = session.broken_project()
        if error and broken is not None:
            recovery.show(broken)
        elif error:
            st.error(escape_markdown(error), icon=":material/error:")
        known = recent.recent()
        if known:
            _recent(known)
        left, right = st.columns([2, 3], gap="medium")
        with left:
            _demo()
            _existing()
        with right:
            _new()
    session.show_toasts()


def _enter(project: Project) -> None:
    """Go into a project; the navigation then begins at its first page."""
    session.open(project.root)
    st.rerun()


def _demo() -> None:
    """Offer the demo in one press."""
    folder = creation.projects_folder() / DEMO_FOLDER
    there = is_project(folder)
    with st.container(border=True):
        st.subheader("Try the demo")
        st.markdown(
            "3,000 small pictures of clothes (Fashion-MNIST), some labelled already. "
            "No network needed; ready to label in a few seconds."
        )
        label = "Go on with the demo" if there else "Open the demo"
        if st.button(label, type="primary", icon=":material/play_arrow:", key="demo"):
            _open_demo(folder, there)
        st.caption(f"Kept in {escape_markdown(str(folder))}")


class _Bar:
    """A progress that draws a bar, ten times a second at most."""

    def __init__(self) -> None:
        self._bar = st.progress(0.0, text="Making the demo project …")
        self._next = 0.0

    def update(
        self, stage: str, done: int, total: int | None, message: str = "", **detail: object
    ) -> None:
        """Move the bar."""
        del stage, message, detail
        if total and time.monotonic() >= self._next:
            self._next = time.monotonic() + 0.1
            self._bar.progress(min(1.0, done / total), text=f"{done:,} of {total:,} images")

    def check(self) -> None:
        """Nothing stops it: it takes seconds."""

    def clear(self) -> None:
        """Take the bar away."""
        self._bar.empty()


def _open_demo(folder: Path, there: bool) -> None:
    """Make the demo unless it is there, showing how far it is."""
    from labeller.services import demo

    bar = _Bar()
    try:
        project = recent.opened(folder) if there else demo.create_demo(folder, bar)
    except (LabellerError, StoreError, OSError) as error:
        bar.clear()
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    _enter(project)


def _existing() -> None:
    """Open a project by its folder."""
    with st.container(border=True):
        st.subheader("Open a project")
        path = picker.folder_field("Project folder", "existing_path")
        if st.button("Open", icon=":material/folder_open:", key="existing_open", disabled=not path):
            try:
                _enter(recent.opened(path))
            except DatabaseError as error:
                session.note_error(error)
                st.rerun()
            except LabellerError as error:
                st.error(escape_markdown(str(error)), icon=":material/error:")


def _recent(known: list[recent.Recent]) -> None:
    """List the projects opened lately; missing ones can be forgotten."""
    st.subheader("Recent projects")
    now = time.time()
    with st.container(border=True, gap="xsmall"):
        for entry in known[:_SHOWN]:
            _recent_row(entry, now)


def _recent_row(entry: recent.Recent, now: float) -> None:
    key = f"{entry.id}_{entry.path}"
    text, action = st.columns([5, 1], vertical_alignment="center", wrap=False)
    name, path = escape_markdown(entry.name), escape_markdown(str(entry.path))
    if not entry.exists:
        text.markdown(f":gray[**{name}** · not there any more]  \n:gray[:small[{path}]]")
        action.button(
            "Forget",
            key=f"forget_{key}",
            width="stretch",
            on_click=recent.forget,
            args=(entry.path,),
        )
        return
    text.markdown(f"**{name}** · {_counts(entry)}  \n:gray[:small[{path}]]")
    if action.button(
        "Open",
        key=f"recent_{key}",
        width="stretch",
        help=f"Opened {view.ago(entry.opened_at, now)}",
    ):
        try:
            _enter(recent.opened(entry.path))
        except LabellerError as error:
            st.error(escape_markdown(str(error)), icon=":material/error:")


def _counts(entry: recent.Recent) -> str:
    """Say what a recent project held when it was last on screen."""
    when = view.ago(entry.opened_at, time.time())
    if entry.items is None or entry.labelled is None:
        return f"opened {when}"
    return f"{view.count(entry.items, 'image')}, {entry.labelled:,} labelled · {when}"


def _new() -> None:
    """Make a project from a folder; every field says by itself what is wrong with it."""
    with st.container(border=True):
        st.subheader("New project from a folder")
        source = picker.folder_field(
            "Images",
            "new_source",
            help_text="A folder (with everything below it), a zip file, or a CSV list of paths.",
            placeholder="/data/photos",
        )
        wrong = creation.source_error(source)
        if source and wrong:
            st.error(escape_markdown(wrong), icon=":material/error:")
        found = None if wrong else _found(Path(source).expanduser())
        default = Path(source).expanduser().stem if source and not wrong else ""
        name = st.text_input("Project name", placeholder=default or "My project", key="new_name")
        names, labels = _classes(found)
        budget, copy = _options()
        title = (name or default).strip()
        root = _root(title)
        problem = wrong or creation.class_error(names)
        if st.button(
            "Create project",
            type="primary",
            icon=":material/add:",
            key="new_create",
            disabled=bool(problem) or not title,
            help=escape_markdown(problem) if problem and source else None,
        ):
            plan = creation.Plan(title, Path(source), root, tuple(names), budget, copy, labels)
            _create(plan)


@st.cache_data(ttl=20, max_entries=20, show_spinner="Counting images …")
def _contents(path: str) -> folders.Contents:
    """Count once, not at every key press in the form."""
    return folders.contents(Path(path), patience=3.0)


def _found(source: Path) -> folders.Contents | None:
    """Say how many images there are in a folder, and return them."""
    if not source.is_dir():
        return None
    found = _contents(str(source))
    if not found.images:
        st.warning("No images found in this folder. JPEG, PNG, WebP, GIF, BMP and TIFF count.")
    else:
        more = " or more" if found.cut else ""
        st.caption(f":material/check: {view.count(found.images, 'image')}{more}")
    return found


def _classes(found: folders.Contents | None) -> tuple[list[str], Labels]:
    """Let the person type the classes, or take the folders' names; say which folders label."""
    if found is None or not found.classes:
        return _typed("Classes"), "auto"
    choice = st.segmented_control(
        "Classes",
        [TYPED, FOLDERS],
        default=TYPED,
        required=True,
        key="new_classes_from",
    )
    if choice != FOLDERS:
        return _typed("Class names"), "none"
    shown = ", ".join(
        f"{escape_markdown(name)} :gray[{number:,}]" for name, number in found.classes[:_PREVIEW]
    )
    hidden = len(found.classes) - _PREVIEW
    rest = f" and {hidden:,} more" if hidden > 0 else ""
    st.markdown(f"{view.count(len(found.classes), 'class', 'classes')}: {shown}{rest}")
    st.caption("Their images come in with these labels; such labels cost no budget.")
    names = [name for name, _ in found.classes]
    if wrong := creation.class_error(names):
        st.error(escape_markdown(wrong), icon=":material/error:")
    return names, "folders"


def _typed(label: str) -> list[str]:
    """Draw the field for class names and return them; what is wrong with them is said below."""
    text = st.text_area(
        label,
        key="new_classes",
        height=110,
        placeholder="cat\ndog\nneither",
        help="One per line, or parted by commas. More can be added at any time.",
    )
    names = creation.names_in(text)
    if wrong := creation.class_error(names):
        st.error(escape_markdown(wrong), icon=":material/error:")
    return names


def _options() -> tuple[float | None, bool]:
    """Ask for the budget and whether to copy."""
    left, right = st.columns(2, vertical_alignment="bottom")
    budget = left.number_input(
        "Labelling budget",
        min_value=0.0,
        value=None,
        step=100.0,
        format="%g",
        placeholder="No limit",
        key="new_budget",
        help="How many labels you can afford. It can be raised later.",
    )
    copy = right.toggle(
        "Copy the images",
        key="new_copy",
        help="Off: images stay where they are and are read from there. "
        "On: the project keeps copies of its own.",
    )
    return budget, copy


def _root(title: str) -> Path:
    """Return the folder of the new project, which may be chosen under "Where it is kept"."""
    proposed = creation.free_folder(title or "project")
    with st.expander("Where it is kept", icon=":material/folder:"):
        chosen = st.text_input(
            "Project folder",
            placeholder=str(proposed),
            key="new_root",
            help="A new or empty folder: settings, database, thumbnails and models go there.",
        )
    return Path(chosen).expanduser() if chosen.strip() else proposed


def _create(plan: creation.Plan) -> None:
    """Make the project, start the import and go in."""
    try:
        with st.spinner("Making the project …"):
            project = creation.create(plan)
    except (LabellerError, StoreError) as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    session.open(project.root)
    session.go_to("images")
    st.rerun()
