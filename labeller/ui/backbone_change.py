"""Before another backbone is saved: say what it costs, and ask."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import streamlit as st

from labeller.errors import ConfigError
from labeller.project import Project
from labeller.services import backbone_names, extraction_cost
from labeller.ui.text import escape_markdown

SETTING = "backbone"
_PENDING = "backbone_change"


def shown(name: str) -> str:
    """Return a backbone as the list of choices shows it."""
    known = backbone_names.KNOWN.get(name)
    return f"{name} · {known.summary}" if known else name


def held(project: Project, changes: dict[str, Any]) -> bool:
    """Put changes of settings aside while a person has to say yes to what they cost.

    Parameters
    ----------
    project : Project
    changes : dict
        New values by setting; free of cost without another backbone, or before there are images.

    Returns
    -------
    bool
        Whether they were put aside; :func:`ask` then shows the question.

    Raises
    ------
    ConfigError
        When there is no such backbone.
    """
    name = changes.get(SETTING)
    if name is None:
        return False
    if not backbone_names.possible(name):
        raise ConfigError(
            f"backbone = {name!r} is unknown. Choose one of the list, or write torchvision/NAME "
            "or timm/NAME."
        )
    if not extraction_cost.cost(project, name).images:
        return False
    st.session_state[_PENDING] = project.id, changes
    return True


def ask(project: Project, apply: Callable[[Project, dict[str, Any]], None]) -> None:
    """Show what was put aside with its cost, and do what the person says.

    Parameters
    ----------
    project : Project
    apply : callable
        Writes the changes.
    """
    owner, changes = st.session_state.get(_PENDING, ("", {}))
    if owner != project.id:
        return
    name = changes[SETTING]
    text = f"{name}: {extraction_cost.cost(project, name).text}"
    if name != backbone_names.PACKAGED:
        text += (
            " Its weights are downloaded when the next round starts, unless they lie in "
            f"{backbone_names.weights_folder()}."
        )
    st.warning(escape_markdown(text), icon=":material/hourglass_top:")
    with st.container(horizontal=True):
        yes = st.button(
            "Change the backbone", icon=":material/check:", type="primary", key="backbone_yes"
        )
        st.button("Keep the present one", key="backbone_no", on_click=_forget, args=(True,))
    if yes:
        _forget()
        apply(project, changes)


def _forget(reset: bool = False) -> None:
    """Drop what was put aside; `reset` also puts the field back."""
    st.session_state.pop(_PENDING, None)
    if reset:
        st.session_state.pop(f"setting_{SETTING}", None)
