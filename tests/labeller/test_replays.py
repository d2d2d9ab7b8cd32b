"""Replays without torch: the plan, the statistics by hand, the files."""

from __future__ import annotations

import csv
import json
from pathlib import Path
from typing import Any

import pytest

from labeller.errors import ReplayError
from labeller.services import replay_files, replays
from labeller.services.replay_results import (
    Run,
    area,
    caveats,
    compared,
    interval,
    labels_to_reach,
)
from labeller.services.replays import Labelled, Plan

LABELS = (10, 20, 40)


def runs(strategy: str, *curves: tuple[float, ...]) -> list[Run]:
    return [Run(strategy, seed, LABELS, curve, 1.0) for seed, curve in enumerate(curves)]


def two() -> list[Run]:
    return [
        *runs("random", (0.2, 0.4, 0.6), (0.4, 0.4, 0.8)),
        *runs("margin", (0.2, 0.6, 0.79), (0.4, 0.61, 1.0)),
    ]


def test_area_is_the_mean_over_the_budget() -> None:
    # trapezoids: 10 wide of mean 0.3, 20 wide of mean 0.5, over 30 labels
    assert area(LABELS, (0.2, 0.4, 0.6)) == pytest.approx((10 * 0.3 + 20 * 0.5) / 30)
    assert area((10,), (0.7,)) == 0.7


@pytest.mark.parametrize(
    ("target", "labels"), [(0.1, 10.0), (0.3, 15.0), (0.4, 20.0), (0.5, 30.0), (0.7, None)]
)
def test_labels_to_reach_lie_between_the_points(target: float, labels: float | None) -> None:
    found = labels_to_reach(LABELS, (0.2, 0.4, 0.6), target)
    assert found == (None if labels is None else pytest.approx(labels))


def test_a_curve_that_falls_again_counts_from_where_it_first_reached() -> None:
    assert labels_to_reach(LABELS, (0.2, 0.6, 0.3), 0.4) == pytest.approx(15)


def test_interval_is_students() -> None:
    # t of 2 degrees of freedom at 97.5 % is 4.302653, the standard error of 1, 2, 3 is 1/√3
    low, high = interval([1.0, 2.0, 3.0]) or (0, 0)
    assert (low, high) == pytest.approx((2 - 4.302653 / 3**0.5, 2 + 4.302653 / 3**0.5), rel=1e-6)
    assert interval([1.0]) is None


def test_strategies_are_ranked_and_compared_seed_by_seed() -> None:
    margin, random = compared(two())
    assert (margin["strategy"], margin["rank"], random["rank"]) == ("margin", 1, 2)
    assert random["final"] == pytest.approx(0.7)
    # margin's mean is 0.605 at 20 labels and 0.895 at 40
    assert margin["labels_to_random_final"] == pytest.approx(20 + 20 * 0.095 / 0.29)
    assert random["labels_to_random_final"] == 40
    # the first seed gains 0.2 and 0.19, the second 0.21 and 0.2, after 20 and 40 labels
    gains = [(10 * 0.1 + 20 * 0.195) / 30, (10 * 0.105 + 20 * 0.205) / 30]
    assert margin["difference"] == pytest.approx(sum(gains) / 2)
    # t of 1 degree of freedom is 12.7062, the standard error half the seeds' distance
    half = 12.7062 * (gains[1] - gains[0]) / 2
    bounds = [sum(gains) / 2 - half, sum(gains) / 2 + half]
    assert margin["difference_interval"] == pytest.approx(bounds, abs=1e-5)
    assert margin["verdict"] == "better"
    assert random["verdict"] is None
    labels, mean, (low, high) = margin["curve"][0]
    assert (labels, mean) == (10, pytest.approx(0.3))
    assert low == 0  # within 0 to 1, though t with two seeds reaches far below
    assert high == 1
    assert margin["below_random_at"] == []


def test_worse_than_random_is_said_with_the_labels() -> None:
    flipped = [Run({"random": "margin"}.get(r.strategy, "random"), *_rest(r)) for r in two()]
    last = compared(flipped)[-1]
    assert (last["strategy"], last["verdict"]) == ("margin", "worse")
    assert last["below_random_at"] == [20, 40]


def _rest(run: Run) -> tuple[Any, ...]:
    return run.seed, run.labels, run.accuracy, run.seconds


def test_equal_strategies_share_a_rank_and_show_no_difference() -> None:
    rows = compared([*two()[:2], *runs("margin", (0.2, 0.4, 0.6), (0.4, 0.4, 0.8))])
    assert [row["rank"] for row in rows] == [1, 1]
    verdicts = {row["strategy"]: row["verdict"] for row in rows}
    assert verdicts == {"random": None, "margin": "no difference shown"}


def test_seeds_that_agree_to_the_last_digit_prove_nothing() -> None:
    same = runs("random", (0.2, 0.4, 0.6), (0.2, 0.4, 0.6))
    rows = compared([*same, *runs("margin", (0.2, 0.3, 0.6), (0.2, 0.3, 0.6))])
    margin = next(row for row in rows if row["strategy"] == "margin")
    assert margin["verdict"] == "no spread to judge by"
    assert margin["difference_interval"] is None
    assert margin["below_random_at"] == []


def test_one_seed_has_no_intervals() -> None:
    rows = compared([*runs("random", (0.2, 0.4, 0.6)), *runs("margin", (0.2, 0.5, 0.6))])
    assert rows[0]["curve"][0][2] is None
    assert rows[0]["area_interval"] is None
    assert rows[0]["verdict"] == "one seed says nothing"


def test_bias_is_put_into_words() -> None:
    told = " ".join(caveats({"margin": 70, "random": 20, "": 10}, 100, 30, True, 3))
    assert "70 of the 100 images" in told
    assert "margin 70" in told
    assert "3 seeds mislead easily" in told
    assert "stratified share" in told
    told = " ".join(caveats({"": 100}, 100, 60, False, 10))
    assert "None of the 100 labels" in told
    assert "audit set" in told


def test_a_plan_always_has_random_and_knows_its_points() -> None:
    plan = replays.checked(["margin", "margin"], 25, 10, 3)
    assert plan == Plan(("margin", "random"), 25, 10, 3)
    assert plan.points == (10, 20, 25)
    assert plan.steps == 18
    assert replays.checked(["random"], 20, 10, 1).points == (10, 20)
    assert replays.plan_of(json.loads(json.dumps(replays.written(plan)))) == plan


@pytest.mark.parametrize(
    ("strategies", "numbers", "text"),
    [
        (["margn"], (20, 5, 1), "Did you mean 'margin'"),
        (["fixed_threshold"], (20, 5, 1), "is a stream strategy"),
        (["margin:70", "random:30"], (20, 5, 1), "plus signs where commas part one strategy"),
        (["margin"], (20, 20, 1), "leaves nothing to pick"),
        (["margin"], (20, 1, 1), "at least 2 labels"),
        (["margin"], (20, 5, 0), "0 seeds"),
    ],
)
def test_plans_that_cannot_be_are_refused(
    strategies: list[str], numbers: tuple[int, int, int], text: str
) -> None:
    with pytest.raises(ReplayError, match=text):
        replays.checked(strategies, *numbers)


def test_a_mixture_is_compared_like_any_other() -> None:
    plan = replays.checked(["margin:70+random:30", "margin=70+random=30", "margin"], 20, 5, 1)
    assert plan.strategies == ("margin=70+random=30", "margin", "random")
    assert replays.plan_of(replays.written(plan)) == plan


def test_labels_that_do_not_suffice_are_refused() -> None:
    plan = replays.checked(["margin"], 200, 10, 1)
    with pytest.raises(ReplayError, match="needs two classes"):
        replays.check_labels(Labelled({}, {"cat": 100}))
    with pytest.raises(ReplayError, match="Too few images"):
        replays.check_labels(Labelled({}, {"cat": 3, "dog": 3}))
    with pytest.raises(ReplayError, match="Too few images"):
        replays.check_labels(Labelled({}, {}))
    with pytest.raises(ReplayError, match="No class has two labels"):
        replays.check_labels(Labelled({}, {str(name): 1 for name in range(20)}))
    found = Labelled({"cat": 10}, {"cat": 100, "dog": 100})
    assert (found.drawn, found.pool) == (50, 150)
    with pytest.raises(ReplayError, match=r"more than the 150 .*\(60 are held out"):
        replays.check_labels(found, plan)
    audited = Labelled({"cat": 30, "dog": 20}, {"cat": 100, "dog": 100})
    assert (audited.drawn, audited.pool) == (0, 200)
    replays.check_labels(audited, plan)


@pytest.mark.parametrize("each", [7, 20, 300, 5_000])
def test_what_is_suggested_can_be_done(each: int) -> None:
    found = Labelled({}, {"cat": each, "dog": each})
    first = replays.suggested(found)
    assert replays.checked(first.strategies, first.budget, first.batch, first.seeds) == first
    replays.check_labels(found, first)


def test_a_folder_keeps_to_its_settings(tmp_path: Path) -> None:
    out = tmp_path / "new" / "out"
    replay_files.prepare(out, {"budget": 20, "planned": ["margin", "random"]})
    replay_files.prepare(out, {"budget": 20, "planned": ["margin", "random"]})
    with pytest.raises(ReplayError, match=r"other settings \(strategies margin, random\)"):
        replay_files.prepare(out, {"budget": 20, "planned": ["random"]})
    (tmp_path / "mine.txt").write_text("keep me")
    with pytest.raises(ReplayError, match="not an empty folder"):
        replay_files.prepare(tmp_path, {"budget": 20})


def test_runs_are_kept_unless_the_labels_changed(tmp_path: Path) -> None:
    for run in two():
        replay_files.write_run(tmp_path, run, "data")
    kept = replay_files.read_runs(tmp_path, "data")
    assert kept["margin", 1] == two()[3]
    assert len(kept) == 4
    with pytest.raises(ReplayError, match="other labels"):
        replay_files.read_runs(tmp_path, "others")
    (tmp_path / "runs" / "margin-000.json").write_text("{")
    with pytest.raises(ReplayError, match="cannot be read"):
        replay_files.read_runs(tmp_path, "data")


def test_tables_and_the_list_of_replays(tmp_path: Path) -> None:
    for name in ("0001", "0002", "0003"):
        (tmp_path / name).mkdir()
        replay_files.prepare(tmp_path / name, {"budget": 40})
    replay_files.write_result(tmp_path / "0001", two(), {"strategies": compared(two())})
    (tmp_path / "0002" / "result.json").write_text("damaged")
    assert [past.folder.name for past in replay_files.past(tmp_path)] == ["0001"]
    assert replay_files.unfinished(tmp_path) == tmp_path / "0003"

    with (tmp_path / "0001" / "curves.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 12
    assert rows[-1] == {
        "strategy": "margin",
        "seed": "1",
        "labels": "40",
        "accuracy": "1.000000",
    }
    with (tmp_path / "0001" / "summary.csv").open(newline="") as file:
        margin, random = csv.DictReader(file)
    assert (margin["rank"], margin["verdict"], random["difference"]) == ("1", "better", "")
    assert margin["labels_to_random_final"] == "26.551724"
