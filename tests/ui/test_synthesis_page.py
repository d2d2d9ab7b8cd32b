"""The synthesis page: what is needed, the form, the runs, verdicts and the ablation."""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from streamlit.testing.v1 import AppTest

from labeller.project import Project
from labeller.services import ablations, budget, checking, labelling, synthesis, synthesis_rendering
from labeller.services.ablations import compared
from labeller.services.labelling import Act
from labeller.services.synthesis import ClassOutlook, Outlook
from labeller.ui import (
    plots,
    round_details,
    settings_page,
    synthesis_plots,
    synthesis_preview,
    synthesis_runs,
)
from labeller.ui import synthesis_view as words
from store.records_budget import BudgetRecord
from strategies.synthesis import AugmenterMissing, recipes
from strategies.synthesis.recipes.recipe import Span
from tests.ui.synthetic import add_model, add_run, labelled_project, parents

Run = Callable[..., AppTest]
FOLDER = Path(plots.__file__).parent
TOLD = {"synthetic": 4, "digest": "d" * 64} | compared(
    np.array([0] * 5 + [1] * 5), np.array([0] * 5 + [1] * 5), np.array([0] * 8 + [1] * 2), [1, 2]
)


@pytest.fixture
def labelled(tmp_path: Path) -> Project:
    """Eight cats and three dogs, all labelled; jobs are started by nobody."""
    return labelled_project(tmp_path, start_workers=False)


@pytest.fixture
def no_rendering(monkeypatch: pytest.MonkeyPatch) -> None:
    """Show no preview: what it shows has tests of its own."""
    monkeypatch.setattr(synthesis, "preview", lambda *_, **__: [])


def said(app: AppTest) -> str:
    assert not app.exception
    found = (*app.main.markdown, *app.main.caption, *app.main.warning, *app.main.error)
    return " ".join(text.value for text in found).replace("\\", "")


def section(app: AppTest, project: Project, name: str) -> AppTest:
    return app.segmented_control(key=f"synthesis_section_{project.id}").set_value(name).run()


def html(app: AppTest) -> str:
    return " ".join(one.proto.body for one in app.main.get("html"))


def pills(app: AppTest, label: str) -> Any:
    found: Any = app.main.get("button_group")
    return next(one for one in found if one.label == label)


def test_without_labelled_training_images_it_says_what_to_do(
    open_app: Run, project: Project
) -> None:
    app = open_app(project, "synthesis")
    text = said(app)
    assert "Nothing to make new examples of yet" in text
    assert "label some first" in text
    assert [link.proto.label for link in app.main.get("page_link")] == ["Label images"]
    assert not [one for one in app.main.button if one.key == "synthesis_create"]
    assert "Nothing to check yet" in said(section(app, project, "check"))
    assert "No run yet" in said(section(app, project, "runs"))


def test_a_run_is_started_with_what_was_chosen(
    open_app: Run, labelled: Project, no_rendering: None
) -> None:
    app = open_app(labelled, "synthesis")
    assert "rarest classes first" in said(app)
    assert "5 items would give every class as many" in said(app)
    assert "costs 50 of 100" in html(app)
    app.button(key="synthesis_level").click().run()
    assert app.button(key="synthesis_create").label == "Create 5 items"
    app.button(key="synthesis_none").click().run()
    assert "No recipe is on" in said(app)
    assert app.button(key="synthesis_create").disabled
    pills(app, "Light").set_value(["brightness", "gamma"])
    app.run()
    app.main.selectbox[0].set_value("brightness").run()
    assert "Make darker or brighter" in said(app)
    assert app.button(key="synthesis_whole").disabled
    app.main.slider[0].set_range(0.5, 0.7).run()
    app.main.selectbox[0].set_value("gamma").run()  # what is not shown keeps its range
    app.main.number_input[1].set_value(3).run()
    app.button(key="synthesis_create").click().run()
    with labelled.store.read() as unit:
        (job,) = unit.jobs.active("synthesis")
    plan = job.params["plan"]
    assert plan["strategy"] == "balance"
    assert (plan["count"], plan["seed"], plan["classes"]) == (5, 3, None)
    assert plan["recipes"] == {"brightness": {"factor": [0.5, 0.7]}, "gamma": {}}
    assert "Making new items" in said(app)
    assert "A run is on already" in said(app)
    assert app.button(key="synthesis_create").disabled
    app.button(key=f"synthesis_cancel_{job.id}").click().run()
    with labelled.store.read() as unit:
        assert not unit.jobs.active("synthesis")


def test_a_narrowed_range_is_given_back(
    open_app: Run, labelled: Project, no_rendering: None
) -> None:
    app = open_app(labelled, "synthesis")
    app.main.selectbox[0].set_value("grayscale").run()
    app.main.multiselect[1].set_value(["average"]).run()
    assert not app.button(key="synthesis_whole").disabled
    app.button(key="synthesis_whole").click().run()
    assert app.main.multiselect[1].value == ["luminosity", "average"]
    assert app.button(key="synthesis_whole").disabled


def test_strategies_that_need_a_model_say_so(
    open_app: Run, labelled: Project, no_rendering: None
) -> None:
    app = open_app(labelled, "synthesis")
    app.segmented_control(key=f"synthesis_strategy_{labelled.id}").set_value("weak_spots").run()
    assert "needs a model" in said(app)
    assert app.button(key="synthesis_create").disabled


def test_mixtures_need_no_recipe_and_nobody_can_check_them(
    open_app: Run, labelled: Project
) -> None:
    app = open_app(labelled, "synthesis")
    app.segmented_control(key=f"synthesis_strategy_{labelled.id}").set_value("latent_mixup").run()
    assert "Which classes get more shows when it is made" in said(app)
    found: Any = app.main.get("button_group")
    assert "Light" not in [one.label for one in found]
    assert not app.button(key="synthesis_create").disabled
    run = add_run(labelled, strategy="latent_mixup")
    app = section(open_app(labelled, "synthesis"), labelled, "runs")
    table = app.main.dataframe[1].value
    assert table["Share"].tolist() == [0.75] * 4
    assert table["Mostly of"][0] == "cat_0.png"
    assert checking.waiting(labelled, run) == ([], 0)


def test_a_missing_augmenter_is_named(
    open_app: Run, labelled: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise AugmenterMissing("AugLy is not installed. Install the package augly with pip.")

    monkeypatch.setattr(synthesis_rendering, "check_augmenter", missing)
    app = open_app(labelled, "synthesis")
    assert "Install the package augly" in said(app)
    assert app.button(key="synthesis_create").disabled


def test_a_spent_budget_leads_to_the_settings(
    open_app: Run, labelled: Project, no_rendering: None
) -> None:
    budget.set_total(labelled, 0.5)
    app = open_app(labelled, "synthesis")
    assert "The budget cannot pay" in said(app)
    assert app.button(key="synthesis_create").disabled
    assert "Raise the budget" in [one.proto.label for one in app.main.get("page_link")]


def test_the_preview_shows_parents_and_children(open_app: Run, labelled: Project) -> None:
    app = open_app(labelled, "synthesis")
    shown = html(app)
    assert shown.count("lb-parent") == synthesis_preview.PARENTS
    assert shown.count('lb-child"') == synthesis_preview.PARENTS * synthesis_preview.CHILDREN
    app.main.selectbox[0].set_value("brightness").run()
    one = html(app)
    assert one.count("factor 0.") + one.count("factor 1") > 3
    app.button(key="synthesis_draw_again").click().run()
    assert html(app) != one
    assert not app.exception


def test_what_cannot_be_rendered_says_why_in_the_preview() -> None:
    parent = {"src": "data:,", "small": "", "title": "<b>.png", "text": "<b>.png"}
    child = {"title": "Blur", "recipe": "Blur", "text": "radius 1", "error": "<gone>"}
    rows = [[parent, child]]
    text = synthesis_preview.grid_html(rows, named=True)
    assert "&lt;gone&gt;" in text
    assert "&lt;b&gt;.png" in text
    assert "<b>" not in text
    assert "radius" not in text
    assert "radius 1" in synthesis_preview.grid_html(rows, named=False)


def test_children_are_judged_together_and_the_run_deleted(open_app: Run, labelled: Project) -> None:
    add_run(labelled, 2)
    run = add_run(labelled, 3, price=2.0)
    folder = labelled.root / "synthetic" / str(run)
    app = section(open_app(labelled, "synthesis"), labelled, "runs")
    table = app.main.dataframe[0].value
    assert table["Run"].tolist() == [run, run - 1]
    assert table["Cost"].tolist() == ["6", "2"]
    assert table["Unjudged"].tolist() == [3, 2]
    assert "narrowed: Brightness" in said(app)
    ids = [one.id for one in synthesis.children(labelled, run)]
    synthesis.judge(labelled, ids[:1], "drop", "anna")
    app.run()
    verdicts = pills(app, "Verdict")
    assert verdicts.options == ["All 3", "Unjudged 2", "Kept 0", "Dropped 1"]
    verdicts.set_value("keep").run()
    assert "None of its items is so judged" in said(app)
    assert budget.meter(labelled).spent == 8
    app.button(key=f"synthesis_delete_{run}").click().run()
    assert not folder.exists()
    assert budget.meter(labelled).spent == 2
    table = app.main.dataframe[0].value
    assert table["State"].tolist() == ["Deleted", "Done"]
    assert f"Run {run - 1}" in [head.value for head in app.main.subheader]


def test_the_ledger_names_what_was_bought_and_for_how_much(labelled: Project) -> None:
    run = add_run(labelled, 3, price=2.0)
    synthesis.delete(labelled, run)
    rows = [settings_page.ledger_row(line) for line in budget.ledger(labelled)]
    assert [(row["What"], row["Amount"]) for row in rows] == [
        (f"synthesis run {run} deleted", "6"),
        (f"3 synthetic items of run {run}", "6"),
        ("Budget set", "100"),
    ]


def test_a_stopped_run_says_why_and_can_go_on(open_app: Run, labelled: Project) -> None:
    run = add_run(labelled, 2, state="failed", planned=6)
    app = section(open_app(labelled, "synthesis"), labelled, "runs")
    assert "the disk is full" in said(app)
    app.button(key=f"synthesis_resume_{run}").click().run()
    with labelled.store.read() as unit:
        (job,) = unit.jobs.active("synthesis")
    assert job.params == {"run": run}


def test_the_ablation_of_the_next_round_stands_with_the_run(
    open_app: Run, labelled: Project
) -> None:
    run = add_run(labelled)
    app = section(open_app(labelled, "synthesis"), labelled, "runs")
    assert "measured by the next round" in said(app)
    number = add_model(labelled, TOLD)
    app.run()
    text = said(app)
    assert f"What round {number} gained" in text
    assert "+30.0 points" in text
    assert "3 only right with them, 0 only right without" in text
    later = add_run(labelled, 1)
    views = {one.run.id: one for one in synthesis.runs(labelled)}
    assert synthesis_runs.next_ablation(labelled, views[later])[0] is None
    assert synthesis_runs.next_ablation(labelled, views[run])[0] is not None

    rounds = open_app(labelled, "rounds")
    assert [tab.label for tab in rounds.tabs][-1] == "Synthetic items"
    assert "+30.0 points" in said(rounds)


def test_an_ablation_without_audit_labels_says_so(labelled: Project) -> None:
    nothing = np.array([], np.int64)
    add_model(labelled, {"synthetic": 1, "digest": "d"} | compared(nothing, nothing, nothing, [1]))
    (found,) = ablations.all_of(labelled)
    text = round_details.ablation_line(found)
    assert text == "Trained with 1 synthetic item. No item of the audit set is labelled yet."


def test_only_what_still_teaches_is_asked(labelled: Project) -> None:
    run = add_run(labelled, 4)
    first, second, *_ = synthesis.children(labelled, run)
    synthesis.judge(labelled, [first.id], "keep", "anna")
    label = Act("again", "label", second.parent_id, "dog")
    clear = Act("clear", "clear", second.parent_id)
    labelling.record(labelled, "anna", "s", "page", [clear, label])
    asked, left = checking.waiting(labelled)
    assert left == 2
    assert [one.child.place for one in asked] == [2, 3]
    assert [one.parent.id for one in asked] == [i for i, _ in parents(labelled)][2:4]
    assert checking.waiting(labelled, run + 1) == ([], 0)
    assert [one.child.place for one in checking.waiting(labelled, run, 0, 1)[0]] == [2]
    assert checking.waiting(labelled, run, asked[0].child.id)[1] == 1


@pytest.mark.parametrize(
    ("span", "step", "shown"),
    [
        (Span("a", 0.45, 1.6, ""), 0.01, "%.2f"),
        (Span("a", 0.003, 0.015, ""), 0.0001, "%.4f"),
        (Span("a", 0, 360, ""), 10, "%.0f"),
        (Span("a", 12, 50, "", whole=True), 1, "%d"),
    ],
)
def test_sliders_have_round_steps(span: Span, step: float, shown: str) -> None:
    slide = words.slide(span)
    assert (slide.low, slide.high) == (span.low, span.high)
    assert slide.step == pytest.approx(step)
    assert slide.format == shown
    assert len({type(slide.low), type(slide.high), type(slide.step)}) == 1


def test_every_range_has_a_slider_and_its_ends_are_allowed() -> None:
    for recipe in recipes.BY_NAME.values():
        for span in recipe.parameters:
            if isinstance(span, Span):
                slide = words.slide(span)
                assert words.limit(span, (slide.low, slide.high)) is None
                inner = words.limit(span, (slide.low + slide.step, slide.high))
                assert inner is not None
                recipe.narrowed(**{span.name: inner})


def test_a_slider_that_drifts_stays_in_its_range() -> None:
    span = Span("a", 0.1, 0.3, "")
    assert words.limit(span, (0.1, 0.1 + 0.2)) is None
    assert words.limit(span, (0.15000000000000002, 0.3)) == (0.15, 0.3)


def outlook(left: float | None, possible: int, *counts: tuple[int, int, int]) -> Outlook:
    classes = tuple(ClassOutlook(n, f"c{n}", "#000000", *row) for n, row in enumerate(counts))
    return Outlook(possible, possible, 2.0, 2.0 * possible, left, True, 9, (), classes, (), None)


def test_the_cost_is_hatched_behind_what_is_spent() -> None:
    meter = words.cost_meter(BudgetRecord(100.0, 20.0, 10.0), outlook(70.0, 10))
    assert (meter.headline, meter.spent, meter.reserved) == ("costs 20 of 70", 0.3, 0.2)
    assert meter.text == "10 items at 2; 50 left afterwards"
    assert not meter.empty
    endless = words.cost_meter(BudgetRecord(None, 20.0, 0.0), outlook(None, 1))
    assert (endless.headline, endless.text) == ("costs 2", "1 item at 2; no limit set")
    assert words.cost_meter(BudgetRecord(10.0, 9.0, 0.0), outlook(1.0, 0)).empty


def test_levelling_counts_only_classes_that_have_parents() -> None:
    assert words.levelling(outlook(None, 1, (8, 0, 0), (3, 2, 0), (0, 0, 0))) == 3
    assert words.levelling(outlook(None, 1)) == 0


def test_parameters_are_told_in_words() -> None:
    assert words.told({"line_width": 0.12345, "color": "light_grey", "quality": 12}) == (
        "line width 0.123, color light grey, quality 12"
    )
    assert words.told({"partner": 4, "weight": 0.75}) == "75\u202f% of it, the rest of item 4"
    assert words.recipes_used({}) == ["the usual recipes"]
    assert words.recipes_used({"blur": {}, "pad": {"color": ["black"]}}) == [
        "Blur, Frame",
        "narrowed: Frame",
    ]


@pytest.mark.parametrize("dark", [False, True])
def test_figures_hold_the_numbers(labelled: Project, dark: bool) -> None:
    found = outlook(None, 3, (8, 1, 0), (3, 0, 3))
    bars = synthesis_plots.class_counts(found.classes).data
    assert [(bar.name, list(bar.x)) for bar in bars] == [
        ("Labels", [8, 3]),
        ("Synthetic so far", [1, 0]),
        ("This run", [0, 3]),
    ]
    add_model(labelled, TOLD)
    without, with_ = synthesis_plots.ablation(ablations.all_of(labelled)[0], dark).data
    assert (without.x[0], with_.x[0]) == (70.0, 100.0)
    low, high = 100 * np.array(TOLD["without"]["interval"])  # type: ignore[index]
    assert without.x[0] - without.error_x.arrayminus[0] == pytest.approx(low)
    assert without.x[0] + without.error_x.array[0] == pytest.approx(high)


@pytest.mark.parametrize(
    "script", [path for name in ("check", "live", "keys") for path in FOLDER.glob(f"{name}/*.js")]
)
def test_scripts_put_data_in_as_text(script: Path) -> None:
    text = script.read_text(encoding="utf-8")
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)
    assert text.count("\n") < 300
