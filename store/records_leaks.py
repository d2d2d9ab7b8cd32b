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
class Regroup:
    """What an item is to become: a member of a group, and with it of a split."""

    item_id: int
    group: str
    split: Split


@dataclass(frozen=True, slots=True)
class RegroupingRecord:
    """One run of the leak guard that changed something.

    `joined` items got another group; of these `moved` changed to another split, and `unused` ones
    neither train nor measure any more. `apart` links were left: their group would have become too
    large. One that was taken back has the time in `undone_at`.
    """

    id: int
    at: float
    job_id: int | None
    distance: float
    joined: int
    moved: int
    unused: int
    apart: int
    undone_at: float | None


@dataclass(frozen=True, slots=True)
class RegroupedItemRecord:
    """One item that a run of the leak guard changed."""

    item_id: int
    group_before: str
    group_after: str
    split_before: Split
    split_after: Split
