"""How a model was trained, in words, out of what its configuration keeps."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


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
