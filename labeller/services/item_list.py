"""Items listed and filtered, a page at a time, for the command line and the API."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from labeller.errors import ClassError
from labeller.project import Project
from labeller.services.class_names import class_ids, class_name
from store.records import ItemRecord, ItemState, LabelRecord, Split

MOST = 1_000  # items of a page
Order = Literal["newest", "oldest", "path"]


@dataclass(frozen=True, slots=True)
class ItemFilter:
    """Which items to list, and in which order; what is None restricts nothing.

    `text` is a part of the path, in capitals or not. `generated` lists items with a generated label
    and no other.
    """

    state: ItemState | None = None
    class_name: str | None = None
    split: Split | None = None
    text: str | None = None
    generated: bool = False
    order: Order = "newest"


@dataclass(frozen=True, slots=True)
class ListedItem:
    """An item with its label now."""

    item: ItemRecord
    label: LabelRecord | None

    def to_json(self) -> dict[str, Any]:
        """Return it as the command and the API show it."""
        item, label = self.item, self.label
        return {
            "item": item.id,
            "path": item.path,
            "sha256": item.sha256,
            "width": item.width,
            "height": item.height,
            "group": item.group,
            "split": item.split,
            "state": item.state,
            "label": None
            if label is None
            else {
                "class": label.class_id,
                "name": label.class_name,
                "annotator": label.annotator,
                "at": label.at,
            },
        }


@dataclass(frozen=True, slots=True)
class ItemPage:
    """Some of the `total` items of a filter; `after` asks for the next ones, None at the end."""

    items: tuple[ListedItem, ...]
    total: int
    after: int | None


def list_items(
    project: Project, wanted: ItemFilter, after: int | None = None, limit: int = 100
) -> ItemPage:
    """List items.

    Parameters
    ----------
    project : Project
    wanted : ItemFilter
    after : int, optional
        The last item of the page before.
    limit : int
        At most 1,000.

    Raises
    ------
    ClassError
        When there is no class of that name.
    """
    size = max(1, min(limit, MOST))
    with project.store.read() as unit:
        chosen: Mapping[str, Any] = {
            "state": wanted.state,
            "class_id": _class_id(class_ids(unit), wanted.class_name),
            "split": wanted.split,
            "text": wanted.text or None,
            "generated": wanted.generated,
        }
        total = unit.items.page_count(**chosen)
        records = unit.items.page(**chosen, order=wanted.order, after=after, limit=size + 1)
        items = tuple(ListedItem(item, unit.labels.current(item.id)) for item in records[:size])
    return ItemPage(items, total, items[-1].item.id if len(records) > size else None)


def _class_id(known: Mapping[str, int], name: str | None) -> int | None:
    if name is None:
        return None
    class_id = known.get(class_name(name))
    if class_id is None:
        raise ClassError(f"There is no class {name!r}. Classes: {', '.join(known) or 'none'}.")
    return class_id
