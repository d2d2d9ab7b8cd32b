"""All that is kept of a model, in words: what it learned from, how, and what it was measured at."""

from __future__ import annotations

import time
from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

import streamlit as st

from labeller.services import energies, headline, training_words
from labeller.services.headline import Headline
from labeller.ui import view
from labeller.ui.text import escape_markdown
from store.records import ModelRecord

_SHORT = 12


def show(model: ModelRecord, found: Headline) -> None:
    """Draw the facts in three columns, and everything as it is kept behind them."""
    parts = {
        "Learned from": learned(model),
        "Made": made(model),
        "Measured": measured(model, found),
    }
    other = {"Measured": headline.other(found)}
    for place, (title, facts) in zip(st.columns(3, gap="medium"), parts.items(), strict=True):
        lines = [f":gray[{name}] {text}" for name, text in facts.items()]
        place.markdown("  \n".join([f"**{title}**", *lines]), help=other.get(title))
    box = st.expander(
        "Everything that is kept of it",
        icon=":material/data_object:",
        key=f"model_kept_{model.id}",
        on_change="rerun",
    )
    if box.open:
        box.json(kept(model), expanded=1)


def learned(model: ModelRecord) -> dict[str, str]:
    """Return what it learned from: labels, their set, classes, backbone, seed."""
    config, metrics = model.config, model.metrics
    facts = {
        "Labels": f"{int(metrics.get('train_n') or model.labels):,} train, "
        f"{int(metrics.get('valid_n') or 0):,} valid",
        "Label set": _hash(model.label_hash),
    }
    for key, name in (("generated", "Generated labels"), ("synthetic", "Synthetic items")):
        if config.get(key):
            facts[name] = f"{int(config[key]):,}"
    return facts | {
        "Classes": f"{len(model.class_ids):,}",
        "Backbone": escape_markdown(model.backbone),
        "Its weights": _hash(str(config.get("backbone_hash") or "")),
        "Seed": str(model.seed),
    }


def made(model: ModelRecord) -> dict[str, str]:
    """Return how it was trained: training, device, time, versions."""
    config = model.config
    how = str(config.get("training", "–")).replace("_", " ")
    if why := config.get("why"):
        how += f" ({escape_markdown(str(why))})"
    spent = {stage: took for stage, took in model.timings.items() if stage != "start"}
    stages = ", ".join(
        f"{view.STAGE_TITLES.get(stage, stage).lower()} {view.precise_seconds(took)}"
        for stage, took in spent.items()
        if took >= 0.05
    )
    seen = (
        {"Examples seen": f"{int(config['examples_seen']):,}"}
        if config.get("examples_seen")
        else {}
    )
    versions = ", ".join(f"{name} {number}" for name, number in model.versions.items())
    return {
        "Training": how,
        "Objective": training_words.objective(config),
        **seen,
        **_committee(config),
        "When": time.strftime("%Y-%m-%d %H:%M", time.localtime(model.created_at)),
        "Device": escape_markdown(model.device),
        "Took": f"{view.precise_seconds(sum(spent.values()))} ({stages})" if stages else "–",
        "Versions": escape_markdown(versions) or "–",
    }


def measured(model: ModelRecord, found: Headline) -> dict[str, str]:
    """Return its accuracy on the audit labels of now, and what else its round measured."""
    metrics = model.metrics
    known = energies.kept(metrics)
    facts = {
        "Audit accuracy": headline.summary(found.measured),
        "In its round: log loss": _decimals(metrics.get("log_loss")),
        "Calibration error": f"{_share(metrics.get('ece_before'))} before, "
        f"{_share(metrics.get('ece_after'))} after temperature "
        f"{training_words.temperature(metrics)}",
        "Accuracy on valid": _share(metrics.get("valid_accuracy")),
    }
    if known is not None and known.threshold is not None:
        facts["Unfamiliar above energy"] = f"{known.threshold:.2f}".replace("-", "−")
    return facts


def kept(model: ModelRecord) -> dict[str, Any]:
    """Return the whole record as JSON values."""
    return asdict(model)


def _committee(config: Mapping[str, Any]) -> dict[str, str]:
    """Say how many models it is, where it is more than one."""
    members = int(config.get("committee") or 1)
    if members == 1:
        return {}
    votes = "predicts by their mean" if config.get("soft_voting") else "the first predicts"
    return {"Committee": f"{members} models, {votes}"}


def _hash(digest: str) -> str:
    return f"`{digest[:_SHORT]}…`" if digest else "not kept then"


def _share(value: Any) -> str:
    return "–" if value is None else view.percent(float(value))


def _decimals(value: Any) -> str:
    return "–" if value is None else f"{float(value):.3f}"
