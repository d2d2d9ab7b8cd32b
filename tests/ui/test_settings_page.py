"""The settings page: made from the settings' own metadata."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import fields

import pytest
from streamlit.testing.v1 import AppTest

from labeller import tokens
from labeller.config import Settings, load_settings
from labeller.project import Project, change_settings
from labeller.services import budget, labelling
from labeller.services.labelling import Act
from labeller.ui import settings_page
from labeller.ui.text import escape_markdown

Run = Callable[..., AppTest]


def save(app: AppTest, form: str) -> AppTest:
    button = next(b for b in app.button if b.form_id == form)
    app = button.click().run()
    assert not app.exception
    return app


def test_every_setting_but_the_fixed_ones_can_be_changed(open_app: Run, project: Project) -> None:
    shown = [name for names in settings_page.groups().values() for name in names]
    assert sorted(shown) == sorted(
        f.name
        for f in fields(Settings)
        if f.name not in (*settings_page.FIXED, *settings_page.ELSEWHERE)
    )
    app = open_app(project, "settings")
    assert not app.exception
    for name in shown:
        widgets = (*app.text_input, *app.number_input, *app.selectbox, *app.toggle)
        widget = next(w for w in widgets if w.key == f"setting_{name}")
        assert widget.help
        assert widget.value == getattr(project.settings, name)


def test_a_change_is_written_and_nothing_else(open_app: Run, project: Project) -> None:
    app = open_app(project, "settings")
    app.number_input(key="setting_batch").set_value(33)
    app.selectbox(key="setting_strategy").set_value("entropy")
    app = save(app, "settings_Rounds")
    stored = load_settings(project.root, {})
    assert (stored.batch, stored.strategy) == (33, "entropy")
    assert stored.id == project.id
    assert stored.start_workers is False
    assert app.toast[0].value == "Saved: Strategy, Batch."
    save(app, "settings_Rounds")
    assert load_settings(project.root, {}) == stored


def test_what_the_environment_sets_cannot_be_changed_here(
    open_app: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABELLER_BATCH", "7")
    app = open_app(project, "settings")
    field = app.number_input(key="setting_batch")
    assert field.disabled
    assert field.value == 7
    assert "LABELLER\\_BATCH" in field.help
    save(app, "settings_Rounds")
    assert load_settings(project.root, {}).batch == 6


def mixture(app: AppTest) -> list[tuple[object, object]]:
    """Return the rows of the mixture's editor."""
    assert not app.exception
    names = [w.value for w in app.selectbox if str(w.key).startswith("mixture_strategy_")]
    shares = [w.value for w in app.number_input if str(w.key).startswith("mixture_share_")]
    return list(zip(names, shares, strict=True))


def keys(app: AppTest, start: str) -> list[str]:
    return [
        w.key for w in (*app.selectbox, *app.number_input, *app.button) if w.key and start in w.key
    ]


def test_a_mixture_is_made_row_by_row(open_app: Run, project: Project) -> None:
    app = open_app(project, "settings")
    assert mixture(app) == [("margin", 70.0), ("typiclust", 20.0), ("random", 10.0)]
    assert app.button(key="mixture_save").disabled
    app.button(key="mixture_add").click().run()
    assert len(mixture(app)) == 4
    app.selectbox(key=keys(app, "mixture_strategy_")[3]).set_value("badge").run()
    app.number_input(key=keys(app, "mixture_share_")[0]).set_value(30.0).run()
    app.button(key=keys(app, "mixture_drop_")[1]).click().run()
    assert mixture(app) == [("margin", 30.0), ("random", 10.0), ("badge", 10.0)]
    told = "Pick 60 % by margin, 20 % by random and 20 % by badge."
    assert any(caption.value == escape_markdown(told) for caption in app.caption)
    app.button(key="mixture_save").click().run()
    assert load_settings(project.root, {}).mixture == "margin=30+random=10+badge=10"
    assert app.toast[0].value == "Saved: Mixture."
    assert mixture(app) == [("margin", 30.0), ("random", 10.0), ("badge", 10.0)]
    assert app.button(key="mixture_save").disabled
    app.button(key=keys(app, "mixture_drop_")[2]).click().run()
    assert app.button(key=keys(app, "mixture_drop_")[0]).disabled  # two parts at least


def test_what_is_no_mixture_is_said_and_cannot_be_saved(open_app: Run, project: Project) -> None:
    app = open_app(project, "settings")
    app.selectbox(key=keys(app, "mixture_strategy_")[2]).set_value("margin").run()
    assert "names margin twice" in app.error[0].value
    assert app.button(key="mixture_save").disabled
    app.selectbox(key=keys(app, "mixture_strategy_")[2]).set_value("random").run()
    assert not app.error
    app.number_input(key=keys(app, "mixture_share_")[1]).set_value(0.0).run()
    assert "share of typiclust in a mixture must be above 0" in app.error[0].value
    assert app.button(key="mixture_save").disabled


def test_a_mixture_written_wrongly_by_hand_can_be_mended(open_app: Run, project: Project) -> None:
    change_settings(project, mixture="margin=much")
    app = open_app(project, "settings")
    assert escape_markdown("gives 'margin' no share") in app.warning[0].value
    app.button(key="mixture_save").click().run()
    assert load_settings(project.root, {}).mixture == "margin=70+typiclust=20+random=10"
    assert not app.warning


def test_a_mixture_of_the_environment_is_shown_as_it_is(
    open_app: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABELLER_MIXTURE", "badge=1+random=1")
    app = open_app(project, "settings")
    assert not mixture(app)
    assert app.code[0].value == "badge=1+random=1"


def test_a_file_that_cannot_be_written_is_said_in_place(
    open_app: Run, project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    before = (project.root / "project.toml").read_text()
    app = open_app(project, "settings")
    monkeypatch.setattr(settings_page, "change_settings", _full)
    app.number_input(key="setting_audit_share").set_value(0.2)
    app = save(app, "settings_Splits")
    assert "No space left" in app.error[0].value
    assert (project.root / "project.toml").read_text() == before


def _full(*_: object, **__: object) -> None:
    raise OSError(28, "No space left on device")


def test_the_budget_is_raised_and_never_below_what_is_spent(
    open_app: Run, project: Project
) -> None:
    acts = [Act(f"s{n}", "label", n, "cat") for n in (1, 2, 3)]
    labelling.record(project, "anna", "s", "page", acts)
    app = open_app(project, "settings")
    total = next(w for w in app.number_input if w.label == "Total")
    total.set_value(2.0)
    app = save(app, "budget")
    assert "3 is already spent" in app.error[0].value
    assert budget.meter(project).total == 100.0
    next(w for w in app.number_input if w.label == "Total").set_value(250.0)
    app = save(app, "budget")
    assert budget.meter(project).total == 250.0
    assert app.toast[0].value == "The budget is 250 now."
    next(w for w in app.toggle if w.label == "No limit").set_value(True)
    app = save(app, "budget")
    assert budget.meter(project).total is None
    next(w for w in app.toggle if w.label == "No limit").set_value(False)
    save(app, "budget")
    assert budget.meter(project).total == 1000.0


def test_the_ledger_is_shown(open_app: Run, project: Project) -> None:
    labelling.record(project, "anna", "s", "page", [Act("l", "label", 1, "cat")])
    rows = open_app(project, "settings").dataframe[0].value
    assert list(rows["What"]) == ["Label", "Budget set"]
    assert list(rows["Amount"]) == ["1", "100"]


def test_a_token_is_made_on_request(open_app: Run, project: Project) -> None:
    app = open_app(project, "settings")
    assert not app.code
    app.button(key="make_token").click().run()
    grant = tokens.check(app.code[0].value)
    assert (grant.project.id, grant.annotator, grant.source) == (project.id, "anna", "api")
