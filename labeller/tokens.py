"""Signed, expiring tokens: who may use a project's API, and under which name.

A token is signed with the project's own key (``secret.key``), so one project's token opens no
other. The payload is readable by its holder; it holds nothing secret. Tokens for scripts are noted
in the database, so that they can be listed and revoked; those of pages live a few hours.
"""

from __future__ import annotations

import os
import secrets
import time
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, get_args

from itsdangerous import BadData, BadSignature, SignatureExpired, URLSafeTimedSerializer

from labeller.config import load_settings
from labeller.errors import ProjectError, ScopeError, TokenError
from labeller.project import Project, is_project, read_secret
from labeller.services import recent

TokenSource = Literal["page", "api"]
Scope = Literal["read", "label", "all"]
SCOPES: Mapping[Scope, str] = {
    "read": "see everything, change nothing",
    "label": "label, review and judge too",
    "all": "import, start jobs and set the budget too",
}
SALT = "labeller-api-v2"
LONGEST = 4_096
_NOTED = "tokens"
_DAY = 86_400.0


@dataclass(frozen=True, slots=True)
class Grant:
    """What a good token allows: this project, in this annotator's name, up to a scope.

    `id` is empty for a page's token; `since` is when the first of a row of renewed ones was made.
    """

    project: Project
    annotator: str
    source: TokenSource
    scope: Scope = "all"
    id: str = ""
    since: float = 0.0

    def require(self, scope: Scope) -> None:
        """Refuse what goes beyond the token's scope.

        Raises
        ------
        ScopeError
        """
        order = get_args(Scope)
        if order.index(scope) > order.index(self.scope):
            raise ScopeError(
                f"This token may {SCOPES[self.scope]}. Ask for one with the scope {scope}."
            )


@dataclass(frozen=True, slots=True)
class TokenNote:
    """A token for scripts that is good, or was; times in UTC seconds."""

    id: str
    annotator: str
    scope: Scope
    made_at: float
    expires_at: float
    revoked_at: float | None = None


_made: dict[str, Path] = {}


def make(
    project: Project, annotator: str, source: TokenSource = "api", scope: Scope = "all"
) -> str:
    """Return a fresh token.

    Parameters
    ----------
    project : Project
        The project it opens.
    annotator : str
        The name that every label sent with it gets.
    source : {"page", "api"}
        Where its labels come from; the labelling card uses ``page``.
    scope : {"read", "label", "all"}
        What may be done with it.

    Returns
    -------
    str
        URL-safe text, good for ``token_hours`` of the project's settings.

    Raises
    ------
    ProjectError
        When the project's signing key cannot be used.
    StoreError
        When a token for scripts cannot be noted.
    """
    number = secrets.token_hex(4) if source == "api" else ""
    return _sign(Grant(project, annotator, source, scope, number, time.time()))


def renew(grant: Grant) -> tuple[str, float]:
    """Return a fresh token for a good one, and for how many seconds it is good.

    Raises
    ------
    TokenError
        When the first of its row is older than ``token_days``: a stolen one ends too.
    """
    left = _refuse_old(grant)
    return _sign(grant), min(left, grant.project.settings.token_hours * 3600)


def _refuse_old(grant: Grant) -> float:
    """Return the seconds until a token and all that it is renewed to end."""
    days = grant.project.settings.token_days
    left = grant.since + days * _DAY - time.time()
    if left <= 0:
        raise TokenError(
            f"This token was renewed for {days:g} days. Make a new one: labeller token, or the "
            f"Settings page."
        )
    return left


def list_tokens(project: Project) -> list[TokenNote]:
    """Return the project's tokens for scripts, newest first; not those of pages."""
    with project.store.read() as unit:
        noted = unit.settings.get(_NOTED, {})
    notes = [TokenNote(id=number, **values) for number, values in noted.items()]
    return sorted(notes, key=lambda note: note.made_at, reverse=True)


def revoke(project: Project, number: str) -> None:
    """End a token for scripts, and those it was renewed to.

    Raises
    ------
    TokenError
        When the project has no such token.
    """
    with project.store.write() as unit:
        noted = unit.settings.get(_NOTED, {})
        if number not in noted:
            raise TokenError(f"{project.name}: has no token {number}. List them: --list")
        noted[number] = {**noted[number], "revoked_at": noted[number]["revoked_at"] or time.time()}
        unit.settings.set(_NOTED, noted)


def _sign(grant: Grant) -> str:
    """Sign a token that allows what `grant` does, from now on."""
    project = grant.project
    text = _serializer(project.secret()).dumps(
        {
            "project": project.id,
            "annotator": grant.annotator,
            "source": grant.source,
            "scope": grant.scope,
            "id": grant.id,
            "since": grant.since,
        }
    )
    if grant.id:
        _note(grant)
    _made[project.id] = project.root
    return str(text)


def _note(grant: Grant) -> None:
    """Keep what a token for scripts allows; those that ended a month ago are forgotten."""
    now = time.time()
    until = now + grant.project.settings.token_hours * 3600
    with grant.project.store.write() as unit:
        noted = unit.settings.get(_NOTED, {})
        fresh = {
            number: values
            for number, values in noted.items()
            if values["expires_at"] > now - 30 * _DAY
        }
        revoked = noted.get(grant.id, {}).get("revoked_at")
        fresh[grant.id] = {
            "annotator": grant.annotator,
            "scope": grant.scope,
            "made_at": grant.since,
            "expires_at": until,
            "revoked_at": revoked,
        }
        unit.settings.set(_NOTED, fresh)


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
        secret = read_secret(folder)
        payload = _serializer(secret).loads(token, max_age=int(settings.token_hours * 3600))
    except SignatureExpired as error:
        raise TokenError("The token has expired. Ask for a new one.") from error
    except BadData as error:
        raise TokenError("The token is not signed by this project. Ask for a new one.") from error
    except ProjectError as error:
        raise TokenError(str(error)) from error
    if not _sound(payload, claimed):
        raise TokenError("The token is damaged. Ask for a new one.")
    grant = Grant(
        recent.opened(folder),
        payload["annotator"],
        payload["source"],
        payload["scope"],
        payload["id"],
        payload["since"],
    )
    _refuse_old(grant)
    _refuse_revoked(grant)
    return grant


def says_page(token: str) -> bool:
    """Whether a token calls itself a page's, or is none; it is not verified."""
    if len(token) > LONGEST:
        return True
    try:
        _, payload = URLSafeTimedSerializer("", salt=SALT).loads_unsafe(token)
    except (BadSignature, ValueError, UnicodeError):
        return True
    return not isinstance(payload, dict) or payload.get("source") != "api"


def _refuse_revoked(grant: Grant) -> None:
    if not grant.id:
        return
    with grant.project.store.read() as unit:
        noted = unit.settings.get(_NOTED, {}).get(grant.id)
    if noted is None or noted["revoked_at"] is not None:
        raise TokenError("The token was revoked. Ask for a new one.")


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
        and payload.get("source") in get_args(TokenSource)
        and payload.get("scope") in get_args(Scope)
        and isinstance(payload.get("id"), str)
        and bool(payload["id"]) == (payload["source"] == "api")
        and isinstance(payload.get("since"), float)
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
