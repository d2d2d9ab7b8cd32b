"""Seconds and memory of every pool strategy against the size of the pool.

``python benchmarks/strategies_sizes.py [--quick] [--only margin,badge] [--sizes 10000,1000000]``

Every figure is from a process of its own with one thread; see strategies.py for what is measured.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, where strategies.py would hide the package

from benchmarks.report import update_section  # noqa: E402
from benchmarks.strategies import measure, shown  # noqa: E402

SIZES = (10_000, 100_000, 1_000_000)
PICTURE = ROOT / "docs" / "pictures" / "strategies_cost.svg"


def against_size(only: set[str], sizes: list[int]) -> None:
    """Measure every strategy at every size, write the section and draw the picture."""
    from strategies import registry

    found: dict[str, dict[int, dict[str, Any]]] = {}
    for name in registry.names("pool"):
        if not only or name in only:
            results = {n: measure("ours", name, n) for n in sizes}
            found[name] = {n: result for n, result in results.items() if result is not None}
    rows = [
        [f"`{name}`", *(cell(results.get(n)) for n in sizes)] for name, results in found.items()
    ]
    update_section(
        "strategies_sizes",
        "Strategies against the size of the pool",
        ["strategy", *(f"{n:,} items" for n in sizes)],
        rows,
        "100 picks; seconds, and peak memory of the process with its input (1,000,000 embeddings"
        " take 2,048 MB); one thread. `badge`, `k_center`, `typiclust` and the scores look at every"
        " item; `max_herding`, `uncertainty_herding` and `prob_cover` at random 10,000 of a larger"
        " pool, `batch_bald` at the 2,000 of the highest BALD scores.\n\n"
        "![Seconds against items](pictures/strategies_cost.svg)",
    )
    draw(found)


def cell(result: dict[str, Any] | None) -> str:
    return "–" if result is None else f"{shown(result['seconds'])}, {result['peak']:,.0f} MB"


def draw(found: dict[str, dict[int, dict[str, Any]]]) -> None:
    """Draw seconds against items."""
    import matplotlib as mpl

    mpl.use("Agg")
    mpl.rcParams["svg.hashsalt"] = "strategies"
    import matplotlib.pyplot as plt

    figure, axes = plt.subplots(figsize=(8, 5.5), layout="constrained")
    last = {name: list(results.values())[-1]["seconds"] for name, results in found.items()}
    styles = [(c, s) for s in ("-", "--", ":") for c in mpl.color_sequences["tab10"]]
    for name, (colour, style) in zip(sorted(last, key=lambda n: -last[n]), styles, strict=False):
        seconds = [result["seconds"] for result in found[name].values()]
        axes.loglog(list(found[name]), seconds, style, color=colour, marker="o", ms=3, label=name)
    axes.set(xlabel="items", ylabel="seconds for 100 picks, one thread")
    axes.grid(alpha=0.3)
    axes.legend(fontsize=8, loc="center left", bbox_to_anchor=(1, 0.5))
    PICTURE.parent.mkdir(parents=True, exist_ok=True)
    figure.savefig(PICTURE, metadata={"Date": None})


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="no millions")
    parser.add_argument("--only", default="", help="names of strategies, with commas between")
    parser.add_argument("--sizes", default="", help="numbers of items, with commas between")
    options = parser.parse_args()
    usual = SIZES[:-1] if options.quick else SIZES
    sizes = [int(size) for size in options.sizes.split(",") if size] or list(usual)
    against_size(set(filter(None, options.only.split(","))), sizes)


if __name__ == "__main__":
    main()
