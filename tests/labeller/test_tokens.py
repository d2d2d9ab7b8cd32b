"""Tokens: who may, under which name, how long, and for which project only."""

from __future__ import annotations

import base64
import json
import time
from pathlib import Path

import pytest
from itsdangerous import URLSafeTimedSerializer

from labeller import tokens
from labeller.errors import ProjectError, ScopeError, TokenError
from labeller.project import Project, change_settings, create_project, replace_secret
from labeller.tokens import SCOPES


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


def test_a_scope_is_kept_to(project: Project) -> None:
    grants = {scope: tokens.check(tokens.make(project, "ann", scope=scope)) for scope in SCOPES}
    allowed = {"read": ["read"], "label": ["read", "label"], "all": ["read", "label", "all"]}
    for scope, grant in grants.items():
        for wanted in SCOPES:
            if wanted in allowed[scope]:
                grant.require(wanted)
            else:
                with pytest.raises(ScopeError, match=f"scope {wanted}"):
                    grant.require(wanted)


def test_tokens_of_scripts_are_listed_and_revoked_with_those_renewed(project: Project) -> None:
    kept, ended = tokens.make(project, "ann", scope="read"), tokens.make(project, "bob")
    tokens.make(project, "page", "page")
    renewed, _ = tokens.renew(tokens.check(ended))
    notes = {note.annotator: note for note in tokens.list_tokens(project)}
    assert set(notes) == {"ann", "bob"}
    assert (notes["ann"].scope, notes["bob"].revoked_at) == ("read", None)
    tokens.revoke(project, notes["bob"].id)
    for token in (ended, renewed):
        with pytest.raises(TokenError, match="revoked"):
            tokens.check(token)
    assert tokens.check(kept).annotator == "ann"
    with pytest.raises(TokenError, match="no token nothing"):
        tokens.revoke(project, "nothing")


def test_a_token_is_not_renewed_for_ever(project: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    change_settings(project, token_hours=24.0, token_days=2.0)
    now = start = time.time()
    for clock in ("itsdangerous.timed.time.time", "labeller.tokens.time.time"):
        monkeypatch.setattr(clock, lambda: now)
    for source in ("page", "api"):
        now = start
        token = tokens.make(project, "ann", source)
        now = start + 20 * 3600
        token, seconds = tokens.renew(tokens.check(token))
        assert seconds == 24 * 3600
        now = start + 40 * 3600
        token, seconds = tokens.renew(tokens.check(token))
        assert seconds == pytest.approx(8 * 3600, abs=2)
        now = start + 49 * 3600
        with pytest.raises(TokenError, match="renewed for 2 days"):
            tokens.check(token)


@pytest.mark.parametrize(
    ("key", "reason"),
    [
        (b"", "anybody could guess"),
        (b"short", "anybody could guess"),
        (b" " * 64, "anybody could guess"),
        (b"\x00" * 64, "anybody could guess"),
        (bytes(range(128, 192)), "damaged"),
        (None, "cannot be read"),
    ],
)
def test_a_key_that_is_none_signs_and_checks_nothing(
    project: Project, key: bytes | None, reason: str
) -> None:
    token = tokens.make(project, "ann")
    file = project.root / "secret.key"
    file.unlink() if key is None else file.write_bytes(key)
    with pytest.raises(TokenError, match=reason):
        tokens.check(token)
    with pytest.raises(ProjectError, match=r"labeller token .* --new-key"):
        tokens.make(project, "ann")
    replace_secret(project.root)
    assert file.stat().st_mode & 0o777 == 0o600
    assert tokens.check(tokens.make(project, "ann"))
    with pytest.raises(TokenError, match="not signed"):
        tokens.check(token)
