"""The import panel: where images come from, how far it is, and what was left out."""

from __future__ import annotations

import csv
import io
import time
from pathlib import Path

import streamlit as st

from labeller import jobs
from labeller.errors import LabellerError
from labeller.project import Project
from labeller.services import watching
from labeller.services.class_names import choose_spellings, class_ids
from labeller.services.import_plan import count_words, describe_source, describe_words
from labeller.services.import_sources import TABLES, Labels, Survey
from labeller.services.tables import guarded
from labeller.ui import folders, source_form, uploads, view
from labeller.ui.source_form import Chosen
from labeller.ui.text import escape_markdown
from store.records import ImportProblem, ImportRecord, JobRecord

LABELS: dict[Labels, str] = {
    "auto": "When they look like classes",
    "folders": "Always",
    "none": "Never",
}
_PAGE = 1000
_JOBS = 100


def panel(project: Project, empty: bool) -> None:
    """Draw the panel; open when there are no images yet or an import is on."""
    with project.store.read() as unit:
        active = unit.jobs.active("import")
        records = unit.imports.all()
    if not project.is_read_only:
        if active:
            _running(active[0])
            return
        _offer(project, empty)
    if records:
        _reports(project, records)


def _offer(project: Project, empty: bool) -> None:
    """Draw the form, and what comes in by itself."""
    with st.expander(
        "Import images", icon=":material/add_photo_alternate:", expanded=empty, key="lb_import"
    ):
        _form(project)
    _watched(project)


def _watched(project: Project) -> None:
    """Say which folder is watched, or why it cannot be."""
    folder, wrong = watching.folder_of(project), watching.problem(project)
    if wrong:
        st.warning(escape_markdown(wrong), icon=":material/folder_off:")
    elif folder is not None:
        st.caption(f"New images in {escape_markdown(str(folder))} come in by themselves.")


def _running(job: JobRecord) -> None:
    """Say what is coming in; the side bar draws the page anew at its end."""
    names = ", ".join(Path(str(s)).name for s in job.params.get("sources", []))
    with st.container(border=True):
        st.markdown(f"**Importing** {escape_markdown(names)}")
        # One fragment a page: a second one that ticks beside the side bar's breaks Streamlit 1.67
        # ("Bad delta path index") when the page is drawn anew at the end of a job.
        st.caption("The side bar shows how far it is and can cancel it; what is in stays in.")


def _form(project: Project) -> None:
    """Ask where the images are."""
    chosen = source_form.choose(
        "import",
        "Images, zip files or a CSV list",
        (*source_form.IMAGES, "zip", *(suffix[1:] for suffix in TABLES)),
        upload_help="Uploads are always copied into the project.",
        path_help="Folders are read with everything below them. A CSV or JSON Lines "
        "file needs the column path; label, group and split are optional.",
    )
    source_form.say_what_is_wrong(chosen)
    labels, copy = _options(project, chosen)
    if st.button(
        "Import",
        type="primary",
        icon=":material/download:",
        key="import_go",
        disabled=not chosen.ready,
    ):
        source_form.submit(project, "import", lambda: _start(project, chosen, copy, labels))


def _options(project: Project, chosen: Chosen) -> tuple[Labels, bool]:
    """Ask what folders are and whether to copy; say what each choice would bring."""
    classes = _class_names(project)
    seen = None if chosen.upload or chosen.wrong else _look(chosen.path, classes)
    captions = [_outcome(seen, classes, choice) for choice in LABELS] if seen else None
    labels: Labels = st.radio(
        "Folders are labels",
        list(LABELS),
        format_func=LABELS.__getitem__,
        captions=captions,
        key="import_labels",
        help="An image in a folder called “cat” gets the label “cat”. Such labels cost no budget.",
    )
    if seen:
        _decision(seen, classes, labels)
    copy = st.toggle(
        "Copy the images",
        key="import_copy",
        value=chosen.upload,
        disabled=chosen.upload,
        help="Off: images stay where they are and are read from there.",
    )
    return labels, copy or chosen.upload


@st.cache_data(ttl=20, max_entries=20, show_spinner="Looking at the folders …")
def _survey(path: str, classes: tuple[str, ...]) -> Survey:
    """Look once, not at every click in the form."""
    return folders.survey_source(Path(path), 3.0, classes)


def _look(path: str, classes: list[str]) -> tuple[Path, Survey] | None:
    """Look at what was typed; what is wrong with it is said here."""
    source = Path(path).expanduser()
    try:
        return source, _survey(str(source), tuple(classes))
    except LabellerError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return None


def _class_names(project: Project) -> list[str]:
    with project.store.read() as unit:
        return list(class_ids(unit))


def _outcome(seen: tuple[Path, Survey], classes: list[str], labels: Labels) -> str:
    """Say in a few words what one choice would bring."""
    survey = seen[1]
    decision = folders.decide_source(*seen, classes, labels).decision
    if decision is not None and decision.taken:
        found, without = len(decision.classes), decision.unlabelled
        return (
            f"{view.count(found, 'class', 'classes')} from folder names, "
            f"{view.count(without, 'image')} without a class"
        )
    if survey.labels and labels != "none":
        return f"{view.count(len(survey.labels), 'label')} in the table"
    return "no labels"


def _decision(seen: tuple[Path, Survey], classes: list[str], labels: Labels) -> None:
    """Say what the folders would be taken for, and why, before anything is stored."""
    plan = folders.decide_source(*seen, classes, labels)
    lines = [line.removeprefix(f"{plan.source}: ") for line in describe_source(plan)]
    words = count_words(plan, labels)
    lines += describe_words(words, choose_spellings(words, classes))
    # On the page the choice is above, not an option of a command.
    lines = [line.replace("--labels folders", f"“{LABELS['folders']}”") for line in lines]
    files = view.count(plan.survey.files, "file")
    head = f"{files} may be images" + (", and more not counted yet." if plan.survey.cut else ".")
    text = "\n".join(f"- {escape_markdown(line[:1].upper() + line[1:])}" for line in [head, *lines])
    st.info(text, icon=":material/account_tree:")


def _start(project: Project, chosen: Chosen, copy: bool, labels: Labels) -> None:
    """Submit the import."""
    if chosen.upload:
        sources = uploads.sources(uploads.keep(project, chosen.files))
    else:
        sources = source_form.machine_sources(chosen)
    params = {"sources": [str(s) for s in sources], "copy": copy, "labels": labels}
    jobs.submit(project, "import", params)


def _reports(project: Project, records: list[ImportRecord]) -> None:
    """Show what the imports brought, the latest first."""
    last = records[0]
    title = f"Last import: {escape_markdown(summary(last))}"
    with st.expander(title, icon=":material/receipt_long:", key="lb_report"):
        record = last
        if len(records) > 1:
            record = st.selectbox("Import", records, format_func=_title, key="import_report")
        st.caption(escape_markdown(f"{record.source} · {summary(record)}"))
        for note in _notes(project, record.id):
            st.info(escape_markdown(note), icon=":material/info:")
        _problems(project, record)


def _notes(project: Project, import_id: int) -> list[str]:
    """Return what a person should know besides, as the import's job left it."""
    with project.store.read() as unit:
        finished = [job.result for job in unit.jobs.all(_JOBS) if job.kind == "import"]
    result = next((r for r in finished if r and r.get("import_id") == import_id), None)
    return [str(note) for note in result.get("notes") or []] if result else []


def _title(record: ImportRecord) -> str:
    when = time.strftime("%Y-%m-%d %H:%M", time.localtime(record.started_at))
    return f"{when} · {Path(record.source).name or record.source}"


def summary(record: ImportRecord) -> str:
    """Say in one line what an import brought."""
    nothing = not (record.added or record.known or record.failed)
    parts = ["no image found" if nothing else f"{view.count(record.added, 'image')} added"]
    if record.known:
        parts.append(f"{record.known:,} known already")
    if record.labelled:
        parts.append(f"{view.count(record.labelled, 'label')} came along")
    if record.failed:
        parts.append(f"{view.count(record.failed, 'file')} left out")
    if record.cancelled:
        parts.append("cancelled")
    elif record.finished_at is None:
        parts.append("did not end")
    else:
        parts.append(view.precise_seconds(record.finished_at - record.started_at))
    return ", ".join(parts)


def _problems(project: Project, record: ImportRecord) -> None:
    """List the files that were left out, with reason and mend."""
    with project.store.read() as unit:
        problems = unit.imports.problems(record.id, limit=_PAGE)
        total = unit.imports.problem_count(record.id)
    if record.finished_at is not None and not (record.added or record.known or total):
        st.warning(view.NOTHING_FOUND.capitalize(), icon=":material/warning:")
        return
    if not problems:
        st.markdown(":material/check_circle: Every file came in.")
        return
    st.dataframe(
        [{"File": p.path, "Reason": p.reason, "What helps": p.mend} for p in problems],
        hide_index=True,
        height="auto" if len(problems) < 10 else 380,
        column_config={"File": st.column_config.TextColumn(width="medium")},
    )
    if total > len(problems):
        st.caption(f"The first {len(problems):,} of {total:,}; the file has them all.")
    st.download_button(
        "Download the list",
        lambda: problems_csv(project, record.id),
        file_name=f"left-out-{record.id}.csv",
        mime="text/csv",
        icon=":material/download:",
        key=f"problems_{record.id}",
        on_click="ignore",
    )


def problems_csv(project: Project, import_id: int) -> bytes:
    """Return every file that an import left out, as CSV (UTF-8)."""
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(["path", "reason", "mend"])
    offset = 0
    while True:
        with project.store.read() as unit:
            page: list[ImportProblem] = unit.imports.problems(import_id, _PAGE, offset)
        writer.writerows(map(guarded, (p.path, p.reason, p.mend)) for p in page)
        offset += len(page)
        if len(page) < _PAGE:
            return text.getvalue().encode("utf-8")
