"""JSON types in requests: what is of another type is refused, and numbers are never guessed."""

from __future__ import annotations

from typing import Any

import pytest
from fastapi.testclient import TestClient
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from labeller.project import Project
from labeller.services import classes
from tests.cards import labels_of

LABEL = {"key": "k", "kind": "label", "item": 1, "class": "cat"}


def send(client: TestClient, **fields: Any) -> Any:
    event = {name: value for name, value in (LABEL | fields).items() if value is not ...}
    return client.post("/labels", json={"session": "s", "events": [event]})


@pytest.mark.parametrize(
    ("field", "value", "word"),
    [
        ("class", True, "class name (text), or an integer"),
        ("class", 1.0, "class name (text), or an integer"),
        ("class", ["cat"], "class name (text), or an integer"),
        ("class", {"name": "cat"}, "class name (text), or an integer"),
        ("class", None, "needs either `class` or `class_id`"),
        ("class", "", "at least 1 character"),
        ("item", True, "valid integer"),
        ("item", 1.0, "valid integer"),
        ("item", "1", "valid integer"),
        ("item", None, "valid integer"),
        ("key", 5, "valid string"),
        ("key", False, "valid string"),
        ("kind", True, "'label', 'skip' or 'flag'"),
        ("duration_ms", True, "valid integer"),
        ("duration_ms", 12.0, "valid integer"),
        ("duration_ms", "12", "valid integer"),
        ("client_at", True, "valid number"),
        ("client_at", "12", "valid number"),
        ("reason", 1, "valid string"),
        ("class_id", 1, "either `class` or `class_id`"),
        ("other", 1, "not permitted"),
    ],
)
def test_another_type_is_refused_by_name(
    client: TestClient, project: Project, field: str, value: Any, word: str
) -> None:
    answer = send(client, **{field: value})
    assert answer.status_code == 422
    assert word in answer.json()["detail"]
    assert not labels_of(project)


@pytest.mark.parametrize("value", [True, 1.0, "1", None])
def test_a_class_id_is_an_integer(client: TestClient, value: Any) -> None:
    answer = send(client, **{"class": ..., "class_id": value})
    assert answer.status_code == 422


def test_a_class_beside_a_skip_is_told(client: TestClient) -> None:
    answer = send(client, kind="skip")
    assert answer.status_code == 422
    assert "a skip has no class" in answer.json()["detail"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/queue/claim", {"session": "s", "n": True}),
        ("/queue/claim", {"session": "s", "n": 2.0}),
        ("/queue/claim", {"session": "s", "n": "2"}),
        ("/queue/claim", {"session": 1, "n": 2}),
        ("/queue/renew", {"session": True}),
        ("/queue/release", {"session": "s", "items": [True]}),
        ("/queue/release", {"session": "s", "items": [1.0]}),
        ("/queue/release", {"session": "s", "items": "1"}),
        ("/undo", {"session": "s", "events": [{"key": "u", "undoes": 1}]}),
        ("/rounds", {"batch": True}),
        ("/rounds", {"batch": 10.0}),
        ("/rounds", {"strategy": 1}),
        ("/synthetic/verdicts", {"verdicts": [{"synthetic": True, "verdict": "keep"}]}),
        ("/synthetic/verdicts", {"verdicts": [{"synthetic": 1, "verdict": True}]}),
    ],
)
def test_every_request_is_as_strict(client: TestClient, path: str, body: dict[str, Any]) -> None:
    answer = client.post(path, json=body)
    assert answer.status_code == 422, answer.text


@pytest.mark.parametrize("value", ["true", "1.5", "1e0", "one", "0"])
def test_numbers_in_addresses_are_whole(client: TestClient, value: str) -> None:
    assert client.get(f"/items/{value}").status_code == 422


def names_now(project: Project) -> dict[str, int]:
    return {record.name: record.id for record in classes.listed(project)}


@pytest.fixture
def digits(project: Project) -> dict[str, int]:
    """Classes whose names are numbers: 0 has the id 3, 1 the id 4, 2 the id 5."""
    classes.add(project, ["0", "1", "2", "3", "77", "-1"])
    return names_now(project)


@pytest.mark.parametrize("name", ["0", "1", "3", "77", "-1"])
def test_text_is_always_a_name(
    client: TestClient, project: Project, name: str, digits: Any
) -> None:
    assert send(client, **{"class": name}).json()["results"][0]["status"] == "accepted"
    assert list(labels_of(project).values()) == [name]


def test_a_class_id_is_never_a_name(
    client: TestClient, project: Project, digits: dict[str, int]
) -> None:
    answer = send(client, **{"class": ..., "class_id": digits["1"]})
    assert answer.json()["results"][0]["status"] == "accepted"
    assert list(labels_of(project).values()) == ["1"]


@pytest.mark.parametrize("number", [0, 77, -1])
def test_a_number_that_is_only_a_name(
    client: TestClient, project: Project, digits: dict[str, int], number: int
) -> None:
    assert send(client, **{"class": number}).json()["results"][0]["status"] == "accepted"
    assert list(labels_of(project).values()) == [str(number)]


@pytest.mark.parametrize("number", [1, 2, 3])
def test_a_number_that_is_two_classes_is_refused(
    client: TestClient, project: Project, digits: dict[str, int], number: int
) -> None:
    (result,) = send(client, **{"class": number}).json()["results"]
    assert result["status"] == "refused"
    assert f'Write "{number}" for the name' in result["reason"]
    assert not labels_of(project)


def test_a_number_that_is_no_class(client: TestClient, digits: dict[str, int]) -> None:
    (result,) = send(client, **{"class": 500}).json()["results"]
    assert (result["status"], result["reason"]) == (
        "refused",
        "There is no class 500 in this project.",
    )


ANYTHING: st.SearchStrategy[Any] = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.text(), st.none(), max_size=1),
)


@settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)
@given(field=st.sampled_from(["class", "class_id", "item", "duration_ms"]), value=ANYTHING)
def test_whatever_is_sent_is_taken_by_its_type_or_refused(
    client: TestClient, field: str, value: Any
) -> None:
    fields = {field: value} | ({"class": ...} if field == "class_id" else {})
    answer = send(client, **fields)
    assert answer.status_code in (200, 422)
    wanted = (str, int) if field == "class" else (int,)
    optional = value is None and field == "duration_ms"
    if not optional and (isinstance(value, bool) or not isinstance(value, wanted)):
        assert answer.status_code == 422
