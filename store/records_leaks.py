"""Records of the leak guard: links between near-duplicates, and what became of their groups."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from store.records import Split

LinkMethod = Literal["hash", "mirror", "embedding"]


@dataclass(frozen=True, slots=True)
class LinkRecord:
    """Two items that look alike; `item_id` came after `other_id`.

    `distance` is in differing bits of the perceptual hash (of one's mirror image, where that is the
    method), or between embeddings of length one.
    """

    item_id: int
    other_id: int
    method: LinkMethod
    distance: float


@dataclass(frozen=True, slots=True)
class GroupFacts:
    """A group as it stands: its oldest item, how many it holds, and their split.

    An item in the split ``unused`` has no say in `split`.
    """

    key: str
    oldest: int
    size: int
    split: Split


@dataclass(frozen=True, slots=True)
class RegroupingRecord:
    """One run of the leak guard that changed something, or one import.

    `joined` items got another group; of these `moved` changed to another split, and `unused` ones
    neither train nor measure any more. `apart` links were left: their group would have become too
    large. `undone` of the joined items were taken back. An import has no `job_id` of its own.
    """

    id: int
    at: float
    job_id: int | None
    distance: float
    joined: int
    moved: int
    unused: int
    apart: int
    undone: int


@dataclass(frozen=True, slots=True)
class RegroupedItemRecord:
    """One item that a regrouping changed; `anchor_id` is the oldest of the group that it joined."""

    item_id: int
    anchor_id: int
    group_before: str
    group_after: str
    split_before: Split
    split_after: Split
    undone_at: float | None


@dataclass(frozen=True, slots=True)
class Joined:
    """A new item that an import put into the group of what it looks like."""

    item_id: int
    anchor_id: int
    group_before: str
    group_after: str
    split_before: Split
    split_after: Split
