"""Tokens: who may, under which name, how long, and for which project only."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest
from itsdangerous import URLSafeTimedSerializer

from labeller import tokens
from labeller.errors import TokenError
from labeller.project import Project, change_settings, create_project


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("LABELLER_PROJECT", raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(tmp_path / "one", ["a", "b"])


def forged(token: str, **changes: object) -> str:
    """Return a token with another payload under the old signature."""
    _, values = URLSafeTimedSerializer("").loads_unsafe(token)  # packed, where that is shorter
    _, moment, signature = token.rsplit(".", 2)
    text = json.dumps(values | changes, separators=(",", ":")).encode()
    payload = base64.urlsafe_b64encode(text).decode().rstrip("=")
    return f"{payload}.{moment}.{signature}"


def test_a_token_opens_its_project_in_its_name(project: Project) -> None:
    grant = tokens.check(tokens.make(project, "Zoë 🦓", "page"))
    assert grant.project.id == project.id
    assert (grant.annotator, grant.source) == ("Zoë 🦓", "page")


@pytest.mark.parametrize(
    "token", ["", "x", "a.b.c", "é.b.c", ".....", "e30.aaaa.bbbb", "A" * 5_000]
)
def test_what_is_no_token_is_refused(project: Project, token: str) -> None:
    tokens.make(project, "anna")
    with pytest.raises(TokenError):
        tokens.check(token)


@pytest.mark.parametrize("changes", [{"annotator": "boss"}, {"source": "api"}, {"x": 1}])
def test_a_changed_payload_is_refused(project: Project, changes: dict[str, object]) -> None:
    token = tokens.make(project, "anna", "page")
    assert tokens.check(token)
    with pytest.raises(TokenError, match="not signed by this project"):
        tokens.check(forged(token, **changes))


def test_one_projects_token_opens_no_other(project: Project, tmp_path: Path) -> None:
    other = create_project(tmp_path / "two", ["a"])
    tokens.make(other, "anna")
    with pytest.raises(TokenError, match="not signed by this project"):
        tokens.check(forged(tokens.make(project, "anna"), project=other.id))


def test_a_token_expires(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    change_settings(project, token_hours=1.0)
    token = tokens.make(project, "anna")
    now = time.time()
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + 3_500)
    assert tokens.check(token)
    monkeypatch.setattr("itsdangerous.timed.time.time", lambda: now + 3_700)
    with pytest.raises(TokenError, match="expired"):
        tokens.check(token)


def test_a_new_secret_ends_all_tokens(project: Project) -> None:
    token = tokens.make(project, "anna")
    (project.root / "secret.key").write_text("0" * 64)
    with pytest.raises(TokenError, match="not signed"):
        tokens.check(token)


def test_a_project_is_found_by_the_environment_after_a_restart(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    token = tokens.make(project, "anna")
    monkeypatch.setattr(tokens, "_made", {})
    with pytest.raises(TokenError, match="not open here"):
        tokens.check(token)
    monkeypatch.setenv("LABELLER_PROJECT", str(project.root))
    assert tokens.check(token).project.root == project.root


def test_settings_are_those_of_the_file_now(project: Project) -> None:
    token = tokens.make(project, "anna")
    assert tokens.check(token).project.settings.label_price == 1
    change_settings(project, label_price=3.0)
    assert tokens.check(token).project.settings.label_price == 3


def test_the_secret_is_not_in_the_token(project: Project) -> None:
    assert project.secret() not in tokens.make(project, "anna")
