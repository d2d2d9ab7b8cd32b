"""The part of the models page about features: what they take, and at which size images are read."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from labeller.project import Project
from labeller.services import extraction_cost, feature_files, feature_recipes
from labeller.services.feature_files import FeatureFile
from labeller.ui import attempts, session, view
from labeller.ui.text import escape_markdown

_PLACE = "models_features"


def show(project: Project) -> None:
    """List the features on the disk and offer to delete what is not in use; nothing without any."""
    found = feature_files.listed(project)
    if not found:
        return
    total = view.size(sum(one.bytes for one in found))
    with st.expander(f"Features · {total}", icon=":material/database:", key="models_features"):
        st.caption(
            "What a backbone sees in every image, computed once. Those of other backbones and "
            "sizes stay while there is a model of them: going back to it reads no image again."
        )
        st.dataframe(rows(found), hide_index=True)
        _deletion(project, found)
        _size(project)
        attempts.show_error(_PLACE)


def rows(found: Sequence[FeatureFile]) -> list[dict[str, Any]]:
    """Return the table's rows."""
    return [
        {
            "Backbone": one.backbone,
            "Pixels": one.size,
            "Images": one.images,
            "Size": view.size(one.bytes),
            "Models": ", ".join(map(str, one.models)),
            "State": "in use" if one.in_use else "",
        }
        for one in found
    ]


def _deletion(project: Project, found: Sequence[FeatureFile]) -> None:
    spare = sum(one.bytes for one in found if not one.in_use)
    if spare:
        st.button(
            f"Delete what is not in use · {view.size(spare)}",
            icon=":material/delete:",
            key="models_features_delete",
            help="A model that was made with them reads all images again when it is put in use.",
            on_click=_delete,
            args=(project,),
        )


def _size(project: Project) -> None:
    """Where images grew, offer to read them at the size that fits, and say what that costs."""
    sizes = feature_files.outgrown(project)
    if sizes is None:
        return
    cost = extraction_cost.cost_at(project, project.settings.backbone, sizes[1])
    st.markdown(
        f"Images are read at {sizes[0]} pixels, as since the first round; {sizes[1]} pixels would "
        f"fit those of now. {escape_markdown(cost.text)}"
    )
    st.button(
        f"Read images at {sizes[1]} pixels from the next round on",
        icon=":material/photo_size_select_large:",
        key="models_features_size",
        on_click=_choose_anew,
        args=(project,),
    )


def _delete(project: Project) -> None:
    with attempts.attempt(_PLACE):
        freed = feature_files.delete_unused(project)
        session.toast_later(f"Features deleted: {view.size(freed)} freed.", ":material/delete:")


def _choose_anew(project: Project) -> None:
    feature_recipes.forget(project, project.settings.backbone)
    session.toast_later("The next round reads all images anew.", ":material/check_circle:")
