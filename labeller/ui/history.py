"""The rounds page: what the rounds so far have bought."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import streamlit as st

from labeller.project import Project
from labeller.services import ablations, evaluation_curve, headline
from labeller.services.headline import Headline
from labeller.ui import model_facts, plots, round_details, view
from labeller.ui.choosing import chosen_row
from labeller.ui.text import escape_markdown
from store.records import ClassRecord, ModelRecord, RoundRecord

STATE_TITLES = {
    "running": "Running",
    "done": "Done",
    "failed": "Failed",
    "cancelled": "Cancelled",
}
ONE_NUMBER = (
    "On the audit labels of now, with its 95 % interval: the same number on Rounds, Evaluation and "
    "Models. What a model's own round measured is told in the facts of the model."
)
_JOBS = 1_000  # of so many latest jobs the messages are shown


@dataclass(frozen=True, slots=True)
class Past:
    """All rounds with their models, and the labels by class and split."""

    rounds: tuple[RoundRecord, ...]
    models: dict[int, ModelRecord]
    names: dict[int, str]
    classes: tuple[ClassRecord, ...]
    splits: dict[str, dict[int, int]]
    items: int
    retraining: bool
    messages: dict[int, str]
    headlines: dict[int, Headline]

    def measured(self, record: RoundRecord) -> Headline | None:
        """Return how good the model of a round is now."""
        model = self.model_of(record)
        return None if model is None else self.headlines[model.id]

    def model_of(self, record: RoundRecord) -> ModelRecord | None:
        """Return the model that a round trained."""
        return self.models.get(record.id)


def gather(project: Project) -> Past:
    """Read it in one transaction, and measure the models."""
    with project.store.read() as unit:
        models = unit.models.all()
    headlines = headline.headlines(project, models)
    with project.store.read() as unit:
        everything = unit.classes.all(archived=True)
        rounds = tuple(unit.rounds.all())
        jobs = {job.id: job for job in unit.jobs.all(_JOBS)}
        return Past(
            rounds=rounds,
            models={model.round_id: model for model in models},
            names={record.id: record.name for record in everything},
            classes=tuple(record for record in everything if not record.archived),
            splits={
                split: unit.labels.counts_by_class(split) for split in ("train", "valid", "audit")
            },
            items=unit.items.count().items,
            retraining=bool(unit.jobs.active("round")),
            messages={
                record.id: str((jobs[record.job_id].result or {}).get("message") or "")
                for record in rounds
                if record.job_id in jobs
            },
            headlines=headlines,
        )


def show(project: Project) -> None:
    """Draw the page."""
    st.title("Rounds")
    past = gather(project)
    dark = st.context.theme.type == "dark"
    _curve(project, past, dark)
    if past.rounds:
        st.subheader("All rounds")
        chosen = _table(past)
        _details(past, chosen, dark)
    if any(sum(numbers.values()) for numbers in past.splits.values()):
        st.subheader("Class balance")
        _balance(past)


def _curve(project: Project, past: Past, dark: bool) -> None:
    """Draw the learning curve, or say what brings its first point."""
    points = evaluation_curve.learning_curve(project)
    if points:
        st.subheader(
            "Learning curve",
            help="Accuracy on the audit set: random images, labelled without a suggestion, never "
            "trained on.",
        )
        st.plotly_chart(
            plots.learning_curve(points, dark),
            theme="streamlit",
            config=plots.CONFIG,
            key="curve",
            alt="Audit accuracy against labels, with its 95 % interval",
        )
        if len(points) == 1:
            st.caption(
                "One point so far. Label the queue and retrain: the curve then begins to grow."
            )
        return
    _show_next_step(past, "No learning curve yet.")


def show_next_step(project: Project, missing: str) -> None:
    """Say that something is `missing`, what brings the first measured model, and where."""
    _show_next_step(gather(project), missing)


def _show_next_step(past: Past, missing: str) -> None:
    text, page = next_step(past)
    with st.container(border=True):
        st.markdown(f"**{missing}** {text}")
        _link(page)


def _link(page: str) -> None:
    links = {
        "label": ("Label images", "ads_click"),
        "classes": ("Add classes", "sell"),
        "images": ("Import images", "photo_library"),
    }
    if page in links:
        text, icon = links[page]
        st.page_link(f"pages/{page}.py", label=text, icon=f":material/{icon}:")


def next_step(past: Past) -> tuple[str, str]:
    """Say what is missing for the first point of the learning curve, and the page that helps."""
    trained = {i for split in ("train", "valid") for i, n in past.splits[split].items() if n}
    audited = sum(past.splits["audit"].values())
    if past.retraining:
        return "A round is on: its result appears here.", "label"
    if not past.items:
        return "Import images first.", "images"
    if not past.classes:
        return "Add classes, then label some images of at least two of them.", "classes"
    if len(trained) < 2:
        text = "Label some images of at least two classes, then press Retrain round."
        return text, "label"
    if not audited:
        text = (
            "No image of the audit set is labelled yet. They come mixed into the queue: label "
            "some more, then press Retrain round."
        )
        return text, "label"
    return "Press Retrain round: it trains a model and measures it.", ""


def _table(past: Past) -> RoundRecord:
    """List the rounds, newest first, and return the chosen one."""
    rounds = list(reversed(past.rounds))
    first = next((n for n, record in enumerate(rounds) if past.model_of(record)), 0)
    place = chosen_row(
        table_rows(past, time.time())[::-1],
        key=f"rounds_{len(rounds)}",
        first=first,
        most=10,
        height=400,
        named=("round", [record.number for record in rounds]),
        columns={
            "Round": st.column_config.NumberColumn(width="small"),
            "Audit accuracy": st.column_config.TextColumn(help=ONE_NUMBER),
            "Gain": st.column_config.TextColumn(
                help="Points of audit accuracy against the model before, ± the 95 % half-width, "
                "as if the two were measured on different items."
            ),
            "Labels": st.column_config.NumberColumn(format="localized"),
        },
    )
    return rounds[place]


def table_rows(past: Past, now: float) -> list[dict[str, Any]]:
    """Return the rounds as rows of the table, oldest first."""
    rows: list[dict[str, Any]] = []
    before: Headline | None = None
    for record in past.rounds:
        found = past.measured(record)
        ended = record.finished_at
        rows.append(
            {
                "Round": record.number,
                "State": STATE_TITLES[record.state],
                "Strategy": view.strategy_title(record.strategy),
                "Batch": record.batch,
                "Queued": record.queued,
                "Labels": record.labels,
                "Audit accuracy": headline.short(found.measured) if found else "–",
                "Gain": view.gain(before.measured if before else None, found.measured)
                if found
                else "–",
                "Took": view.precise_seconds(ended - record.started_at) if ended else "–",
                "When": view.ago(record.started_at, now),
            }
        )
        before = found or before
    return rows


def _details(past: Past, record: RoundRecord, dark: bool) -> None:
    """Show what is known of one round."""
    if record.error:
        st.error(
            f"**Round {record.number}** did not end: {escape_markdown(record.error)}",
            icon=":material/error:",
        )
    if message := past.messages.get(record.id):
        st.caption(escape_markdown(message))
    model = past.model_of(record)
    names = ["Stages"] if model is None else ["Confusion matrix", "Per class", "Stages", "Model"]
    bought = ablations.of(model) if model else None
    if bought:
        names.append("Synthetic items")
    # Without the round in its key a tab would keep the plot of the round before.
    tabs = dict(zip(names, st.tabs(names, key=f"round_tabs_{record.id}"), strict=True))
    with tabs["Stages"]:
        round_details.stages(record)
    if model is None:
        return
    with tabs["Confusion matrix"]:
        round_details.confusion(past.names, record, model, dark)
    with tabs["Per class"]:
        round_details.per_class(past.names, record, model)
    with tabs["Model"]:
        model_facts.show(model, past.headlines[model.id])
    if bought:
        with tabs["Synthetic items"]:
            round_details.ablation(bought, past.names, f"round_{record.id}", dark)


def _balance(past: Past) -> None:
    """Show the labels by class and split."""
    names = [record.name for record in past.classes]
    splits = {
        split: [numbers.get(record.id, 0) for record in past.classes]
        for split, numbers in past.splits.items()
    }
    st.plotly_chart(
        plots.balance(names, splits),
        config=plots.CONFIG,
        key="balance",
        alt="Labels of each class by split",
    )
