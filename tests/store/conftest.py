"""Every store test runs on SQLite and on PostgreSQL."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest

from store.store import Store
from tests.store.build import Clock
from tests.store.postgres import Server, cluster


@pytest.fixture(scope="session")
def server() -> Iterator[Server]:
    with cluster() as url:
        if url is None:
            missing = "no PostgreSQL: install one, or name it in LABELLER_TEST_POSTGRES"
            if os.environ.get("CI"):
                pytest.fail(missing)
            pytest.skip(missing)
        made = Server(url)
        yield made
        made.close()


@pytest.fixture(params=["sqlite", "postgres"])
def database(request: pytest.FixtureRequest) -> str:
    return str(request.param)


@pytest.fixture
def empty_url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A database without tables."""
    if database == "sqlite":
        return f"sqlite:///{tmp_path / 'labeller.db'}"
    server: Server = request.getfixturevalue("server")
    return server.empty()


@pytest.fixture
def url(database: str, tmp_path: Path, request: pytest.FixtureRequest) -> str:
    """A database to work with."""
    if database == "sqlite":
        return f"sqlite:///{tmp_path / 'labeller.db'}"
    server: Server = request.getfixturevalue("server")
    return server.migrated()


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(url: str, clock: Clock) -> Iterator[Store]:
    opened = Store.open(url, clock)
    yield opened
    opened.close()
