"""How a generated label is shown wherever an item is: marked, and never before a blind answer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from store.records_made import GeneratedLabel
from store.store import Unit

STATES = {"open": "not accepted yet", "accepted": "accepted", "rolled_back": "rolled back"}


@dataclass(frozen=True, slots=True)
class Mark:
    """What to show of a generated label; `class_name` is None while a person is asked blind."""

    label: GeneratedLabel
    class_name: str | None

    @property
    def short(self) -> str:
        """A few words for under a thumbnail."""
        return f"generated: {self.class_name}" if self.class_name else "generated, in the audit"

    @property
    def long(self) -> str:
        """What is known of it, besides the class."""
        run = f"{self.label.kind} run {self.label.run_id}, {STATES[self.label.verdict]}"
        if self.class_name is None:
            return f"hidden until the audit is answered; {run}"
        return f"{100 * self.label.confidence:.0f} % sure; {run}"


def marks(unit: Unit, ids: Sequence[int]) -> dict[int, Mark]:
    """Return the marks of those of these items that have a generated label and no other.

    Parameters
    ----------
    unit : Unit
    ids : sequence of int
        As many as a page shows.
    """
    found = unit.generated_labels.of(ids)
    if not found:
        return {}
    names = {one.id: one.name for one in unit.classes.all(archived=True)}
    sealed = unit.generated_labels.asked_blind(list(found))
    return {
        item: Mark(one, None if item in sealed else names[one.class_id])
        for item, one in found.items()
    }
