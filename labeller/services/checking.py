"""“Would this still be a …?”: synthetic items that no person has judged."""

from __future__ import annotations

from dataclasses import dataclass

from labeller.project import Project
from store.records import ClassRecord, ItemRecord
from store.records_made import SyntheticRecord
from store.store import Unit


@dataclass(frozen=True, slots=True)
class Pair:
    """A synthetic item beside its parent, and the class that both should be of."""

    child: SyntheticRecord
    parent: ItemRecord
    class_: ClassRecord


def waiting(
    project: Project, run: int | None = None, after: int = 0, limit: int = 30
) -> tuple[list[Pair], int]:
    """Return the next synthetic items that nobody judged, and how many come after `after`.

    Only pictures whose parent still has the label that they inherited: others teach nothing.

    Parameters
    ----------
    project : Project
    run : int, optional
        Only those of this run.
    after : int
        The last one of the answer before.
    limit : int
        Most to return.

    Returns
    -------
    pairs : list of Pair
        In the order in which they were made.
    left : int
        How many there are, those returned included.
    """
    with project.store.read() as unit:
        found = [
            one
            for one in unit.synthetic.trainable()
            if one.verdict is None
            and one.path is not None
            and one.id > after
            and run in (None, one.run_id)
        ]
        return pairs(unit, found[:limit]), len(found)


def pairs(unit: Unit, children: list[SyntheticRecord]) -> list[Pair]:
    """Return synthetic items with their parents and classes, in their order."""
    parents = unit.items.many([child.parent_id for child in children])
    classes = {record.id: record for record in unit.classes.all(archived=True)}
    return [Pair(one, parents[one.parent_id], classes[one.class_id]) for one in children]


def image_url(project: Project, record: SyntheticRecord) -> str:
    """Return the address of a synthetic item's picture below the API's root; add ``&size=``."""
    return f"synthetic/{record.id}/image?v={image_version(project, record)}"


def image_version(project: Project, record: SyntheticRecord) -> str:
    """Return the text that changes whenever a synthetic item's served pictures would."""
    settings = project.settings
    sha256 = record.sha256 or "none"
    return f"{sha256[:16]}-{settings.card_pixels}-{settings.thumbnail_pixels}"
