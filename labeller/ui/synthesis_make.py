"""Make: strategy, recipes, preview, how many, what it costs and brings; then create."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from labeller.project import Project
from labeller.services import budget, recent, synthesis
from labeller.services.synthesis import Outlook, StrategyView, SynthesisPlan
from labeller.services.synthesis_plan import Limits
from labeller.ui import (
    attempts,
    pieces,
    plots,
    session,
    synthesis_plots,
    synthesis_preview,
    synthesis_recipes,
    view,
)
from labeller.ui import synthesis_view as words
from labeller.ui.text import escape_markdown
from strategies.synthesis.recipes.recipe import Recipe

FIRST_COUNT = 50
MOST = 100_000
_PLACE = "synthesis"
_TALL = 14  # classes: more scroll


def show(project: Project) -> None:
    """Draw the form; it runs as a fragment, so that a slider never draws the whole page anew."""
    st.fragment(_show)(str(project.root))


def _show(root: str) -> None:
    project = recent.opened(root)
    session.show_toasts()
    left, right = st.columns([3, 2], gap="medium")
    with left:
        strategy = _strategy(project)
    wanted = synthesis.outlook(project, SynthesisPlan(strategy.name, 1))
    if not wanted.parents:
        nothing_labelled(wanted.why_not)
        return
    with right:
        classes = _classes(wanted)
    if strategy.pictures:
        left, right = st.columns([2, 3], gap="medium")
        with left, st.container(border=True, key="lb_recipes"):
            chosen = _recipes(project)
        with right:
            limits, hindrance = _preview(project, chosen, classes, wanted.parents)
            _amount(
                project, SynthesisPlan(strategy.name, recipes=limits, classes=classes), hindrance
            )
    else:
        _amount(project, SynthesisPlan(strategy.name, classes=classes), None)


def nothing_labelled(why: str | None) -> None:
    """Say what there must be before anything can be made."""
    with st.container(border=True):
        st.markdown(
            "**Nothing to make new examples of yet.** "
            + escape_markdown(why or "No image of the training split is labelled.")
        )
        st.page_link("pages/label.py", label="Label images", icon=":material/ads_click:")


def _strategy(project: Project) -> StrategyView:
    """Let the person choose where new examples are aimed, and say what the choice does."""
    views = {one.name: one for one in synthesis.strategies(project)}
    name = st.segmented_control(
        "Strategy",
        list(views),
        default=next(iter(views)),
        required=True,
        format_func=view.strategy_title,
        key=f"synthesis_strategy_{project.id}",
        persist_state="session",
        wrap=True,
    )
    chosen = views[name]
    st.caption(escape_markdown(chosen.summary), help=escape_markdown(chosen.reference))
    if chosen.why_not:
        st.warning(escape_markdown(chosen.why_not), icon=":material/info:")
    return chosen


def _classes(wanted: Outlook) -> tuple[int, ...] | None:
    """Let the person narrow the run to some classes; None for all."""
    names = {one.class_id: one.name for one in wanted.classes}
    picked = st.multiselect(
        "Classes",
        list(names),
        format_func=lambda i: names.get(i, "?"),
        key="synthesis_classes",
        placeholder="all of them",
        persist_state="session",
    )
    return tuple(picked) or None


def _recipes(project: Project) -> list[Recipe]:
    """Draw the switches and return the recipes that are on."""
    st.markdown("**Recipes**", help="By what they imitate. Each child is made by one of them.")
    return synthesis_recipes.switches(project)


def _preview(
    project: Project, chosen: list[Recipe], classes: tuple[int, ...] | None, parents: int
) -> tuple[dict[str, Limits], str | None]:
    """Draw sliders and preview; return the recipes' limits, and why nothing can be made."""
    with st.container(border=True):
        if not chosen:
            st.markdown("**No recipe is on.** Switch on at least one to make pictures.")
            return {}, "Switch on at least one recipe."
        look = synthesis_recipes.looked_at(project, chosen)
        if look is not None:
            synthesis_recipes.sliders(project, look)
        limits = synthesis_recipes.limits_of(project, chosen)
        why = synthesis_preview.show(project, limits, look, classes, parents)
    return limits, why


def _amount(project: Project, base: SynthesisPlan, hindrance: str | None) -> None:
    """Draw how many, what they cost, the classes before and after, and Create."""
    with st.container(border=True):
        count, seed = _numbers(project)
        plan = replace(base, count=count, seed=seed)
        found = synthesis.outlook(project, plan)
        st.html(pieces.meter_html(words.cost_meter(budget.meter(project), found)))
        for note in found.notes:
            st.caption(escape_markdown(note))
        _create(project, plan, found, hindrance)
        _chart(project, found)


def _numbers(project: Project) -> tuple[int, int | None]:
    """Draw how many and the seed."""
    st.session_state.setdefault(_count_key(project), FIRST_COUNT)
    left, right = st.columns(2, vertical_alignment="bottom")
    count = left.number_input(
        "How many",
        min_value=1,
        max_value=MOST,
        step=10,
        key=_count_key(project),
        persist_state="session",
    )
    seed = right.number_input(
        "Seed",
        min_value=0,
        max_value=2**31 - 1,
        value=None,
        step=1,
        key=f"synthesis_seed_{project.id}",
        placeholder="a new one",
        persist_state="session",
        help="The same seed, settings and labels make the same pictures, byte for byte.",
    )
    return int(count), None if seed is None else int(seed)


def _count_key(project: Project) -> str:
    return f"synthesis_count_{project.id}"


def _take(project: Project, count: int) -> None:
    st.session_state[_count_key(project)] = count


def _create(project: Project, plan: SynthesisPlan, found: Outlook, hindrance: str | None) -> None:
    """Offer to start; while a run is on, or something is in the way, say so."""
    busy = synthesis.job(project) is not None
    why = "A run is on already." if busy else hindrance or found.why_not
    pressed = st.button(
        f"Create {view.count(found.possible, 'item')}" if found.possible else "Create",
        key="synthesis_create",
        type="primary",
        icon=":material/auto_awesome:",
        disabled=why is not None,
        width="stretch",
    )
    if why:
        st.caption(escape_markdown(why))
        if found.left is not None and found.left < found.price and not busy:
            st.page_link("pages/settings.py", label="Raise the budget", icon=":material/tune:")
    attempts.show_error(_PLACE)
    if pressed:
        _start(project, plan)


def _start(project: Project, plan: SynthesisPlan) -> None:
    """Start the run and draw the whole page anew; an error is shown there."""
    with attempts.attempt(_PLACE):
        synthesis.start(project, plan)
        session.toast_later("The run has started.", ":material/auto_awesome:")
    st.rerun(scope="app")


def _chart(project: Project, found: Outlook) -> None:
    """Draw the classes before and after."""
    need = words.levelling(found)
    known = all(one.planned is not None for one in found.classes)
    with st.container(height=420 if len(found.classes) > _TALL else "content", border=False):
        st.plotly_chart(
            synthesis_plots.class_counts(found.classes),
            config=plots.CONFIG,
            key=f"synthesis_counts_{project.id}",
            alt="Training examples of each class before and after the run",
        )
    with st.container(horizontal=True, vertical_alignment="center", gap="small"):
        st.caption(levelling_text(need, known), width="content")
        if known and need and need != found.wanted:
            st.button(
                f"Take {need:,}",
                key="synthesis_level",
                type="tertiary",
                on_click=_take,
                args=(project, min(need, MOST)),
            )


def levelling_text(need: int, known: bool) -> str:
    """Say how many items would level the classes, where the strategy levels them."""
    if not known:
        return "Which classes get more shows when it is made."
    if not need:
        return "Every class has as many."
    return f"{view.count(need, 'item')} would give every class as many."
