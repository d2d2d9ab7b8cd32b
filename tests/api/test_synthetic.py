"""Synthetic items through the API: what to check, their pictures, verdicts."""

from __future__ import annotations

import io
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from labeller.api.app import create_api
from labeller.project import Project, change_settings
from labeller.services import synthesis
from tests.ui.synthetic import add_run, labelled_project

Headers = Callable[..., dict[str, str]]


@pytest.fixture
def pets(tmp_path: Path) -> Project:
    """A project with two runs: three pictures and two, and a mixture."""
    made = labelled_project(tmp_path, start_workers=False)
    add_run(made, 3)
    add_run(made, 2)
    add_run(made, 1, strategy="interpolate")
    return made


@pytest.fixture
def client(pets: Project, headers: Headers) -> Iterator[TestClient]:
    """A client that judges as anna."""
    own = headers("anna", pets)
    with TestClient(create_api(), headers=own, raise_server_exceptions=False) as client:
        yield client


def test_what_nobody_judged_is_listed_with_its_parent(client: TestClient) -> None:
    answer = client.get("/synthetic?limit=4").json()
    assert answer["left"] == 5
    assert [one["synthetic"] for one in answer["items"]] == [1, 2, 3, 4]
    first = answer["items"][0]
    assert (first["class"], first["recipe"], first["run"]) == ("cat", "brightness", 1)
    assert first["parameters"] == {"factor": 0.55}
    assert first["parent_name"] == "cat_0.png"
    assert client.get(f"/{first['parent_image']}&size=card").status_code == 200
    assert client.get("/synthetic?after=4").json()["left"] == 1
    assert [one["synthetic"] for one in client.get("/synthetic?run=2").json()["items"]] == [4, 5]


def test_verdicts_are_stored_in_the_name_of_the_token(client: TestClient, pets: Project) -> None:
    body = {
        "verdicts": [
            {"synthetic": 1, "verdict": "drop"},
            {"synthetic": 2, "verdict": "keep"},
            {"synthetic": 1, "verdict": "keep"},
            {"synthetic": 3, "verdict": None},
            {"synthetic": 99, "verdict": "drop"},
        ]
    }
    assert client.post("/synthetic/verdicts", json=body).json() == {"judged": 3, "others": []}
    said = {one.id: (one.verdict, one.verdict_by) for one in synthesis.children(pets, 1)}
    assert said == {1: ("keep", "anna"), 2: ("keep", "anna"), 3: (None, None)}
    taken_back = {"verdicts": [{"synthetic": 1, "verdict": None}]}
    assert client.post("/synthetic/verdicts", json=taken_back).json() == {"judged": 1, "others": []}
    assert client.get("/synthetic?run=1").json()["left"] == 2


@pytest.mark.parametrize(
    "verdict",
    [{"synthetic": 1, "verdict": "maybe"}, {"synthetic": 0, "verdict": "keep"}, {"synthetic": 1}],
)
def test_a_verdict_that_is_none_is_refused(client: TestClient, verdict: dict[str, object]) -> None:
    assert client.post("/synthetic/verdicts", json={"verdicts": [verdict]}).status_code == 422


def test_pictures_come_in_each_size_and_are_kept_by_the_browser(
    client: TestClient, pets: Project
) -> None:
    change_settings(pets, thumbnail_pixels=32)
    address = client.get("/synthetic").json()["items"][0]["image"]
    for size, side in (("thumb", 32), ("card", 64), ("full", 64)):
        answer = client.get(f"/{address}&size={size}")
        assert Image.open(io.BytesIO(answer.content)).width == side
        assert "immutable" in answer.headers["cache-control"]
    tag = answer.headers["etag"]
    again = client.get("/synthetic/1/image?size=full", headers={"If-None-Match": tag})
    assert again.status_code == 304
    assert client.get("/synthetic/1/image").headers["cache-control"] == "private, no-cache"


def test_a_picture_that_is_gone_says_so(client: TestClient, pets: Project) -> None:
    (pets.root / "synthetic" / "1" / "0.png").unlink()
    answer = client.get("/synthetic/1/image?size=card")
    assert answer.status_code == 410
    assert "Synthetic item 1: the file is gone" in answer.json()["detail"]
    assert client.get("/synthetic/77/image").status_code == 404
    assert client.get("/synthetic/6/image").status_code == 400  # a mixture has none


@pytest.mark.parametrize("address", ["/synthetic", "/synthetic/1/image"])
def test_nothing_is_told_without_a_token(pets: Project, address: str) -> None:
    with TestClient(create_api()) as stranger:
        assert stranger.get(address).status_code == 401
        assert stranger.post("/synthetic/verdicts", json={"verdicts": []}).status_code == 401
