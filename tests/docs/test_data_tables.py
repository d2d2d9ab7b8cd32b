"""Every example of docs/data.md about tables is run, and does what the page says."""

from __future__ import annotations

import re
from dataclasses import asdict, dataclass
from pathlib import Path

import pytest

from labeller.errors import BudgetError, ImportSourceError, LabelFileError
from labeller.project import Project, create_project
from labeller.services.importing import import_sources
from labeller.services.label_files import label_from_csv
from labeller.services.table_columns import MISSING, SPELLINGS, SPLITS
from tests.labeller.imports import items, labels
from tests.labeller.pictures import folder_of, write

PAGE = (Path(__file__).resolve().parents[2] / "docs" / "data.md").read_text(encoding="utf-8")
PART = re.search(r"^## Tables and label files\n(.*?)(?=^## |\Z)", PAGE, re.MULTILINE | re.DOTALL)
EXAMPLE = re.compile(
    r"^<!-- (import|label)(.*?) -->\n((?:```(?:csv|json)\n.*?^```\n\n)+)```text\n(.*?)^```",
    re.MULTILINE | re.DOTALL,
)
BLOCK = re.compile(r"```(?:csv|json)\n(.*?)^```", re.MULTILINE | re.DOTALL)


@dataclass(frozen=True)
class Example:
    """One example: the command, how its files are written, and what the page says of it."""

    command: str
    options: dict[str, str]
    files: list[str]
    outcome: list[str]


def examples() -> list[Example]:
    assert PART is not None
    return [
        Example(
            command,
            dict(option.partition("=")[::2] for option in options.split()),
            BLOCK.findall(files),
            outcome.splitlines(),
        )
        for command, options, files, outcome in EXAMPLE.findall(PART[1])
    ]


def run(example: Example, folder: Path) -> tuple[Project, list[str], dict[str, int]]:
    """Do what an example says; returns the project, what was told, and the last report's counts."""
    names = [name for name in example.options.get("classes", "").split(",") if name]
    project = create_project(folder / "project", names, workers=1)
    data = folder_of(folder / "data", 5)
    if example.command == "label":
        import_sources(project, [data])
    told: list[str] = []
    counts: dict[str, int] = {}
    for number, text in enumerate(example.files):
        if "escapes" in example.options:
            text = text.replace("\\u200b", "\u200b")
        name = example.options.get("name", f"{number}.csv")
        path = write(data / name, text.encode(example.options.get("encoding", "utf-8")))
        try:
            if example.command == "label":
                applied = label_from_csv(project, path, "ann")
                told += applied.notes
                counts = {k: v for k, v in asdict(applied).items() if isinstance(v, int)}
            else:
                report = import_sources(project, [path])
                told += report.notes
                told += [f"{p.path.rpartition(': ')[2]}: {p.reason}" for p in report.problems]
        except (ImportSourceError, LabelFileError, BudgetError) as error:
            told.append(f"refused: {error}")
    return project, told, counts


def check(line: str, project: Project, told: list[str], counts: dict[str, int]) -> None:
    """Hold one line of an outcome against what came about."""
    subject, _, text = line.partition(": ")
    if subject == "report":
        assert any(text in one for one in told if not one.startswith("refused: ")), told
    elif subject == "refused":
        assert any(text in one for one in told if one.startswith("refused: ")), told
    elif subject == "counts":
        wanted = {name: int(number) for number, name in re.findall(r"(\d+) (\w+)", text)}
        assert wanted == {name: number for name, number in counts.items() if number}
    else:
        found = {Path(item.path).name: item for item in items(project)}
        if text == "not imported":
            assert subject not in found
            return
        match = re.fullmatch(r"(.*?)(?:, split (\w+))?(?:, group (\w+))?", text)
        assert match is not None
        label, split, group = match.groups()
        assert labels(project).get(subject, "no label") == label
        assert split in (None, found[subject].split)
        named = found[subject].group != found[subject].sha256
        assert group == (found[subject].group if named else None)


@pytest.mark.parametrize(
    "example", examples(), ids=lambda one: f"{one.command}-{one.files[-1][:30]}"
)
def test_an_example_does_what_the_page_says(example: Example, tmp_path: Path) -> None:
    project, told, counts = run(example, tmp_path)
    for line in example.outcome:
        check(line, project, told, counts)
    shown = [line.partition(": ")[2] for line in example.outcome if line[0] == "r"]
    for note in told:  # and nothing else is told
        assert note.startswith("Classes made") or any(text in note for text in shown), note


def test_every_table_on_the_page_is_an_example() -> None:
    assert PART is not None
    blocks = re.findall(r"^```(?:csv|json)$", PART[1], re.MULTILINE)
    assert len(blocks) == sum(len(example.files) for example in examples()) > 25


def test_every_title_and_word_is_on_the_page() -> None:
    assert PART is not None
    words = {*MISSING, *SPLITS, *(title for titles in SPELLINGS.values() for title in titles)}
    words -= {"key", "id"}  # of tables to predict
    assert not [word for word in sorted(words) if f"`{word}`" not in PART[1]]
