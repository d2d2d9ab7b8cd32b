"""Keep the tables of docs/benchmarks.md: each benchmark replaces its own section."""

from __future__ import annotations

import platform
import re
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PAGE = Path(__file__).resolve().parents[1] / "docs" / "benchmarks.md"
HEAD = """# Benchmarks

Each section is written by its script in `benchmarks/`. The machine is small and shared: trust
ratios within a section, not seconds across sections.
"""
PACKAGES = ("numpy", "pillow", "sqlalchemy", "streamlit", "torch", "fastai")


def update_section(
    name: str,
    title: str,
    header: Sequence[str],
    rows: Sequence[Sequence[object]],
    notes: str = "",
    page: Path = PAGE,
    script: str = "",
) -> str:
    """Print a benchmark's table and put it in the page, between the markers of its name.

    Parameters
    ----------
    name : str
        Of the section; that of the script without ``.py``, unless it has several.
    title : str
        Heading of the section.
    header : sequence of str
        Names of the columns.
    rows : sequence of sequence
        The table's cells, as they are to be read.
    notes : str
        What was measured, and how to read it.
    page : Path
        The page, made if missing.
    script : str
        Name of the script where the section has another one.

    Returns
    -------
    str
        The section as it was written.
    """
    lines = [f"## {title}", "", _stamp(script or name), ""]
    lines += [f"| {' | '.join(map(str, cells))} |" for cells in (header, ["---"] * len(header))]
    lines += [f"| {' | '.join(map(str, cells))} |" for cells in rows]
    if notes:
        lines += ["", notes]
    begin, end = f"<!-- begin {name} -->", f"<!-- end {name} -->"
    section = "\n".join([begin, *lines, end])
    text = page.read_text(encoding="utf-8") if page.exists() else HEAD
    pattern = re.compile(f"{re.escape(begin)}.*?{re.escape(end)}", re.DOTALL)
    if pattern.search(text):
        text = pattern.sub(lambda _: section, text)
    else:
        text = f"{text.rstrip()}\n\n{section}\n"
    page.parent.mkdir(parents=True, exist_ok=True)
    page.write_text(text, encoding="utf-8")
    print("\n".join(lines))
    return section


def _stamp(name: str) -> str:
    """Say when, with what and on what the numbers were made."""
    found = []
    for package in PACKAGES:  # a machine that is lent has only what the benchmark needs
        with suppress(PackageNotFoundError):
            found.append(f"{package} {version(package)}")
    versions = ", ".join(found)
    return (
        f"`python benchmarks/{name}.py`, {datetime.now(UTC):%Y-%m-%d}, "
        f"Python {platform.python_version()}, {versions}, {platform.machine()}."
    )
