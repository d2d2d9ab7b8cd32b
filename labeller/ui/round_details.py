"""What the rounds page shows of one round: confusion matrix, classes, stages, model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from labeller.ui import plots, view
from labeller.ui.text import escape_markdown
from store.records import ModelRecord, RoundRecord


def stages(record: RoundRecord) -> None:
    """Draw how long each stage took."""
    if not record.timings:
        st.caption("No stage of this round has ended." if record.state != "done" else "No timings.")
        return
    st.plotly_chart(
        plots.timings(record.timings),
        config=plots.CONFIG,
        key=f"stages_{record.id}",
        alt="Seconds per stage of the round",
    )


def confusion(
    names: Mapping[int, str], record: RoundRecord, model: ModelRecord, dark: bool
) -> None:
    """Draw the confusion matrix of a round's model."""
    matrix = model.metrics.get("confusion")
    if not matrix or not any(map(sum, matrix)):
        st.caption(str(model.metrics.get("why") or "No image of the audit set was labelled then."))
        return
    shown = [names.get(i, f"class {i}") for i in model.class_ids]
    st.plotly_chart(
        plots.confusion(matrix, shown, dark),
        config=plots.CONFIG,
        key=f"confusion_{record.id}_{dark}",
        alt="Confusion matrix on the audit set",
    )
    st.caption("Counts on the audit set; the colour is the share of the true class.")


def per_class(names: Mapping[int, str], record: RoundRecord, model: ModelRecord) -> None:
    """List precision and recall of each class."""
    rows = per_class_rows(model, names)
    if not rows:
        st.caption("No image of the audit set was labelled then.")
        return
    percent = st.column_config.NumberColumn(format="percent")
    st.dataframe(
        rows,
        hide_index=True,
        height="auto" if len(rows) <= 12 else 420,
        key=f"per_class_{record.id}",
        column_config={
            "Precision": percent,
            "Recall": percent,
            "Audit items": st.column_config.NumberColumn(format="localized"),
        },
    )


def per_class_rows(model: ModelRecord, names: Mapping[int, str]) -> list[dict[str, Any]]:
    """Return precision and recall per class as rows of a table."""
    listed: Sequence[dict[str, Any]] = model.metrics.get("per_class") or []
    return [
        {
            "Class": names.get(entry["class_id"], f"class {entry['class_id']}"),
            "Audit items": entry.get("n"),
            "Precision": entry.get("precision"),
            "Recall": entry.get("recall"),
        }
        for entry in listed
    ]


def model_facts(model: ModelRecord) -> None:
    """Show what the model was made of and its calibration."""
    metrics = model.metrics
    facts = {
        "Backbone": model.backbone,
        "Device": model.device,
        "Trained on": view.count(int(metrics.get("train_n") or model.labels), "label"),
        "Validated on": view.count(int(metrics.get("valid_n") or 0), "label"),
        "Valid accuracy": _share(metrics.get("valid_accuracy")),
        "Log loss": _decimals(metrics.get("log_loss")),
        "Calibration error before, after": f"{_share(metrics.get('ece_before'))}, "
        f"{_share(metrics.get('ece_after'))}",
        "Temperature": _decimals(metrics.get("temperature")),
        "Seed": str(model.seed),
        "Label set": f"{model.label_hash[:16]}…",
    }
    st.markdown(
        "  \n".join(f":gray[{name}] {escape_markdown(text)}" for name, text in facts.items())
    )


def _share(value: Any) -> str:
    return "–" if value is None else view.percent(float(value))


def _decimals(value: Any) -> str:
    return "–" if value is None else f"{float(value):.3f}"
