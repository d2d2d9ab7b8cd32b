"""What the commands print: one JSON object or text on stdout, progress and errors on stderr."""

from __future__ import annotations

import dataclasses
import json
import shlex
import shutil
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, TypeVar

import click

from labeller.errors import JobCancelled

Command = TypeVar("Command", bound=Callable[..., Any])

WIDTH = 24
DRAW_SECONDS = 0.1

json_option: Callable[[Command], Command] = click.option(
    "--json", "as_json", is_flag=True, help="Print one JSON object on stdout."
)
project_argument: Callable[[Command], Command] = click.argument(
    "project", type=click.Path(file_okay=False, path_type=Path)
)


def example(line: str) -> str:
    """Return a command's epilog: an example that click does not rewrap."""
    return f"\b\nExample:\n  {line}"


def emit(data: Mapping[str, Any], as_json: bool, text: str) -> None:
    """Print the outcome of a command: `data` as one JSON object, or `text`."""
    click.echo(json.dumps(plain(data), allow_nan=False) if as_json else _printable(text))


def plain(value: Any) -> Any:
    """Turn records, paths and arrays of them into what JSON has."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {f.name: plain(getattr(value, f.name)) for f in dataclasses.fields(value)}
    if isinstance(value, Mapping):
        return {str(name): plain(item) for name, item in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [plain(item) for item in value]
    if isinstance(value, Path):
        return str(value)
    if isinstance(value, float) and value != value:
        return None
    return value


def note(text: str) -> None:
    """Say something on stderr, so that stdout stays the command's result."""
    click.echo(_printable(text), err=True)


def _printable(text: str) -> str:
    """Replace what a file's name could do to a terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "\N{REPLACEMENT CHARACTER}" for c in text)


def typed(path: Path) -> str:
    """Return a path as a shell takes it, for a command that is to be copied."""
    text = str(path)
    return shlex.quote(f"./{text}" if text.startswith("-") else text)


def table(rows: Sequence[tuple[str, ...]]) -> str:
    """Lay out rows in columns, the first row being the header."""
    widths = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    lines = [
        "  ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True))
        for row in rows
    ]
    return "\n".join(line.rstrip() for line in lines)


def number(value: float | None) -> str:
    """Write an amount without needless decimals; a dash when there is none."""
    return "-" if value is None else f"{value:,.10g}"


def percent(value: float | None) -> str:
    """Write a share as a percentage; a dash when there is none."""
    return "-" if value is None else f"{100 * value:.1f} %"


def seconds(value: float) -> str:
    """Write a time to wait: 8 s, 3 min, 2 h 5 min."""
    if value < 90:
        return f"{value:.0f} s"
    minutes = round(value / 60)
    return f"{minutes} min" if minutes < 90 else f"{minutes // 60} h {minutes % 60} min"


class Bar:
    """A progress bar on stderr: redrawn in place on a terminal, a line per stage elsewhere."""

    def __init__(self) -> None:
        self._tty = sys.stderr.isatty()
        self._drawn = 0.0
        self._stage = ""

    def draw(self, progress: float, stage: str, text: str) -> None:
        """Show `progress` (0 to 1) of a job in `stage`, and what `text` adds."""
        now = time.monotonic()
        if not self._tty:
            if stage and stage != self._stage:
                note(f"{stage} …")
            self._stage = stage
        elif now - self._drawn >= DRAW_SECONDS:
            self._drawn = now
            full = round(WIDTH * min(1.0, max(0.0, progress)))
            line = f"[{'#' * full}{'-' * (WIDTH - full)}] {progress:4.0%}  {stage}  {text}"
            columns = shutil.get_terminal_size().columns
            sys.stderr.write(f"\r\x1b[K{line[: columns - 1]}")
            sys.stderr.flush()

    def close(self) -> None:
        """Leave the line, so that what follows starts on its own."""
        if self._tty and self._drawn:
            sys.stderr.write("\r\x1b[K")
            sys.stderr.flush()
        self._drawn = 0.0


class TerminalProgress:
    """Implements :class:`labeller.progress.Progress` on a :class:`Bar`; Ctrl-C asks it to stop."""

    def __init__(self) -> None:
        self.bar = Bar()
        self.interrupted = False
        self._stage = ""
        self._since = time.monotonic()

    def update(
        self, stage: str, done: int, total: int | None, message: str = "", **_detail: Any
    ) -> None:
        """Show how far `stage` is, its rate and the time left."""
        now = time.monotonic()
        if stage != self._stage:
            self._stage, self._since = stage, now
        elapsed = now - self._since
        parts = [f"{done:,}" + (f" of {total:,}" if total is not None else "")]
        if done and elapsed > 1:
            parts.append(f"{done / elapsed:,.0f}/s")
            if total:
                parts.append(f"{seconds(elapsed * (total - done) / done)} left")
        self.bar.draw(
            done / total if total else 0.0, stage, " · ".join([*parts, message]).rstrip(" ·")
        )

    def check(self) -> None:
        """Raise :class:`~labeller.errors.JobCancelled` after Ctrl-C."""
        if self.interrupted:
            raise JobCancelled("Stopped by Ctrl-C.")
