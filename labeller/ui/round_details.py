"""What the rounds page shows of one round: confusion matrix, classes, stages, model, synthesis."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import streamlit as st

from labeller.services.ablations import Ablation
from labeller.ui import plots, synthesis_plots, view
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


def ablation(found: Ablation, names: Mapping[int, str], key: str, dark: bool) -> None:
    """Show what synthetic items brought a model: the same training with and without them."""
    st.markdown(ablation_line(found))
    if found.with_synthetic is None:
        return
    st.plotly_chart(
        synthesis_plots.ablation(found, dark),
        theme="streamlit",
        config=plots.CONFIG,
        key=f"ablation_{key}_{dark}",
        alt="Audit accuracy with and without synthetic items, with 95 % intervals",
    )
    with st.expander("Per class", icon=":material/category:"):
        st.dataframe(
            [
                {
                    "Class": names.get(one.class_id, f"class {one.class_id}"),
                    "Audit items": one.n,
                    "Right without": one.without,
                    "Right with": one.with_synthetic,
                }
                for one in found.classes
            ],
            hide_index=True,
            key=f"ablation_classes_{key}",
        )


def ablation_line(found: Ablation) -> str:
    """Say in a line or two what an ablation shows."""
    items = view.count(found.synthetic, "synthetic item")
    if found.difference is None or found.low is None or found.high is None:
        return f"Trained with {items}. {found.why or 'Nothing was measured.'}"
    points, low, high = (
        f"{100 * value:+.1f}".replace("-", "−")
        for value in (found.difference, found.low, found.high)
    )
    verdict = {"better": "better with them", "worse": "worse with them"}.get(found.verdict)
    return (
        f"**{points} points** (95 %: {low} to {high}) with {items}, p = {found.p_value:.2g}: "
        f"**{verdict or found.verdict}**.  \n:gray[Of {view.count(found.n, 'audit image')}, "
        f"{found.gained:,} only right with them, {found.lost:,} only right without.]"
    )
