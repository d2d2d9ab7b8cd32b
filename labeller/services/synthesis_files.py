"""The folder of a synthesis run: its plans, and what a budget can pay of them."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

from labeller.errors import SynthesisError
from labeller.project import Project
from store.durable import write_whole
from store.repository import thousandths
from strategies.synthesis import Plan

FOLDER = "synthetic"  # of all runs, in the project's
PLANS = "plan.json"


@dataclass(frozen=True, slots=True)
class Planned:
    """The plans of a run, in their order; `pictures` is False for mixtures."""

    plans: tuple[Plan, ...]
    pictures: bool


def folder(project: Project, run_id: int) -> Path:
    """Return where the files of a run lie."""
    return project.root / FOLDER / str(run_id)


def affordable(free: float | None, price: float) -> int | None:
    """Return how many items of a price a budget can pay; None when there is no limit."""
    if free is None or price <= 0:
        return None
    most = max(0, int(free / price) + 1)
    while most and thousandths(price * most) > thousandths(free):  # as the store will count
        most -= 1
    return most


def write_plans(project: Project, run_id: int, planned: Planned) -> None:
    """Keep the plans of a run, so that it can go on whatever is labelled meanwhile.

    Raises
    ------
    SynthesisError
        When the folder cannot be written.
    """
    path = folder(project, run_id) / PLANS
    values = {"pictures": planned.pictures, "plans": [plan.to_json() for plan in planned.plans]}
    try:
        write_whole(path, json.dumps(values).encode("ascii"))
    except OSError as error:
        raise SynthesisError(
            f"{path}: cannot be written ({error.strerror or error}). Free some space."
        ) from error


def read_plans(project: Project, run_id: int) -> Planned:
    """Return the plans that :func:`write_plans` kept.

    Raises
    ------
    SynthesisError
        When they are gone or damaged.
    """
    path = folder(project, run_id) / PLANS
    try:
        values = json.loads(path.read_bytes())
        plans = tuple(Plan.from_json(one) for one in values["plans"])
        return Planned(plans, bool(values["pictures"]))
    except (OSError, ValueError, KeyError, TypeError) as error:
        reason = getattr(error, "strerror", None) or type(error).__name__
        raise SynthesisError(
            f"{path}: the plan of the run cannot be read ({reason}). Delete the run and start "
            f"another with the same seed."
        ) from error
