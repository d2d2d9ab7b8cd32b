"""Which split an item belongs to: a stable hash of its group, nothing else."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from store.records import Split

LOOKS = 200  # items by which a split may outgrow its share in any project


def split_of(group: str, audit_share: float, valid_share: float) -> Split:
    """Return the split of every item of `group`.

    The answer depends on the arguments alone: it is the same on every machine, in every import
    order, and for every member of the group. Two independent draws are taken from one hash, so
    that changing `audit_share` moves items into or out of the audit set but never between
    ``train`` and ``valid``.

    Parameters
    ----------
    group : str
        Name of the group; the hash of the bytes for an item that is alone.
    audit_share : float
        Share of the groups, 0 to 1, that belong to the audit set.
    valid_share : float
        Share of the others, 0 to 1, that validate.

    Returns
    -------
    {"train", "valid", "audit"}
    """
    digest = blake2b(group.encode("utf-8", "surrogatepass"), digest_size=16).digest()
    first, second = (int.from_bytes(half, "big") / 2**64 for half in (digest[:8], digest[8:]))
    if first < audit_share:
        return "audit"
    return "valid" if second < valid_share else "train"


def room_for_looks(
    held: Mapping[Split, int], audit_share: float, valid_share: float
) -> dict[Split, int]:
    """Return how many items each split may take up because they look like some of its own.

    A split may outgrow its share by `LOOKS` items, or a tenth of all. Without an end to it, the
    images of a camera that never moves would all be in one split, and nothing would measure a
    model, or be left to ask about.

    Parameters
    ----------
    held : mapping of Split to int
        Items of each split.
    audit_share, valid_share : float
        As for :func:`split_of`.
    """
    total = sum(held.values())
    shares: dict[Split, float] = {
        "audit": audit_share,
        "valid": (1 - audit_share) * valid_share,
        "train": (1 - audit_share) * (1 - valid_share),
        "unused": 0.0,
    }
    more = max(LOOKS, total // 10)
    return {
        split: int(share * total) + more - held.get(split, 0) for split, share in shares.items()
    }
