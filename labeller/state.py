"""Where this account keeps what belongs to no project: recent projects, sign-ins, trust."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def state_folder() -> Path:
    """Return ``LABELLER_STATE``, or the account's state folder."""
    chosen = os.environ.get("LABELLER_STATE")
    return Path(chosen) if chosen else platformdirs.user_state_path("labeller")
