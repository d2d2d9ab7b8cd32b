"""How children would look: a few parents, each with some children, as the sliders are set now."""

from __future__ import annotations

import base64
import io
import itertools
import json
import random
from collections.abc import Mapping, Sequence
from html import escape

import streamlit as st
from PIL import Image

from labeller.errors import ImageError, LabellerError
from labeller.project import Project
from labeller.services import labelling, recent, synthesis, thumbnails
from labeller.services.synthesis import Preview
from labeller.services.synthesis_plan import Limits
from labeller.ui import synthesis_recipes
from labeller.ui import synthesis_view as words
from labeller.ui.text import escape_markdown
from store.errors import StoreError
from store.records import ItemRecord
from strategies.synthesis.recipes.recipe import Recipe

PARENTS = 3
CHILDREN = 4
_DRAW = "synthesis_draw"
_KEPT_SECONDS = 600
_KEPT = 48  # previews of about a fifth of a megabyte
_PIXELS = 224  # of a figure's longest side
_SMALL = 96  # pixels: below, every pixel is shown


def show(
    project: Project,
    limits: Mapping[str, Limits],
    only: Recipe | None,
    classes: Sequence[int] | None,
    parents: int,
) -> str | None:
    """Draw parents and children.

    Parameters
    ----------
    project : Project
    limits : mapping of str to mapping
        The recipes that are on, narrowed as the person set them.
    only : Recipe, optional
        The recipe that is looked at; by default some of all.
    classes : sequence of int, optional
        Of which classes the parents are; all when not given.
    parents : int
        How many labelled training items there are: another number draws anew.

    Returns
    -------
    str or None
        Why nothing can be rendered.
    """
    head = st.container(horizontal=True, vertical_alignment="center", gap="small")
    with head:
        st.button(
            "Another draw", key="synthesis_draw_again", icon=":material/casino:", on_click=_again
        )
        if only is not None:
            synthesis_recipes.whole_again(project, only)
    seed = st.session_state.get(_DRAW, 0)
    asked = {
        "limits": {only.name: limits[only.name]} if only else some(limits, seed),
        "draws": CHILDREN if only else 1,
        "seed": seed,
        "classes": classes,
    }
    try:
        with head, st.spinner("Rendering…"):
            rows = _rendered(str(project.root), json.dumps(asked), parents)
    except (LabellerError, StoreError) as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return str(error)
    if rows:
        st.html(grid_html(rows, only is None))
    else:
        st.caption("The chosen classes have no labelled training image to show.")
    return None


def some(limits: Mapping[str, Limits], seed: int) -> dict[str, Limits]:
    """Return as many recipes as a parent has children, drawn from all that are on."""
    names = random.Random(seed).sample(list(limits), min(CHILDREN, len(limits)))
    return {name: limits[name] for name in names}


def _again() -> None:
    st.session_state[_DRAW] = st.session_state.get(_DRAW, 0) + 1


@st.cache_data(max_entries=_KEPT, ttl=_KEPT_SECONDS, show_spinner=False)
def _rendered(root: str, asked: str, parents: int) -> list[list[dict[str, str]]]:
    """Return rows of figures, the parent first; kept, so that going back costs nothing."""
    del parents  # is in the key alone
    project = recent.opened(root)
    given = json.loads(asked)
    found = synthesis.preview(
        project, given["limits"], PARENTS, given["seed"], given["classes"], draws=given["draws"]
    )
    rows = itertools.groupby(found, key=lambda one: one.parent.id)
    grouped = [list(row) for _, row in rows]
    return [[_parent(project, row[0].parent), *map(_child, row)] for row in grouped]


def _parent(project: Project, parent: ItemRecord) -> dict[str, str]:
    """Return the figure of a parent: its thumbnail and its file's name."""
    name = labelling.item_name(parent)
    try:
        path, media_type = thumbnails.thumbnail(project, parent, "thumb")
        return {
            "src": _data(path.read_bytes(), media_type),
            "small": _small(parent),
            "title": name,
            "text": name,
        }
    except (ImageError, OSError) as error:
        return {"error": str(error), "title": name, "text": name}


def _child(one: Preview) -> dict[str, str]:
    """Return the figure of a child, or why there is none."""
    about = {
        "title": f"{words.recipe_title(one.recipe)}: {words.told(one.parameters)}",
        "recipe": words.recipe_title(one.recipe),
        "text": words.told(one.parameters) or "–",
    }
    if one.png is None:
        return about | {"error": one.error or "It cannot be made."}
    with Image.open(io.BytesIO(one.png)) as image:
        image.thumbnail((_PIXELS, _PIXELS))
        buffer = io.BytesIO()
        image.convert("RGB").save(buffer, "JPEG", quality=90, subsampling=0)
    return about | {"src": _data(buffer.getvalue(), "image/jpeg"), "small": _small(one.parent)}


def _data(content: bytes, media_type: str) -> str:
    return f"data:{media_type};base64,{base64.b64encode(content).decode()}"


def _small(parent: ItemRecord) -> str:
    return "lb-small" if max(parent.width, parent.height) < _SMALL else ""


def grid_html(rows: Sequence[Sequence[Mapping[str, str]]], named: bool) -> str:
    """Return the preview as HTML: a line for each parent, the parent first.

    Parameters
    ----------
    rows : sequence of sequences of figures
        As `_rendered` makes them.
    named : bool
        Whether the recipes' names stand below the children, else their parameters.
    """
    return "".join(
        '<div class="lb-children">'
        + "".join(_figure(one, place == 0, named) for place, one in enumerate(row))
        + "</div>"
        for row in rows
    )


def _figure(one: Mapping[str, str], parent: bool, named: bool) -> str:
    text = one["text"] if parent or not named else one["recipe"]
    inside = (
        f'<img class="{one["small"]}" src="{escape(one["src"])}" alt="{escape(one["title"])}">'
        if "src" in one
        else f"<span>{escape(one['error'])}</span>"
    )
    return (
        f'<figure class="{"lb-parent" if parent else "lb-child"}" title="{escape(one["title"])}">'
        f"<div>{inside}</div><figcaption>{escape(text)}</figcaption></figure>"
    )
