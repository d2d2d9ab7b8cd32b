"""How a model was trained, in words, out of what its configuration keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from labeller.services.evaluation_calibration import FEWEST


def objective(config: Mapping[str, Any]) -> str:
    """Say what the training of a model strove for, how its images were altered, and what was kept.

    Parameters
    ----------
    config : mapping
        Of a model.
    """
    parts = [
        f"class weights {config.get('class_weights', 'none')}",
        f"label smoothing {float(config.get('label_smoothing') or 0):g}",
        mirrored(config),
        kept(config),
    ]
    return ", ".join(filter(None, parts))


def mirrored(config: Mapping[str, Any]) -> str:
    """Say whether images were mirrored in training; nothing of a model that saw none.

    Parameters
    ----------
    config : mapping
        Of a model. Fine-tuned models of before the setting ``mirror`` mirrored, without saying so.
    """
    if "fine_tune" not in config:
        return ""
    mirror = config["fine_tune"].get("mirror", True)
    return "half of the images mirrored" if mirror else "no image mirrored"


def kept(config: Mapping[str, Any]) -> str:
    """Say which epoch's weights a model has, and whether its training stopped early.

    Parameters
    ----------
    config : mapping
        Of a model. Those of before that was kept tell what was asked for.
    """
    asked = bool(config.get("patience")) or config.get("keep") == "best"
    if "epoch_kept" not in config:
        unsure = "weights of the best epoch, or of the last for want of validation labels"
        return unsure if asked else "weights of the last epoch"
    done, planned = int(config["epochs"]), int(config["epochs_planned"])
    which = " of the first model" if int(config.get("committee") or 1) > 1 else ""
    if not config["best_known"]:
        why = ", as no validation label could tell the best" if asked else ""
        return f"weights of the last of {_epochs(done)}{which}{why}"
    early = f", stopped after {done}" if done < planned else ""
    return f"weights of the best epoch{which}, {config['epoch_kept']} of {planned}{early}"


def temperature(metrics: Mapping[str, Any]) -> str:
    """Say by what temperature the logits of a model are divided, and why by this one.

    Parameters
    ----------
    metrics : mapping
        Of a model. Those of before it was kept why have the number alone.
    """
    value = f"{float(metrics.get('temperature') or 1):.2f}"
    if "calibration_gain" not in metrics:
        return value
    n = int(metrics["calibrated_n"])
    labels = "1 validation label" if n == 1 else f"{n:,} validation labels"
    if metrics["calibration_gain"] is None:
        return f"{value}: {labels}, too few to fit another (at least {FEWEST})"
    if metrics["calibrated_on"] == "nothing":
        return f"{value}: no other made {labels} likelier when they were held out of its fit"
    return f"{value}, fitted on {labels}"


def _epochs(number: int) -> str:
    return "1 epoch" if number == 1 else f"{number} epochs"
