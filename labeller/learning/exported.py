"""A trained model as files that run without this program: ONNX, 8-bit ONNX, a fastai learner."""

from __future__ import annotations

import math
import warnings
from collections.abc import Sequence
from itertools import accumulate
from pathlib import Path
from typing import Any, cast

import numpy as np
import onnxruntime
import torch
from numpy.typing import NDArray
from onnx import load
from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static
from onnxruntime.quantization.shape_inference import quant_pre_process
from torch import Tensor, nn

from labeller.errors import ExportError
from labeller.learning import hog
from labeller.learning.extraction import LARGEST
from labeller.learning.predictors import FineTunedPredictor, HeadPredictor, TrainedModel
from labeller.squares import Bytes
from store.scratch import make_temporary

INPUT, OUTPUT = "pixels", "probabilities"
STEP = 32
SMALL = 0.75  # of the size: an 8-bit file that is larger is not worth what it loses
FIRST = 0.01  # of the weights of all convolutions: what of an 8-bit file stays in full precision

Probs = NDArray[np.float32]


class Whole(nn.Module):
    """From bytes (n, s, s, 3) to calibrated logits (n, C): backbone, features and head in one.

    Parameters
    ----------
    model : TrainedModel
        What it does the same as; left alone.
    """

    def __init__(self, model: TrainedModel) -> None:
        super().__init__()
        self.temperature = model.temperature
        predictor = model.predictor
        self.resize = predictor.resize
        if isinstance(predictor, FineTunedPredictor):
            self.net: nn.Module = _on_cpu(predictor.network)
        else:
            self.net = _Features(cast(HeadPredictor, predictor))
        self.eval()

    def forward(self, pixels: Tensor) -> Tensor:
        """Return logits whose softmax are the calibrated probabilities."""
        found: Tensor = self.net(pixels)
        return found / self.temperature


class _Features(nn.Module):
    """A backbone with a head on its features."""

    def __init__(self, predictor: HeadPredictor) -> None:
        super().__init__()
        self.trunk = predictor.features.backbone.load()
        self.module = self.trunk.module
        self.parts = predictor.features.recipe.parts
        self.head = _on_cpu(predictor.network)

    def forward(self, pixels: Tensor) -> Tensor:
        parts = self.trunk.features(pixels)
        if {"raw", "hog"} & set(self.parts):
            parts |= hog.tiny_features(pixels)
        joined = torch.cat([parts[name] for name in self.parts], 1).clamp(-LARGEST, LARGEST)
        found: Tensor = self.head(joined)
        return found


class _Probabilities(nn.Module):
    """What ONNX files give: probabilities, not logits."""

    def __init__(self, whole: Whole) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, pixels: Tensor) -> Tensor:
        return torch.softmax(self.whole(pixels), 1)


class ForFastai(nn.Module):
    """Takes what fastai's image pipeline gives, (n, 3, s, s) from 0 to 1.

    Parameters
    ----------
    whole : Whole
    """

    def __init__(self, whole: Whole) -> None:
        super().__init__()
        self.whole = whole

    def forward(self, images: Tensor) -> Tensor:
        """Return calibrated logits (n, C)."""
        plain = images.as_subclass(Tensor)
        found: Tensor = self.whole((plain * 255).round().clamp(0, 255).byte().permute(0, 2, 3, 1))
        return found


def _on_cpu(module: nn.Module) -> nn.Module:
    """Return a copy on the CPU, so that the model keeps its device."""
    from copy import deepcopy

    return deepcopy(module).cpu().eval()


def probabilities(whole: Whole, pixels: Bytes) -> Probs:
    """Return what the model itself says, (n, C), on the CPU in full precision."""
    with torch.inference_mode():
        parts = [
            torch.softmax(whole(torch.from_numpy(pixels[start : start + STEP])), 1)
            for start in range(0, len(pixels), STEP)
        ]
    found: Probs = torch.cat(parts).numpy()
    return found


def write_onnx(whole: Whole, file: Path) -> None:
    """Write an ONNX file: input ``pixels`` uint8 (n, s, s, 3), output ``probabilities`` (n, C).

    Parameters
    ----------
    whole : Whole
    file : Path
    """
    sample = torch.zeros(2, whole.resize.side, whole.resize.side, 3, dtype=torch.uint8)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        torch.onnx.export(
            _Probabilities(whole).eval(),
            (sample,),
            str(file),
            dynamo=True,
            input_names=[INPUT],
            output_names=[OUTPUT],
            dynamic_shapes=({0: torch.export.Dim("n", min=1, max=65_536)},),
            external_data=False,
            verbose=False,
        )


class _Calibration(CalibrationDataReader):  # type: ignore[misc]
    """Images by which the ranges of the activations are measured, a few at a time."""

    def __init__(self, pixels: Bytes) -> None:
        self._left = iter([pixels[start : start + STEP] for start in range(0, len(pixels), STEP)])

    def get_next(self) -> dict[str, Any] | None:
        """Return the next images, None at the end."""
        following = next(self._left, None)
        return None if following is None else {INPUT: following}


def write_int8(onnx: Path, file: Path, pixels: Bytes) -> None:
    """Write an 8-bit copy of an ONNX file for small devices.

    Its convolutions have weights and activations of 8 bits. The first ones stay in full precision:
    they hold next to no weights, and what they round off no later layer brings back.

    Parameters
    ----------
    onnx : Path
        From :func:`write_onnx`.
    file : Path
    pixels : array of uint8, shape (n, s, s, 3)
        Some training images: the ranges of the activations are measured on them.

    Raises
    ------
    ExportError
        When it would hardly be smaller.
    """
    with make_temporary("int8") as scratch:
        prepared = Path(scratch) / "prepared.onnx"
        quant_pre_process(str(onnx), str(prepared), skip_symbolic_shape=True)
        quantize_static(
            str(prepared),
            str(file),
            _Calibration(pixels),
            quant_format=QuantFormat.QDQ,
            op_types_to_quantize=["Conv"],
            nodes_to_exclude=_first_convolutions(prepared),
            per_channel=True,
            reduce_range=True,  # the sums of 8 by 8 bits overflow on x86 without VNNI
            activation_type=QuantType.QUInt8,
            weight_type=QuantType.QInt8,
        )
    if file.stat().st_size > SMALL * onnx.stat().st_size:
        raise ExportError(
            f"{file.name}: would save next to nothing, since this backbone has few convolutions. "
            f"Export ONNX instead."
        )


def _first_convolutions(onnx: Path) -> list[str]:
    """Return the names of the first convolutions, which hold `FIRST` of all their weights."""
    graph = load(str(onnx), load_external_data=False).graph
    sizes = {one.name: math.prod(one.dims) for one in graph.initializer}
    weights = [
        (node.name, sizes.get(node.input[1], 0)) for node in graph.node if node.op_type == "Conv"
    ]
    most = FIRST * sum(size for _, size in weights)
    ends = accumulate(size for _, size in weights)
    return [name for (name, _), end in zip(weights, ends, strict=True) if end <= most]


def onnx_probabilities(file: Path, pixels: Bytes) -> Probs:
    """Return what an ONNX file says, (n, C)."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    session = onnxruntime.InferenceSession(str(file), options, providers=["CPUExecutionProvider"])
    parts = [
        session.run([OUTPUT], {INPUT: pixels[start : start + STEP]})[0]
        for start in range(0, len(pixels), STEP)
    ]
    return np.concatenate(parts)


def write_learner(
    whole: Whole, names: Sequence[str], sample: Path, file: Path, max_pixels: int
) -> None:
    """Write a fastai learner, for ``load_learner`` where this program is installed too.

    Parameters
    ----------
    whole : Whole
    names : sequence of str, length C
    sample : Path
        An image file, by which fastai sets its pipeline up; it is not in the export.
    file : Path
    max_pixels : int
        Larger images are refused.
    """
    from fastai.data.block import CategoryBlock, DataBlock, TransformBlock
    from fastai.data.transforms import IndexSplitter, IntToFloatTensor
    from fastai.learner import Learner
    from fastai.losses import CrossEntropyLossFlat

    from labeller.learning.fastai_images import Named, Square

    block = DataBlock(
        blocks=(
            TransformBlock(Square(whole.resize, max_pixels), batch_tfms=IntToFloatTensor),
            CategoryBlock(vocab=list(names), sort=False),
        ),
        get_y=Named(names[0]),
        splitter=IndexSplitter([1]),
    )
    loaders = block.dataloaders([sample] * 2, bs=1, num_workers=0, device=torch.device("cpu"))
    learner = Learner(
        loaders, ForFastai(whole), loss_func=CrossEntropyLossFlat(), path=file.parent, cbs=[]
    )
    learner.export(file.name)


def learner_probabilities(file: Path, images: Sequence[Path]) -> Probs:
    """Return what a learner that :func:`write_learner` wrote says, (n, C)."""
    import fastai.callback.progress  # noqa: F401 (a learner has `no_bar` only then)
    from fastai.learner import load_learner

    learner = load_learner(file, cpu=True)  # a pickle, of our own making a moment ago
    loader = learner.dls.test_dl(list(images), num_workers=0, bs=STEP)
    with learner.no_bar():
        probs, _ = learner.get_preds(dl=loader)
    found: Probs = probs.numpy()
    return found
