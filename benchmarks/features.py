"""Features a second on the CPU: every suggested backbone in torch and in ONNX Runtime, in one run.

Weights are random where they are not packaged: what a backbone costs does not depend on them.
"""

from __future__ import annotations

import argparse
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

os.environ.setdefault("OMP_WAIT_POLICY", "passive")

import numpy as np
import torch
from torch import Tensor, nn

from labeller.learning import lite0
from labeller.learning.backbone_hubs import blank, shape
from labeller.learning.backbone_onnx import OnnxTrunk, export
from labeller.learning.backbones import Trunk
from labeller.services.backbone_names import FINEST, KNOWN, PACKAGED

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))
from benchmarks.report import update_section

PASSES = 3


class Random:
    """A backbone of torchvision or timm with random weights."""

    def __init__(self, name: str) -> None:
        torch.manual_seed(0)
        self.module: nn.Module = blank(name).to(memory_format=torch.channels_last)

    def features(self, pixels: Tensor) -> dict[str, Tensor]:
        """Return what the network gives."""
        found: dict[str, Tensor] = self.module(pixels)
        return found


def seconds(runs: list[Callable[[], object]]) -> list[float]:
    """Return the least processor time of each, run in turns: others share the machine."""
    best = [float("inf")] * len(runs)
    for _ in range(PASSES):
        for number, run in enumerate(runs):
            start = time.process_time()
            run()
            best[number] = min(best[number], time.process_time() - start)
    return best


def measure(name: str, size: int, batch: int, folder: Path, base: Trunk) -> list[object]:
    """Measure one backbone at one size, in turns with the packaged one at 224."""
    trunk: Trunk = lite0.Lite0() if name == PACKAGED else Random(name)
    widths = lite0.WIDTHS if name == PACKAGED else dict(shape(name).widths)
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 256, (batch, size, size, 3), dtype=np.uint8)
    given = torch.from_numpy(pixels)
    compared = torch.from_numpy(rng.integers(0, 256, (4, FINEST, FINEST, 3), dtype=np.uint8))
    file = folder / "trunk.onnx"
    start = time.process_time()
    export(trunk, widths, size, file)
    exported = time.process_time() - start
    quick = OnnxTrunk(file, widths)
    with torch.inference_mode():
        slow, fast, unit = seconds(
            [
                lambda: trunk.features(given),
                lambda: quick.features(given),
                lambda: base.features(compared),
            ]
        )
        expected, found = trunk.features(given), quick.features(given)
    apart = max(float((expected[p].half() - found[p].half()).abs().max()) for p in expected)
    largest = max(float(expected[p].abs().max()) for p in expected)
    return [
        name,
        size,
        f"{1000 * slow / batch:.1f}",
        f"{1000 * fast / batch:.1f}",
        f"{slow / fast:.2f}",
        f"{apart:.2g} of {largest:.3g}",
        f"{exported:.0f}",
        f"{(slow / batch) / (unit / len(compared)):.1f}",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--names", nargs="*", default=list(KNOWN))
    arguments = parser.parse_args()
    base = lite0.Lite0()
    rows = []
    with tempfile.TemporaryDirectory() as folder:
        for name in arguments.names:
            known = KNOWN[name]
            sizes = [known.size] if name != PACKAGED else [64, 96, FINEST]
            for size in sizes:
                batch = max(2, min(32, 2**18 // size**2))
                rows.append(measure(name, size, batch, Path(folder), base))
                print(*rows[-1], flush=True)
    update_section(
        "features",
        "Features on the CPU",
        (
            "backbone",
            "pixels",
            "torch, ms",
            "ONNX Runtime, ms",
            "ratio",
            "largest difference",
            "export, s",
            "torch, times the packaged one at 224",
        ),
        rows,
        f"Processor time (all cores together) of one image, best of {PASSES} turns, "
        f"{torch.get_num_threads()} threads. The difference is between features in half "
        "precision, in which they are kept, beside the largest of them. Random weights but for "
        "the packaged backbone.",
    )


if __name__ == "__main__":
    main()
