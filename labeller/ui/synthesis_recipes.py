"""Recipes on the synthesis page: which are switched on, and the ranges of their parameters."""

from __future__ import annotations

from typing import Any

import streamlit as st

from labeller.project import Project
from labeller.services import synthesis
from labeller.services.synthesis_plan import Limits
from labeller.ui import synthesis_view as words
from labeller.ui.text import escape_markdown
from strategies.synthesis.recipes.recipe import Choice, Parameter, Recipe, Span

ALL = "All together"
_LIMITS = "synthesis_limits"
_TURNS = "synthesis_turns"
_SWITCHED = "synthesis_switched"


def switches(project: Project) -> list[Recipe]:
    """Draw the switches, by what the recipes imitate, and return what is on."""
    turn, usual = st.session_state.get(_SWITCHED, (0, True))
    chosen: list[Recipe] = []
    for group, recipes in synthesis.groups().items():
        by_name = {recipe.name: recipe for recipe in recipes}
        on = st.pills(
            words.group_title(group),
            list(by_name),
            selection_mode="multi",
            default=[recipe.name for recipe in recipes if recipe.usual and usual],
            format_func=words.recipe_title,
            key=f"synthesis_on_{group}_{turn}_{project.id}",
            persist_state="session",
        )
        chosen += [recipe for name, recipe in by_name.items() if name in on]
    with st.container(horizontal=True, gap="small"):
        for text, key, on_again in (("The usual ones", "usual", True), ("None", "none", False)):
            st.button(
                text, key=f"synthesis_{key}", type="tertiary", on_click=_switch, args=(on_again,)
            )
    return chosen


def _switch(usual: bool) -> None:
    """Switch the usual recipes on, or all off: other keys make widgets with other defaults."""
    turn, _ = st.session_state.get(_SWITCHED, (0, True))
    st.session_state[_SWITCHED] = (turn + 1, usual)


def looked_at(project: Project, chosen: list[Recipe]) -> Recipe | None:
    """Let the person take one of the chosen recipes to look at; None for all together."""
    names = [ALL, *(recipe.name for recipe in chosen)]
    key = f"synthesis_look_{project.id}"
    if st.session_state.get(key, ALL) not in names:
        st.session_state[key] = ALL
    name = st.selectbox(
        "Look at",
        names,
        format_func=lambda one: one if one == ALL else words.recipe_title(one),
        key=key,
        persist_state="session",
    )
    return next((recipe for recipe in chosen if recipe.name == name), None)


def sliders(project: Project, recipe: Recipe) -> None:
    """Draw the ranges of a recipe's parameters."""
    st.markdown(escape_markdown(recipe.summary))
    if not recipe.parameters:
        st.caption("It has nothing to set.")
        return
    own = _limits(project).setdefault(recipe.name, {})
    columns = st.columns(2 if len(recipe.parameters) > 1 else 1, gap="medium")
    for place, parameter in enumerate(recipe.parameters):
        with columns[place % len(columns)]:
            found = _parameter(_key(project, recipe, parameter), parameter, own.get(parameter.name))
        if found is None:
            own.pop(parameter.name, None)
        else:
            own[parameter.name] = found


def whole_again(project: Project, recipe: Recipe) -> None:
    """Offer to take a recipe's narrowed ranges back."""
    st.button(
        "Whole ranges again",
        key="synthesis_whole",
        icon=":material/undo:",
        type="tertiary",
        disabled=not _limits(project).get(recipe.name),
        on_click=_forget,
        args=(project, recipe),
    )


def _parameter(key: str, parameter: Parameter, limit: Any) -> tuple[Any, ...] | None:
    """Draw one parameter and return its limits; None for its whole range."""
    title = words.parameter_title(parameter.name).capitalize()
    help_text = escape_markdown(parameter.help).capitalize() + "."
    if isinstance(parameter, Choice):
        picked = st.multiselect(
            title,
            parameter.options,
            default=list(limit or parameter.options),
            format_func=words.words,
            help=help_text,
            key=key,
            placeholder="any",
        )
        return tuple(picked) if 0 < len(picked) < len(parameter.options) else None
    return _range(key, title, help_text, parameter, limit)


def _range(key: str, title: str, help_text: str, span: Span, limit: Any) -> tuple[Any, ...] | None:
    slide = words.slide(span)
    chosen = st.slider(
        title,
        slide.low,
        slide.high,
        tuple(limit or (slide.low, slide.high)),
        step=slide.step,
        format=slide.format,
        help=help_text,
        key=key,
    )
    return words.limit(span, chosen)


def limits_of(project: Project, chosen: list[Recipe]) -> dict[str, Limits]:
    """Return the chosen recipes with their narrowed parameters, as a plan takes them."""
    kept = _limits(project)
    return {recipe.name: dict(kept.get(recipe.name, {})) for recipe in chosen}


def _limits(project: Project) -> dict[str, dict[str, tuple[Any, ...]]]:
    """Return what was narrowed in this tab: Streamlit forgets widgets that it does not draw."""
    by_project = st.session_state.setdefault(_LIMITS, {})
    found: dict[str, dict[str, tuple[Any, ...]]] = by_project.setdefault(project.id, {})
    return found


def _key(project: Project, recipe: Recipe, parameter: Parameter) -> str:
    turn = st.session_state.get(_TURNS, {}).get(recipe.name, 0)
    return f"synthesis_{recipe.name}_{parameter.name}_{turn}_{project.id}"


def _forget(project: Project, recipe: Recipe) -> None:
    """Give a recipe its whole range again."""
    _limits(project).pop(recipe.name, None)
    turns = st.session_state.setdefault(_TURNS, {})
    turns[recipe.name] = turns.get(recipe.name, 0) + 1
