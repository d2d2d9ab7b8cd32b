"""Choices in the address, without a browser: what is read, what is refused, what is written."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from labeller.project import Project
from labeller.ui import address
from tests.ui.test_rounds_page import add_round

Run = Callable[..., AppTest]


def query(app: AppTest) -> dict[str, Any]:
    """Return the address as single values."""
    return {
        name: value[0] if isinstance(value, list) else value
        for name, value in app.query_params.items()
    }


@pytest.fixture
def linked(open_app: Run, project: Project) -> Callable[..., AppTest]:
    """Return a function that opens a page by a link."""

    def follow(page: str, /, **asked: str) -> AppTest:
        app = open_app(project)  # AppTest knows pages only once they ran
        app.query_params.clear()
        for name, value in asked.items():
            app.query_params[name] = value
        return app.switch_page(f"pages/{page}.py").run()

    return follow


def test_a_link_opens_the_view_and_the_usual_is_not_in_it(
    linked: Callable[..., AppTest], project: Project
) -> None:
    app = linked("images", split="train", order="path", size="S", find="00")
    assert not app.exception
    assert (app.selectbox(key="browse_split").value, app.selectbox(key="browse_order").value) == (
        "train",
        "path",
    )
    assert app.text_input(key="browse_text").value == "00"
    assert query(app) == {
        "project": project.id,
        "split": "train",
        "order": "path",
        "size": "S",
        "find": "00",
    }
    app.selectbox(key="browse_split").select("").run()
    assert "split" not in query(app)
    assert query(app)["order"] == "path"


@pytest.mark.parametrize(
    ("name", "bad"),
    [
        ("class", "999"),
        ("class", "<script>"),
        ("state", "odd"),
        ("page", "2"),
        ("page", "٣"),
        ("page", "9" * 5_000),
        ("find", "a\x00b"),
        ("find", "x" * 201),
        ("nobody", "knows"),
    ],
)
def test_what_is_not_there_is_left_out_and_said(
    linked: Callable[..., AppTest], project: Project, name: str, bad: str
) -> None:
    app = linked("images", **{name: bad, "order": "path"})
    assert not app.exception
    assert query(app) == {"project": project.id, "order": "path"}
    (toast,) = app.toast
    assert "asks for what is not there" in toast.value
    assert "<" not in toast.value.replace("\\<", "")


def test_the_chosen_row_is_in_the_address(linked: Callable[..., AppTest], project: Project) -> None:
    add_round(project, 4, 24, 40)
    add_round(project, 8, 30, 40)
    app = linked("rounds", round="1")
    assert not app.exception
    assert not app.toast
    assert query(app) == {"project": project.id, "round": "1"}
    assert app.tabs[0].label == "Confusion matrix"
    assert len(linked("rounds", round="77").toast) == 1


def test_several_rows_are_named(linked: Callable[..., AppTest], project: Project) -> None:
    add_round(project, 4, 24, 40)
    add_round(project, 8, 30, 40)
    assert query(linked("models", models="1,2"))["models"] == "2,1"
    assert query(linked("models", models="none"))["models"] == "none"
    refused = linked("models", models="1,9")
    assert "models" not in query(refused)
    assert len(refused.toast) == 1


def test_a_refusal_names_a_few_and_cuts_them() -> None:
    wanted = {f"n{place}": "x" * 100 for place in range(5)}
    said = address.refusal(sorted(wanted), wanted)
    assert said.count(" = ") == 3
    assert "and 2 more" in said
    assert len(said) < 300
