"""The predict page: choose images and a model, follow the job, look at what came of it."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from labeller.project import Project
from labeller.services import headline, model_shelf, predictions
from labeller.services.headline import Headline
from labeller.services.model_shelf import Shelved
from labeller.services.prediction_files import STAGE
from labeller.services.predictions import Kept
from labeller.ui import address, live, predict_list, predict_result, source_form, uploads
from labeller.ui.live import BAD, GOOD, Count
from labeller.ui.predict_list import source_title
from labeller.ui.source_form import Chosen
from labeller.ui.text import escape_markdown

_FORM = "predict"
COUNTS = (Count("predicted", "Predicted", GOOD), Count("failed", "Could not be read", BAD))


def show(project: Project) -> None:
    """Draw the page."""
    st.title("Predict")
    st.markdown(
        "What does the model say of other images? They stay where they are: nothing is imported "
        "and nothing is labelled."
    )
    kept = predictions.listing(project)
    on = next((one for one in kept if one.state == "on"), None)
    models = [one for one in model_shelf.shelf(project) if one.model.deleted_at is None]
    if on is not None:
        _running(project, on)
    elif models:
        _form(project, models)
    else:
        _no_model()
    others = [one for one in kept if one.state != "on"]
    if others:
        chosen = predict_list.show(project, others, {one.model.id for one in models}, on is None)
        if chosen.summary is not None:
            predict_result.show(project, chosen, chosen.summary)
    elif models and on is None:
        st.caption(
            "Nothing is predicted yet. Choose images above: classes, confidences and what the "
            "model does not know are then listed here."
        )


def _no_model() -> None:
    """Say what must be there first."""
    with st.container(border=True):
        st.markdown(
            "**No model yet.** Label some images, then start a round from the side bar: its model "
            "can predict any folder of images here."
        )
        st.page_link("pages/label.py", label="Label images", icon=":material/ads_click:")


def _running(project: Project, on: Kept) -> None:
    """Show the prediction that is on."""
    if on.job is None:
        return
    title = f"**Predicting** {escape_markdown(source_title(on.plan))} :gray[model {on.plan.model}]"
    help_text = "What is predicted is kept, and the prediction can go on from there."
    live.panel(project, title, on.job, COUNTS, STAGE, "images", help_text)


def _form(project: Project, models: list[Shelved]) -> None:
    """Ask what to predict, and with which model."""
    with st.container(border=True, key="lb_predict"):
        chosen = source_form.choose(
            _FORM,
            "Images or zip files",
            (*source_form.IMAGES, "zip"),
            upload_help="They are kept with the prediction, and deleted with it.",
            path_help="Folders are read with everything below them. A CSV needs the column path; "
            "the column key is optional.",
        )
        with st.container(horizontal=True, vertical_alignment="bottom", gap="small"):
            model = _model(project, models)
            pressed = st.button(
                "Predict",
                type="primary",
                icon=":material/batch_prediction:",
                key="predict_go",
                disabled=not chosen.ready,
            )
        source_form.say_what_is_wrong(chosen)
        if pressed:
            source_form.submit(project, _FORM, lambda: _start(project, chosen, model))


def _model(project: Project, models: list[Shelved]) -> int:
    """Let the person choose a model; the one in use is chosen already."""
    found = headline.headlines(project, [one.model for one in models])
    titles = {one.model.id: model_title(one, found[one.model.id]) for one in models}
    first = next((n for n, one in enumerate(models) if one.model.in_use), 0)
    used = models[first].model.id
    address.choice("model", f"predict_model_{used}", titles, used)
    return st.selectbox(
        "Model",
        list(titles),
        format_func=lambda number: titles.get(number, "?"),
        key=f"predict_model_{used}",
    )


def _start(project: Project, chosen: Chosen, model: int) -> None:
    def find(folder: Path) -> list[Path]:
        if not chosen.upload:
            return source_form.machine_sources(chosen)
        return uploads.sources(uploads.write(folder, chosen.files))

    predictions.start(project, find, model)


def model_title(one: Shelved, found: Headline) -> str:
    """Name a model: its number, round, and accuracy."""
    used = ", in use" if one.model.in_use else ""
    good = f"audit accuracy {headline.short(found.measured)}"
    return f"Model {one.model.id} (round {one.round_number}{used}) · {good}"
