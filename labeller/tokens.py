"""Signed, expiring tokens: who may use a project's API, and under which name.

A token is signed with the project's own key (``secret.key``), so one project's token opens no
other. The payload is readable by its holder; it holds nothing secret.
"""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from itsdangerous import BadData, BadSignature, SignatureExpired, URLSafeTimedSerializer

from labeller.config import load_settings
from labeller.errors import TokenError
from labeller.project import Project, is_project
from labeller.services import recent

TokenSource = Literal["page", "api"]
SALT = "labeller-api-v1"
LONGEST = 4_096


@dataclass(frozen=True, slots=True)
class Grant:
    """What a good token allows: this project, in this annotator's name."""

    project: Project
    annotator: str
    source: TokenSource


_made: dict[str, Path] = {}


def make(project: Project, annotator: str, source: TokenSource = "api") -> str:
    """Return a fresh token.

    Parameters
    ----------
    project : Project
        The project it opens.
    annotator : str
        The name that every label sent with it gets.
    source : {"page", "api"}
        Where its labels come from; the labelling card uses ``page``.

    Returns
    -------
    str
        URL-safe text, good for ``token_hours`` of the project's settings.
    """
    _made[project.id] = project.root
    payload = {"project": project.id, "annotator": annotator, "source": source}
    return str(_serializer(project.secret()).dumps(payload))


def check(token: str) -> Grant:
    """Return what a token allows.

    Raises
    ------
    TokenError
        When the token is damaged, forged, expired, or its project is not on this machine.
    """
    if len(token) > LONGEST:
        raise TokenError("The token is too long to be one. Ask for a new one.")
    claimed = _claimed(token)
    folder = _folder(claimed)
    if folder is None:
        raise TokenError("The token's project is not open here. Open it in the workbench first.")
    settings = load_settings(folder)
    try:
        secret = (folder / "secret.key").read_text(encoding="ascii").strip()
        payload = _serializer(secret).loads(token, max_age=int(settings.token_hours * 3600))
    except SignatureExpired as error:
        raise TokenError("The token has expired. Ask for a new one.") from error
    except BadData as error:
        raise TokenError("The token is not signed by this project. Ask for a new one.") from error
    except OSError as error:
        raise TokenError(f"{folder}: its signing key cannot be read ({error.strerror}).") from error
    if not _sound(payload, claimed):
        raise TokenError("The token is damaged. Ask for a new one.")
    return Grant(recent.opened(folder), payload["annotator"], payload["source"])


def _serializer(secret: str) -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(secret, salt=SALT)


def _claimed(token: str) -> str:
    """Read the project's identity from a token that is not verified yet."""
    try:
        _, payload = URLSafeTimedSerializer("", salt=SALT).loads_unsafe(token)
    except (BadSignature, ValueError, UnicodeError) as error:
        raise TokenError("The token is damaged. Ask for a new one.") from error
    claimed = payload.get("project") if isinstance(payload, dict) else None
    if not isinstance(claimed, str) or not claimed:
        raise TokenError("The token is damaged. Ask for a new one.")
    return claimed


def _sound(payload: Any, project_id: str) -> bool:
    """Whether a verified payload has what this version puts in."""
    return (
        isinstance(payload, dict)
        and payload.get("project") == project_id
        and isinstance(payload.get("annotator"), str)
        and bool(payload["annotator"])
        and payload.get("source") in ("page", "api")
    )


def _folder(project_id: str) -> Path | None:
    """Find a project: one that got a token here, the one the environment names, a recent one."""
    if (made := _made.get(project_id)) and is_project(made):
        return made
    if named := os.environ.get("LABELLER_PROJECT"):
        folder = Path(named).expanduser().absolute()
        if is_project(folder) and load_settings(folder).id == project_id:
            return folder
    return recent.by_id(project_id)
