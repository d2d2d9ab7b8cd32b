"""Images through the API: sizes, caching, what is gone, and no way out of the project."""

from __future__ import annotations

import io

import pytest
from fastapi.testclient import TestClient
from PIL import Image

from labeller.project import Project, change_settings
from store.records import NewItem


def size_of(data: bytes) -> tuple[int, int]:
    return Image.open(io.BytesIO(data)).size


def test_each_size(client: TestClient, project: Project) -> None:
    change_settings(project, thumbnail_pixels=32)
    found = {s: client.get(f"/items/1/image?size={s}") for s in ("thumb", "card", "full")}
    assert {s: size_of(a.content) for s, a in found.items()} == {
        "thumb": (32, 24),
        "card": (160, 120),
        "full": (160, 120),
    }
    assert all(a.headers["content-type"] == "image/jpeg" for a in found.values())
    assert client.get("/items/1/image").content == found["card"].content
    assert client.get("/items/1/image?size=huge").status_code == 422


def test_a_versioned_address_is_kept_for_ever_others_are_asked_again(client: TestClient) -> None:
    address = client.get("/items/1").json()["image"]
    kept = client.get(f"/{address}&size=card")
    assert kept.headers["cache-control"] == "private, max-age=31536000, immutable"
    asked = client.get("/items/1/image?size=card")
    assert asked.headers["cache-control"] == "private, no-cache"
    stale = client.get("/items/1/image?size=card&v=old")
    assert stale.headers["cache-control"] == "private, no-cache"
    tag = asked.headers["etag"]
    again = client.get("/items/1/image?size=card", headers={"If-None-Match": f'"x", {tag}'})
    assert (again.status_code, again.content) == (304, b"")
    other = client.get("/items/1/image?size=thumb", headers={"If-None-Match": tag})
    assert other.status_code == 200


def test_a_file_that_is_gone_or_changed_is_410_with_the_reason(
    client: TestClient, project: Project
) -> None:
    (project.root / "images" / "0000.jpg").unlink()
    (project.root / "images" / "0001.jpg").write_bytes(b"no image")
    for number in (1, 2):
        answer = client.get(f"/items/{number}/image?size=card")
        assert answer.status_code == 410
        assert f"{number - 1:04d}.jpg" in answer.json()["detail"]


@pytest.mark.parametrize("number", ["999", "9223372036854775807"])
def test_an_unknown_item_is_404(client: TestClient, number: str) -> None:
    assert client.get(f"/items/{number}").status_code == 404
    assert client.get(f"/items/{number}/image").status_code == 404


@pytest.mark.parametrize(
    "path",
    [
        "/items/../secret.key",
        "/items/..%2f..%2fsecret.key/image",
        "/items/1/image/../../../secret.key",
        "/items/1%00/image",
        "/items/-1/image",
        "/items/9223372036854775808/image",
    ],
)
def test_no_address_leads_to_another_file(client: TestClient, project: Project, path: str) -> None:
    answer = client.get(path)
    assert answer.status_code in (404, 422)
    assert project.secret() not in answer.text


def test_a_stored_path_out_of_the_project_serves_nothing(
    client: TestClient, project: Project
) -> None:
    """A database from elsewhere may name any relative path."""
    record = NewItem("f" * 64, "../../secret.key", True, 10, 10, "JPEG", 64, "g", "train")
    with project.store.write() as unit:
        item = unit.items.add([record])[0]
    (project.root.parent / "secret.key").write_text("s" * 64)
    answer = client.get(f"/items/{item}/image?size=full")
    assert answer.status_code in (400, 404, 410)
    assert "ssss" not in answer.text


def test_an_item_tells_its_label(client: TestClient) -> None:
    assert client.get("/items/1").json()["label"] is None
    event = {"key": "k", "kind": "label", "item": 1, "class": "dog"}
    client.post("/labels", json={"session": "s", "events": [event]})
    item = client.get("/items/1").json()
    assert (item["state"], item["label"]["name"], item["label"]["annotator"]) == (
        "labelled",
        "dog",
        "anna",
    )
