"""Every layout in docs/data.md is imported as a real folder or archive, and does what it says."""

from __future__ import annotations

import io
import re
import zipfile
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from labeller.project import create_project
from labeller.services.import_sources import Labels
from labeller.services.importing import import_sources
from tests.labeller.imports import items
from tests.labeller.pictures import photo, write

DOC = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
PART = DOC.split("## Folders and archives")[1].split("\n## ")[0]
KINDS = {"a JPEG": None, "text": b"just words\n", "a video": b"\0\0\0\x18ftypmp42" + bytes(40)}


@dataclass
class Example:
    """One example: files by path (a number of images, or a kind), and what is said of it."""

    labels: Labels = "auto"
    classes: list[str] = field(default_factory=list)
    zipped: bool = False
    files: dict[str, bytes] = field(default_factory=dict)
    wanted: dict[str, str] = field(default_factory=dict)


def read(text: str) -> Example:
    example = Example()
    for line in text.strip().splitlines():
        if line.startswith("--labels "):
            example.labels = line.removeprefix("--labels ")  # type: ignore[assignment]
        elif line.startswith("classes: "):
            example.classes = line.removeprefix("classes: ").split(", ")
        elif line == "zip":
            example.zipped = True
        elif line.startswith("→ "):
            for part in line.removeprefix("→ ").split("; "):
                word = re.match(r"classes|splits|without a class|left out|passed over", part)
                assert word, part
                example.wanted[word[0]] = part[word.end() :].strip()
        elif kind := re.fullmatch(r"(.+) \((.+)\)", line):
            data = KINDS[kind[2]]
            example.files[kind[1]] = photo(len(example.files)) if data is None else data
        else:
            found = re.fullmatch(r"(.*)/ +×(\d+)", line)
            assert found, line
            for number in range(int(found[2])):
                path = f"{found[1]}/{number}.jpg"
                example.files[path] = photo(len(example.files))
    return example


EXAMPLES = re.findall(r"```text\n(.*?)```", PART, re.DOTALL)


def listed(text: str) -> dict[str, int]:
    pairs = [part.rsplit(" ", 1) for part in text.split(", ") if text not in ("", "none")]
    return {name: int(number) for name, number in pairs}


def source_of(example: Example, folder: Path) -> Path:
    if not example.zipped:
        for name, data in example.files.items():
            write(folder / "source" / name, data)
        return folder / "source"
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as archive:
        for name, data in example.files.items():
            archive.writestr(name, data)
    return write(folder / "source.zip", buffer.getvalue())


def test_there_are_examples() -> None:
    assert len(EXAMPLES) >= 15


@pytest.mark.parametrize("text", EXAMPLES, ids=range(len(EXAMPLES)))
def test_the_example_does_what_it_says(text: str, tmp_path: Path) -> None:
    example = read(text)
    project = create_project(tmp_path / "p", example.classes, workers=1, leak_distance=0.0)
    report = import_sources(project, [source_of(example, tmp_path)], labels=example.labels)
    found = items(project)
    with project.store.read() as unit:
        rows = unit.labels.export()
        classes = Counter(row.class_name for row in rows)
    wanted = example.wanted
    assert dict(classes) == listed(wanted["classes"])
    assert len(found) - classes.total() == int(wanted.get("without a class", "0"))
    (source,) = report.sources
    assert source.decision is not None
    assert dict(source.decision.classes) == dict(classes)
    if "splits" in wanted:
        assert Counter(item.split for item in found) == listed(wanted["splits"])
        assert dict(source.decision.splits) == listed(wanted["splits"])
    else:
        assert not source.decision.splits
    left_out = [Path(problem.path).name for problem in report.problems]
    assert left_out == ([wanted["left out"]] if "left out" in wanted else [])
    assert dict(source.survey.passed) == listed(wanted.get("passed over", ""))
