"""What the synthesis page says and counts, worked out from records: no Streamlit here."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from labeller.services.budget import amount
from labeller.services.synthesis import Outlook, RunView
from labeller.ui import view
from store.records_budget import BudgetRecord
from strategies.synthesis.recipes.recipe import Span

GROUP_TITLES = {"text": "Written text"}
STATE_TITLES = {
    "running": "Running",
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Stopped",
    "deleted": "Deleted",
}
VERDICT_TITLES = {"keep": "kept", "drop": "dropped", None: "unjudged"}
RECIPE_TITLES = {
    "clip_image_size": "Shrink to a limit",
    "color_jitter": "Colour jitter",
    "encoding_quality": "JPEG quality",
    "hflip": "Mirror",
    "overlay_emoji": "Emoji",
    "overlay_onto_background_image": "On a background",
    "overlay_onto_screenshot": "On a screenshot",
    "overlay_stripes": "Stripes",
    "overlay_text": "Words",
    "pad": "Frame",
    "pad_square": "Square frame",
    "random_noise": "Grain",
    "vflip": "Upside down",
}
PARAMETER_TITLES = {
    "emoji_size": "size",
    "h_factor": "height",
    "overlay_size": "size",
    "skew_factor": "slant",
    "var": "strength",
    "w_factor": "width",
    "x_pos": "x",
    "y_pos": "y",
}
_STEPS = 20  # a slider has at least so many
_FEW = 6  # recipes that are named


@dataclass(frozen=True, slots=True)
class Slide:
    """A slider for the range of a number."""

    low: float
    high: float
    step: float
    format: str


def recipe_title(name: str) -> str:
    """Return a recipe's name as people read it."""
    return RECIPE_TITLES.get(name) or words(name).capitalize()


def group_title(name: str) -> str:
    """Return what the recipes of a group imitate."""
    return GROUP_TITLES.get(name) or name.capitalize()


def parameter_title(name: str) -> str:
    """Return the name of a recipe's parameter as people read it."""
    return PARAMETER_TITLES.get(name) or words(name)


def words(name: str) -> str:
    """Return a name of the code without its underscores."""
    return name.replace("_", " ")


def slide(span: Span) -> Slide:
    """Return the slider of a span: steps of a round number, a twentieth of its length at most."""
    if span.whole:
        return Slide(int(span.low), int(span.high), 1, "%d")
    power = math.floor(math.log10((span.high - span.low) / _STEPS))
    return Slide(float(span.low), float(span.high), 10.0**power, f"%.{max(0, -power)}f")


def limit(span: Span, chosen: tuple[float, float]) -> tuple[float, float] | None:
    """Return what a slider's ends mean, within the span; None where they are its own ends."""
    low, high = (min(span.high, max(span.low, round(end, 6))) for end in chosen)
    return None if (low, high) == (span.low, span.high) else (low, high)


def told(parameters: Mapping[str, Any]) -> str:
    """Write drawn parameters: ``factor 0.62, colour red``; whose partner they mix, in per cent."""
    if "partner" in parameters:
        share = view.percent(float(parameters["weight"]), 0)
        return f"{share} of it, the rest of item {parameters['partner']}"
    return ", ".join(
        f"{parameter_title(name)} {_value(value)}" for name, value in parameters.items()
    )


def _value(value: Any) -> str:
    return f"{value:.3g}" if isinstance(value, float) else words(str(value))


def cost_meter(budget: BudgetRecord, outlook: Outlook) -> view.Meter:
    """Show what a run would take of the budget: hatched, behind what is spent."""
    cost = amount(outlook.cost)
    each = f"{view.count(outlook.possible, 'item')} at {amount(outlook.price)}"
    if budget.total is None or outlook.left is None:
        text = f"{each}; no limit set"
        return view.Meter(f"costs {cost}", text, 0.0, 0.0, empty=False)
    whole = budget.total or 1.0
    spent = min(1.0, (budget.spent + budget.reserved) / whole)
    share = min(1.0 - spent, outlook.cost / whole)
    text = f"{each}; {amount(max(0.0, outlook.left - outlook.cost))} left afterwards"
    headline = f"costs {cost} of {amount(max(0.0, outlook.left))}"
    return view.Meter(headline, text, spent, share, empty=outlook.left < outlook.price)


def levelling(outlook: Outlook) -> int:
    """Return how many items would give every class as many as the largest has."""
    able = [one for one in outlook.classes if one.labels]
    most = max((one.before for one in able), default=0)
    return sum(most - one.before for one in able)


def run_rows(runs: Sequence[RunView], now: float) -> list[dict[str, Any]]:
    """Return the runs as rows of a table."""
    return [
        {
            "Run": one.run.id,
            "Strategy": view.strategy_title(one.run.strategy),
            "State": STATE_TITLES[one.run.state],
            "Made": one.run.made,
            "Failed": one.run.failed,
            "Cost": amount(one.run.spent),
            "Kept": one.verdicts.get("keep", 0),
            "Dropped": one.verdicts.get("drop", 0),
            "Unjudged": one.verdicts.get("none", 0),
            "When": view.ago(one.run.created_at, now),
        }
        for one in runs
    ]


def recipes_used(limits: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Say which recipes a run used, and which of them with narrowed ranges."""
    if not limits:
        return ["the usual recipes"]
    titles = [recipe_title(name) for name in limits]
    used = ", ".join(titles) if len(titles) <= _FEW else view.count(len(titles), "recipe")
    narrowed = ", ".join(recipe_title(name) for name, own in limits.items() if own)
    return [used, f"narrowed: {narrowed}"] if narrowed else [used]
