"""The files of a replay: its settings, a file per finished run, tables and the result."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from labeller.errors import ReplayError
from labeller.services.replay_results import Run
from store.durable import write_whole

SETTINGS = "replay.json"
RUNS = "runs"
RESULT = "result.json"
CURVES = "curves.csv"
SUMMARY = "summary.csv"
PICTURE = "curves.png"
_TITLES = {"planned": "strategies"}

COLUMNS = (
    "rank",
    "strategy",
    "area",
    "area_low",
    "area_high",
    "final",
    "labels_to_random_final",
    "difference",
    "difference_low",
    "difference_high",
    "verdict",
)


@dataclass(frozen=True, slots=True)
class Past:
    """A finished replay: its `folder` and what ``result.json`` says."""

    folder: Path
    result: Mapping[str, Any]


def prepare(out: Path, wanted: Mapping[str, Any]) -> None:
    """Make the folder of a replay, or find in it one that was begun with the same settings.

    Parameters
    ----------
    out : Path
    wanted : mapping
        JSON values of the plan and what it replays.

    Raises
    ------
    ReplayError
        When the folder holds something else, or a replay with other settings.
    """
    file = out / SETTINGS
    if file.is_file():
        begun = _read(file)
        differing = [name for name in wanted if begun.get(name) != wanted[name]]
        if differing:
            told = "; ".join(f"{_TITLES.get(n, n)} {_text(begun.get(n))}" for n in differing)
            raise ReplayError(
                f"{out}: holds a replay with other settings ({told}). "
                "Give the same settings to go on with it, or choose another folder."
            )
        return
    if out.exists() and (not out.is_dir() or any(out.iterdir())):
        raise ReplayError(f"{out}: is not an empty folder. Choose a new one for the replay.")
    write_whole(file, json.dumps(dict(wanted)))


def past(folder: Path) -> list[Past]:
    """Return the finished replays below a folder, newest first; damaged ones are left out."""
    found = []
    for file in sorted(folder.glob(f"*/{RESULT}"), reverse=True):
        try:
            values = _read(file)
        except ReplayError:
            continue
        if "strategies" in values:
            found.append(Past(file.parent, values))
    return found


def unfinished(folder: Path) -> Path | None:
    """Return the newest replay below a folder when it was stopped before its end."""
    newest = max(folder.glob(f"*/{SETTINGS}"), default=None)
    return newest.parent if newest and not (newest.parent / RESULT).exists() else None


def read_settings(out: Path) -> dict[str, Any]:
    """Return the settings that a replay was begun with; raises as :func:`read_result`."""
    return _read(out / SETTINGS)


def read_result(out: Path) -> dict[str, Any]:
    """Return what ``result.json`` of a finished replay holds.

    Raises
    ------
    ReplayError
        When it is missing or damaged.
    """
    return _read(out / RESULT)


def read_runs(out: Path, data: str) -> dict[tuple[str, int], Run]:
    """Return the finished runs of a replay by strategy and seed.

    Parameters
    ----------
    out : Path
    data : str
        Fingerprint of images, labels and features; runs on others are an error.

    Raises
    ------
    ReplayError
        When a run was made on other labels, or its file is damaged.
    """
    found = {}
    for file in sorted((out / RUNS).glob("*.json")):
        values = _read(file)
        if values.pop("data", None) != data:
            raise ReplayError(
                f"{out}: was begun with other labels or images than there are now. "
                "Choose another folder."
            )
        run = Run(
            values["strategy"],
            values["seed"],
            tuple(values["labels"]),
            tuple(values["accuracy"]),
            values["seconds"],
        )
        found[run.strategy, run.seed] = run
    return found


def write_run(out: Path, run: Run, data: str) -> None:
    """Keep a finished run, so that a replay that is stopped goes on after it."""
    file = out / RUNS / f"{run.strategy}-{run.seed:03}.json"
    write_whole(file, json.dumps({**asdict(run), "data": data}))


def write_result(out: Path, runs: Sequence[Run], result: Mapping[str, Any]) -> None:
    """Write ``curves.csv``, ``summary.csv`` and, last, ``result.json``."""
    curves = [
        (run.strategy, run.seed, labels, f"{accuracy:.6f}")
        for run in runs
        for labels, accuracy in zip(run.labels, run.accuracy, strict=True)
    ]
    _write_csv(out / CURVES, ("strategy", "seed", "labels", "accuracy"), curves)
    rows = [[_cell(_flat(row)[name]) for name in COLUMNS] for row in result["strategies"]]
    _write_csv(out / SUMMARY, COLUMNS, rows)
    write_whole(out / RESULT, json.dumps(result, allow_nan=False))


def _flat(row: Mapping[str, Any]) -> dict[str, Any]:
    """Part the intervals of a result's row into two columns each."""
    flat = dict(row)
    for name in ("area", "difference"):
        flat[f"{name}_low"], flat[f"{name}_high"] = row[f"{name}_interval"] or (None, None)
    return flat


def _cell(value: Any) -> Any:
    return f"{value:.6f}" if isinstance(value, float) else "" if value is None else value


def _write_csv(path: Path, header: Sequence[str], rows: Sequence[Sequence[Any]]) -> None:
    text = io.StringIO(newline="")
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    write_whole(path, text.getvalue())


def _read(file: Path) -> dict[str, Any]:
    """Read a JSON object."""
    try:
        values = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ReplayError(f"{file}: cannot be read ({error}). Delete it, or its folder.") from error
    if not isinstance(values, dict):
        raise ReplayError(f"{file}: is no replay's file. Delete it, or its folder.")
    return values


def _text(value: Any) -> str:
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)
