"""Whether a temperature makes confidences better, and how many familiar images look unfamiliar.

``python benchmarks/confidence.py [--keep DIR] [--seeds 5] [--only unfamiliar]``
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")  # before torch is imported
os.environ.setdefault("OMP_WAIT_POLICY", "passive")
ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, where strategies.py would hide the package

import numpy as np  # noqa: E402

from benchmarks.efficiency.rehearsal import TITLES, VALID, load, rehearse  # noqa: E402
from benchmarks.report import update_section  # noqa: E402
from labeller.learning import energy  # noqa: E402
from labeller.learning.calibration import (  # noqa: E402
    choose_temperature,
    fit_temperature,
    probabilities,
)
from labeller.services import energies  # noqa: E402
from labeller.services.evaluation import calibration_error, log_loss  # noqa: E402

VALIDATION = (7, 20, 50, 200)
TEST = 2_000
LABELS, AUDIT = 300, 400


def temperature_rows(keep: Path, seeds: int) -> list[list[str]]:
    """Return calibration error and log loss at temperature 1, fitted always, and as it is now."""
    x, y = load("fashion", keep)
    rows = []
    for number in VALIDATION:
        found, fitted = [], 0
        for seed in range(seeds):
            project = rehearse(x, y, round(number / VALID), TEST, seed, 3_000)
            told = project.logits[project.valid], project.truth[project.valid]
            known = np.isin(told[1], project.truth[project.train])
            told = told[0][known], told[1][known]
            chosen = choose_temperature(*told)
            fitted += chosen.fitted
            seen = np.isin(project.truth[project.audit], project.truth[project.train])
            test = project.audit[seen]
            for value in (1.0, fit_temperature(*told), chosen.value):
                probs = probabilities(project.logits[test], value)
                truth = project.truth[test]
                found.append((calibration_error(probs, truth), log_loss(probs, truth)))
        one, always, now = np.array(found).reshape(seeds, 3, 2).transpose(1, 0, 2)
        rows.append(
            [
                f"about {number}",
                *(
                    f"{part[:, 0].mean():.1%} ({part[:, 0].max():.1%})"
                    for part in (one, always, now)
                ),
                *(f"{of[:, 1].mean():.3f}" for of in (one, always, now)),
                f"{fitted} of {seeds}",
            ]
        )
    return rows


def unfamiliar_rows(keep: Path, seeds: int) -> list[list[str]]:
    """Return which share of familiar images lies above the threshold, before and now."""
    rows = []
    for name, title in TITLES.items():
        x, y = load(name, keep)
        before: list[float] = []
        now: list[float] = []
        for seed in range(seeds):
            pool = min(3_000, len(y) - LABELS - 2 * AUDIT)
            project = rehearse(x, y, LABELS, 2 * AUDIT, seed, pool)
            audit, others = project.audit[:AUDIT], project.audit[AUDIT:]
            temperature = choose_temperature(
                project.logits[project.valid], project.truth[project.valid]
            ).value
            values = energy.calibrated(project.logits, temperature)
            for shares, taken in ((before, project.valid), (now, audit)):
                limit = _threshold(values[taken])
                shares.append(float((values[others] > limit).mean()))
        rows.append(
            [
                title,
                str(seeds),
                f"{np.mean(before):.1%} ({min(before):.1%} to {max(before):.1%})",
                f"{np.mean(now):.1%} ({min(now):.1%} to {max(now):.1%})",
            ]
        )
    return rows


def _threshold(values: np.ndarray) -> float:
    """Return the threshold by the product's rank, also of fewer images than it takes now."""
    rank = min(len(values), int(np.ceil(energies.QUANTILE * (len(values) + 1))))
    return float(np.sort(values)[rank - 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--keep", type=Path, help="folder for features, to go on from")
    parser.add_argument("--seeds", type=int, default=5)
    parser.add_argument("--only", choices=("temperature", "unfamiliar"), help="one of the tables")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as made:
        keep = options.keep or Path(made)
        if options.only != "unfamiliar":
            update_section(
                "temperature",
                "Temperature and calibration",
                [
                    "validation labels",
                    "error at T = 1",
                    "always fitted",
                    "as it is now",
                    "log loss at T = 1",
                    "always fitted",
                    "as it is now",
                    "fitted now",
                ],
                temperature_rows(keep, options.seeds),
                notes=(
                    f"Expected calibration error (worst of {options.seeds} seeds) and log loss on "
                    f"{TEST:,} random Fashion-MNIST images; the default head on four times as many "
                    f"training labels, picked by margin as the validation labels are."
                ),
                script="confidence",
            )
        if options.only != "temperature":
            update_section(
                "unfamiliar",
                "Familiar images that look unfamiliar",
                [
                    "data set",
                    "seeds",
                    "threshold from validation labels",
                    "threshold from the audit set",
                ],
                unfamiliar_rows(keep, options.seeds),
                notes=(
                    f"Share of {AUDIT} other random images above the energy threshold; all are of "
                    f"the classes, so 5 % should be. {LABELS} labels, most of them picked by "
                    f"margin, and {AUDIT} audit images. Mean, and range over the seeds."
                ),
                script="confidence",
            )


if __name__ == "__main__":
    main()
