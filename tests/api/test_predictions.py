"""Images of kept predictions through the API: rows by number, and no way to any other file."""

from __future__ import annotations

import io
from collections.abc import Callable
from pathlib import Path

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from labeller.project import Project
from labeller.services import predicting, predictions
from tests import predicted
from tests.cards import queued_project

Headers = dict[str, str]


@pytest.fixture
def photos(project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Two images outside the project and a file that is none, all predicted."""
    monkeypatch.setattr(predicting, "COMMAND", predicted.COMMAND)
    predicted.add_model(project)
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    for number, colour in enumerate(("red", "blue")):
        Image.new("RGB", (300, 200), colour).save(folder / f"{number}.png")
    (folder / "secret.png").write_text("a secret")
    predicted.predict(project, folder)
    return folder


def test_an_image_is_sent_small_or_large(client: TestClient, photos: Path) -> None:
    found = {size: client.get(f"/predictions/1/images/0?size={size}") for size in ("thumb", "card")}
    sizes = {size: Image.open(io.BytesIO(answer.content)).size for size, answer in found.items()}
    assert sizes == {"thumb": (256, 171), "card": (300, 200)}
    assert {answer.headers["content-type"] for answer in found.values()} == {"image/jpeg"}
    assert client.get("/predictions/1/images/0?size=full").status_code == 422


def test_a_versioned_address_is_kept_for_ever(
    client: TestClient, project: Project, photos: Path
) -> None:
    address = predictions.image_url(project, predictions.get(project, 1), 1)
    kept = client.get(f"/{address}&size=thumb")
    assert kept.headers["cache-control"] == "private, max-age=31536000, immutable"
    again = client.get(
        "/predictions/1/images/1?size=thumb", headers={"If-None-Match": kept.headers["etag"]}
    )
    assert (again.status_code, again.content) == (304, b"")
    predictions.delete(project, 1)
    assert client.get(f"/{address}&size=thumb").status_code == 404
    predicted.predict(project, photos)  # a later prediction of the number has other addresses
    later = predictions.image_url(project, predictions.get(project, 1), 1)
    assert later != address
    assert client.get(f"/{address}&size=thumb").headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(
    "path",
    [
        "/predictions/2/images/0",
        "/predictions/1/images/2",  # could not be read
        "/predictions/1/images/3",
        "/predictions/1/images/9223372036854775807",
        "/predictions/1/images/-1",
        "/predictions/0/images/0",
        "/predictions/1/images/secret.png",
        "/predictions/1/images/..%2f..%2f..%2fsecret.key",
        "/predictions/../secret.key",
        "/predictions/..%2f..%2felsewhere/images/0",
    ],
)
def test_no_address_leads_to_another_file(
    client: TestClient, project: Project, photos: Path, path: str
) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 422)
    assert "a secret" not in answer.text
    assert project.secret() not in answer.text


def test_a_file_that_took_the_place_of_the_image_is_not_sent(
    client: TestClient, project: Project, photos: Path
) -> None:
    for number in range(2):
        (photos / f"{number}.png").unlink()
        (photos / f"{number}.png").symlink_to(project.root / "secret.key")
    for number in range(2):
        answer = client.get(f"/predictions/1/images/{number}")
        assert answer.status_code == 410
        assert "has changed since it was predicted" in answer.json()["detail"]


def test_another_project_sees_its_own_only(
    client: TestClient, photos: Path, tmp_path: Path, headers: Callable[..., Headers]
) -> None:
    other = queued_project(tmp_path / "other", items=1, classes=["x"])
    answer = client.get("/predictions/1/images/0", headers=headers("anna", other))
    assert answer.status_code == 404
