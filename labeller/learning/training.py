"""Train and calibrate: from labels to a model whose confidences can be believed."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any, Literal, cast, get_args

import numpy as np
import torch

from labeller.errors import ConfigError
from labeller.learning import committee, heads, tidy
from labeller.learning.calibration import Temperature, choose_temperature
from labeller.learning.committee import Committee, CommitteeConfig
from labeller.learning.device import Device
from labeller.learning.examples import Examples, Images
from labeller.learning.features import Features, Floats, Scaling
from labeller.learning.fine_tune import fine_tune
from labeller.learning.fine_tuned import FineTuneConfig, FineTuned
from labeller.learning.fitting import Labelled, joined
from labeller.learning.head_training import fit_head
from labeller.learning.heads import Head
from labeller.learning.images import Ints
from labeller.learning.objective import Objective
from labeller.learning.predictors import FineTunedPredictor, HeadPredictor, Predictor
from labeller.learning.snapshot import Labels, groups_of
from labeller.learning.synthetic import Synthetic
from labeller.progress import Progress
from labeller.project import Project

Mode = Literal["features", "fine_tune", "progressive"]

FINE_TUNE_LABELS = 1_000  # fewer teach a head more than they teach a whole network


@dataclass(frozen=True, slots=True)
class Setup:
    """All that training depends on, besides the labels."""

    project: Project
    features: Features
    scaling: Scaling
    classes: int
    device: Device

    @property
    def seed(self) -> int:
        """The project's seed."""
        return self.project.settings.seed

    @property
    def committee(self) -> CommitteeConfig:
        """How many networks the project's settings ask for."""
        return CommitteeConfig.of(self.project.settings)

    @property
    def objective(self) -> Objective:
        """What the project's settings ask of the loss, and which epoch they keep."""
        return Objective.of(self.project.settings)


@dataclass(frozen=True, slots=True)
class Calibration:
    """A temperature and how it came about, and how validation went."""

    fit: Temperature
    valid_accuracy: float | None
    valid_n: int
    valid_logits: Floats
    valid_truth: Ints

    @property
    def temperature(self) -> float:
        """The temperature of the model."""
        return self.fit.value


def training_mode(setting: str, device: Device, examples: int) -> tuple[Mode, str]:
    """Choose how to train, and say why.

    Parameters
    ----------
    setting : {"auto", "features", "fine_tune", "progressive"}
        ``auto`` never chooses ``progressive``.
    device : Device
    examples : int
        Training examples.

    Returns
    -------
    mode : {"features", "fine_tune", "progressive"}
    why : str

    Raises
    ------
    ConfigError
        When the setting is none of these.
    """
    if setting in get_args(Mode):
        return cast(Mode, setting), "chosen in the settings"
    if setting != "auto":
        raise ConfigError(
            f"training = {setting!r} is unknown. "
            f"Set it to auto, features, fine_tune or progressive."
        )
    if not device.cuda:
        return "features", "no GPU: a head on cached features is better and takes seconds"
    if examples < FINE_TUNE_LABELS:
        return "features", f"fewer than {FINE_TUNE_LABELS:,} training labels"
    return "fine_tune", f"a GPU and at least {FINE_TUNE_LABELS:,} training labels"


def train(setup: Setup, mode: Mode, examples: Examples, progress: Progress) -> Predictor:
    """Train a model.

    Parameters
    ----------
    setup : Setup
    mode : {"features", "fine_tune", "progressive"}
    examples : Examples
        Of at least two items and two classes. Where the mode is ``features``, those of labels are
        there and synthetic items have theirs; else there are images.
    progress : Progress

    Returns
    -------
    Predictor

    Raises
    ------
    BackboneError
        When a backbone to be fine-tuned is missing.
    JobCancelled
        When the work should stop.
    RoundError
        When a checkpoint cannot be written.
    """
    if examples.images is not None:
        return _fine_tuned(setup, examples.images, progress, gradual=mode == "progressive")
    network = _heads(setup, examples.train, examples.valid, progress, examples.synthetic)
    return HeadPredictor(setup.features, network, setup.device)


def calibrate(
    setup: Setup, model: Predictor, examples: Examples, progress: Progress
) -> Calibration:
    """Fit the temperature on the validation labels, where they are enough to make it better.

    Labels of a class that the model has never seen say nothing about its confidence and stay out.

    Parameters
    ----------
    setup : Setup
    model : Predictor
    examples : Examples
        What it learned from, and the validation labels.
    progress : Progress

    Returns
    -------
    Calibration
        Temperature 1 where nothing was fitted.
    """
    ids, logits = _logits(setup, model, examples.valid.ids, progress)
    truth = examples.valid.among(ids).columns
    seen = np.isin(truth, examples.labels.columns)
    groups = groups_of(setup.project, ids[seen])
    return Calibration(
        fit=choose_temperature(logits[seen], truth[seen], groups),
        valid_accuracy=float((logits.argmax(1) == truth).mean()) if len(truth) else None,
        valid_n=len(truth),
        valid_logits=logits,
        valid_truth=truth,
    )


def _heads(
    setup: Setup,
    labels: Labels,
    valid: Labels,
    progress: Progress,
    synthetic: Synthetic | None = None,
    config: CommitteeConfig | None = None,
) -> Head | Committee:
    """Return a head, or the committee that the settings ask for."""
    length = setup.project.settings.training_examples
    given, measured = _examples(setup, labels, synthetic), _labelled(setup, valid)

    def fit(seed: int, told: Progress) -> Head:
        return fit_head(
            given,
            measured,
            setup.classes,
            setup.scaling,
            seed=seed,
            device=setup.device,
            progress=told,
            config=replace(heads.HeadConfig(), examples=length),
            objective=setup.objective,
        )

    return committee.trained(config or setup.committee, setup.seed, progress, fit)


def _fine_tuned(setup: Setup, images: Images, progress: Progress, *, gradual: bool) -> Predictor:
    recipe, settings = setup.features.recipe, setup.project.settings
    config = FineTuneConfig(gradual=gradual, mirror=settings.mirror)
    if length := settings.training_examples:
        config = config.lasting(length, len(images.train))

    def fit(seed: int, told: Progress) -> FineTuned:
        return fine_tune(
            images.train,
            images.valid,
            setup.classes,
            recipe,
            seed=seed,
            device=setup.device,
            progress=told,
            config=config,
            objective=setup.objective,
            checkpoints=setup.project.models / tidy.CHECKPOINTS,
            about=images.about,
        )

    network = committee.trained(setup.committee, setup.seed, progress, fit)
    return FineTunedPredictor(setup.project, recipe, network, setup.device, config)


def _labelled(setup: Setup, labels: Labels) -> Labelled:
    features = torch.from_numpy(setup.features.read(labels.ids))
    return Labelled(features, torch.from_numpy(labels.columns))


def _examples(setup: Setup, labels: Labels, synthetic: Synthetic | None) -> Labelled:
    """Return what a head learns from: labelled items, and synthetic ones behind."""
    own = _labelled(setup, labels)
    if synthetic is None or synthetic.vectors is None or synthetic.targets is None:
        return own
    return joined(own, torch.from_numpy(synthetic.vectors), torch.from_numpy(synthetic.targets))


def _logits(setup: Setup, model: Predictor, ids: Ints, progress: Progress) -> tuple[Ints, Floats]:
    """Return readable items and their logits."""
    parts = list(model.logits(ids, progress))
    if not parts:
        return ids[:0], np.empty((0, setup.classes), np.float32)
    return np.concatenate([i for i, _ in parts]), np.concatenate([x for _, x in parts])


class Quiet:
    """A progress that passes on only whether to stop: what is trained beside is no model."""

    def __init__(self, progress: Progress) -> None:
        self.check = progress.check

    def update(
        self, stage: str, done: int, total: int | None, message: str = "", **detail: Any
    ) -> None:
        """Drop it."""
