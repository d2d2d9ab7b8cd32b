"""What stands below an audit image: its label, and what models said of it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

import numpy as np

from labeller.services.evaluation_audit import OnAudit
from labeller.ui import view
from labeller.ui.evaluation_gallery import Card


def flip_cards(
    names: Mapping[int, str], old: OnAudit, new: OnAudit, items: Iterable[int]
) -> list[Card]:
    """Return items that flipped, with what both models said."""
    return [
        Card(
            int(item),
            (
                _label(names, new, int(item)),
                f"was {_said(names, old, int(item))}",
                f"now {_said(names, new, int(item))}",
            ),
        )
        for item in items
    ]


def card(names: Mapping[int, str], model: OnAudit, item: int) -> Card:
    """Return an item with its label and what the model said."""
    row = _row(model, item)
    likely = float(model.probs[row, model.truth[row]])
    lines = (_label(names, model, item), f"predicted {_said(names, model, item)}")
    wrong = model.predicted[row] != model.truth[row]
    extra = (f"the label: {view.percent(likely, 0)}",) if wrong else ()
    return Card(item, lines + extra)


def _row(model: OnAudit, item: int) -> int:
    return int(np.searchsorted(model.item_ids, item))


def _label(names: Mapping[int, str], model: OnAudit, item: int) -> str:
    return name_of(names, model.class_ids[int(model.truth[_row(model, item)])])


def _said(names: Mapping[int, str], model: OnAudit, item: int) -> str:
    row = _row(model, item)
    column = int(model.predicted[row])
    sure = view.percent(float(model.probs[row, column]), 0)
    return f"{name_of(names, model.class_ids[column])}, {sure}"


def name_of(names: Mapping[int, str], class_id: int) -> str:
    """Return the name of a class, or its number when it has none any more."""
    return names.get(class_id, f"class {class_id}")
