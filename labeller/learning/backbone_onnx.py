"""Features by ONNX Runtime on the CPU, where it is faster than torch and gives the same."""

from __future__ import annotations

import time
import warnings
from collections.abc import Callable
from contextlib import closing
from importlib.metadata import version
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from labeller.learning.backbones import Backbone, Trunk
from labeller.learning.device import Device
from labeller.learning.images import Ints, decoded
from labeller.project import Project
from labeller.services.backbone_names import cache_folder
from labeller.services.feature_recipes import Recipe
from labeller.squares import Bytes
from store.durable import move_whole, sync_file
from store.scratch import make_scratch_folder

ENGINES = ("torch", "ONNX Runtime")
INPUT, OUTPUT = "pixels", "features"
WORTH_EXPORT = 4_000 * 96 * 96  # pixels; exporting takes what 1,000 to 3,000 images of 96 gain
WORTH_LOADING = 256  # images; for fewer the file is not even opened
TRIES = 3
RTOL, ATOL = 2e-3, 2e-3  # two steps of half precision, in which features are kept

Rows = NDArray[np.float32]


class OnnxTrunk:
    """A backbone's ONNX file in ONNX Runtime, on the CPU.

    Parameters
    ----------
    file : Path
        From :func:`export`.
    widths : dict of str to int
        The parts, in the order of the file's output.
    """

    def __init__(self, file: Path, widths: dict[str, int]) -> None:
        import onnxruntime

        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = torch.get_num_threads()
        options.log_severity_level = 3
        # a waiting thread that spins takes the core from the threads that decode
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        self._session: Any = onnxruntime.InferenceSession(
            str(file), options, providers=["CPUExecutionProvider"]
        )
        self._widths = widths
        self.module: nn.Module = nn.Identity()

    def features(self, pixels: Tensor) -> dict[str, Tensor]:
        """Return the same as the trunk that was exported, for bytes (n, s, s, 3)."""
        rows = torch.from_numpy(self._session.run([OUTPUT], {INPUT: pixels.numpy()})[0])
        parts = torch.split(rows, list(self._widths.values()), dim=1)
        return dict(zip(self._widths, parts, strict=True))


class _Joined(nn.Module):
    """A trunk's parts side by side."""

    def __init__(self, trunk: Trunk, widths: dict[str, int]) -> None:
        super().__init__()
        self.trunk, self.module, self.names = trunk, trunk.module, list(widths)

    def forward(self, pixels: Tensor) -> Tensor:
        found = self.trunk.features(pixels)
        return torch.cat([found[name] for name in self.names], 1)


def fastest(
    project: Project, backbone: Backbone, recipe: Recipe, ids: Ints, device: Device
) -> tuple[Trunk, str]:
    """Return the trunk that computes features soonest, on the device, and what it runs on.

    Parameters
    ----------
    project : Project
    backbone : Backbone
    recipe : Recipe
    ids : array of int, shape (n,)
        Items to be computed. Few are left to torch: ONNX Runtime needs a file that takes seconds
        to write, kept in the user's cache for every later time.
    device : Device

    Returns
    -------
    trunk : Trunk
    engine : str
        ``torch`` or ``ONNX Runtime``, and the reason where the latter was tried in vain.

    Raises
    ------
    BackboneError
        When the backbone cannot be loaded.
    """
    trunk = backbone.load()
    trunk.module.to(device.torch)
    file = path_of(backbone, recipe)
    worth = len(ids) * recipe.size**2 >= WORTH_EXPORT or file.is_file()
    if device.cuda or not worth or len(ids) < WORTH_LOADING:
        return trunk, ENGINES[0]
    try:
        if not file.is_file():
            export(trunk, backbone.widths, recipe.size, file)
        candidate = _opened(file, backbone.widths)
        with closing(decoded(project, ids, recipe.resize)) as parts:
            images = next(parts).pixels
        reason = compare(trunk, candidate, images)
    except Exception as error:  # exporters and runtimes raise what they like; torch can do it all
        reason = f"it failed with {type(error).__name__}"
    return (trunk, f"torch, not ONNX Runtime: {reason}") if reason else (candidate, ENGINES[1])


def _opened(file: Path, widths: dict[str, int]) -> OnnxTrunk:
    """Open a kept file; one that cannot be opened is deleted, to be made again."""
    try:
        return OnnxTrunk(file, widths)
    except Exception:  # the runtime raises what it likes
        file.unlink(missing_ok=True)
        raise


def path_of(backbone: Backbone, recipe: Recipe) -> Path:
    """Return where the ONNX file of a backbone for one size of images is kept."""
    made_by = f"torch{version('torch')}-onnxruntime{version('onnxruntime')}"
    name = f"{backbone.name.replace('/', '-')}-{backbone.digest[:16]}-{recipe.size}-{made_by}"
    return cache_folder() / "onnx" / f"{name}.onnx"


def export(trunk: Trunk, widths: dict[str, int], size: int, file: Path) -> None:
    """Write a trunk on the CPU as ONNX: ``pixels`` uint8 (n, s, s, 3) to ``features`` (n, d).

    Parameters
    ----------
    trunk : Trunk
    widths : dict of str to int
        Its parts, side by side in the output.
    size : int
        s
    file : Path
        Complete or not there at all, whatever happens.
    """
    file.parent.mkdir(parents=True, exist_ok=True)
    sample = torch.zeros(2, size, size, 3, dtype=torch.uint8)
    with make_scratch_folder(file.parent) as scratch, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        made = Path(scratch) / file.name
        torch.onnx.export(
            _Joined(trunk, widths).eval(),
            (sample,),
            str(made),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("n", min=1, max=65_536)},),
            external_data=False,
            verbose=False,
        )
        sync_file(made)
        move_whole(made, file)


def compare(trunk: Trunk, candidate: OnnxTrunk, images: Bytes) -> str:
    """Return why a candidate must not take the trunk's place, empty when it may.

    Parameters
    ----------
    trunk : Trunk
        On the CPU.
    candidate : OnnxTrunk
    images : array of uint8, shape (n, s, s, 3)
        Some of the images to be computed; features are compared as they are kept.
    """
    if not len(images):
        return "there was no readable image to compare on"
    expected, slow = _timed(trunk, images)
    found, quick = _timed(candidate, images)
    apart = np.abs(found - expected) > ATOL + RTOL * np.abs(expected)
    if apart.any() or not np.isfinite(found).all():
        return f"its features differ by up to {np.nanmax(np.abs(found - expected)):.3g}"
    return "" if quick < slow else "it is not faster here"


def _timed(trunk: Trunk, images: Bytes) -> tuple[Rows, float]:
    """Return features in half precision and the best of a few times, in seconds."""
    given, best = torch.from_numpy(images), float("inf")
    run: Callable[[Tensor], dict[str, Tensor]] = trunk.features
    with torch.inference_mode():
        for _ in range(TRIES):
            start = time.perf_counter()
            found = run(given)
            best = min(best, time.perf_counter() - start)
    joined = torch.cat([found[name] for name in sorted(found)], 1)
    return joined.half().float().numpy(), best
