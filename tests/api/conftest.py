"""A client of the API for a project of its own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient

from labeller import tokens
from labeller.api.app import create_api
from labeller.project import Project
from tests.cards import queued_project

Headers = dict[str, str]


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Keep recent projects of a test in its folder."""
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("LABELLER_PROJECT", raising=False)


@pytest.fixture
def project(tmp_path: Path) -> Project:
    """A project with twelve images in the queue, three of them blind, and a budget of ten."""
    return queued_project(tmp_path / "animals", items=12, budget=10, suggest=True, side=160)


@pytest.fixture
def headers(project: Project) -> Callable[..., Headers]:
    """Return a function that makes the headers of an annotator's request."""

    def of(annotator: str = "anna", which: Project = project) -> Headers:
        return {"Authorization": f"Bearer {tokens.make(which, annotator)}"}

    return of


@pytest.fixture
def client(headers: Callable[..., Headers]) -> Iterator[TestClient]:
    """A client that labels as anna; unexpected errors are answers, not exceptions."""
    with TestClient(create_api(), headers=headers(), raise_server_exceptions=False) as client:
        yield client
