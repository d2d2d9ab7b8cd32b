"""The export page."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable

from streamlit.runtime.download_data_util import convert_data_to_bytes_and_infer_mime
from streamlit.testing.v1 import AppTest

from labeller.project import Project
from labeller.services import labelling
from labeller.services.labelling import Act
from labeller.ui import export_page

Run = Callable[..., AppTest]


def label(project: Project, number: int) -> None:
    acts = [Act(f"e{n}", "label", n, "cat") for n in range(1, number + 1)]
    labelling.record(project, "anna", "s", "page", acts)


def test_nothing_to_export(open_app: Run, project: Project) -> None:
    app = open_app(project, "export")
    assert not app.exception
    assert any("Nothing to export yet" in text.value for text in app.markdown)
    assert not app.get("download_button")


def test_counts_preview_and_command(open_app: Run, project: Project) -> None:
    label(project, 9)
    app = open_app(project, "export")
    assert not app.exception
    assert [metric.value for metric in app.metric] == ["9", "1", "3"]
    preview, command = (code.value for code in app.code)
    assert preview.splitlines()[0].startswith("path,sha256,class")
    assert len(preview.splitlines()) == 6
    assert command == f"labeller export {project.root} --to pets-labels.csv"
    assert any("9 given here" in text.value for text in app.caption)
    app.segmented_control(key="export_format").set_value("jsonl").run()
    assert json.loads(app.code[0].value.splitlines()[0])["class"] == "cat"
    label(project, 12)
    app.run()
    assert any("12 given here" in text.value for text in app.caption)


def test_the_file_is_whole(project: Project) -> None:
    label(project, 9)
    with export_page.export_file(project, "csv") as file:
        rows = list(csv.DictReader(io.StringIO(file.read().decode())))
    assert len(rows) == 9
    assert {row["annotator"] for row in rows} == {"anna"}
    with export_page.export_file(project, "jsonl") as file:
        data, _ = convert_data_to_bytes_and_infer_mime(file, TypeError("no download"))
    assert len(data.splitlines()) == 9


def test_file_names_hold_no_path() -> None:
    assert export_page.file_stem("../My: project") == "My--project-labels"
    assert export_page.file_stem("///") == "project-labels"
