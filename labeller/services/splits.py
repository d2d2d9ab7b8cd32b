"""Which split an item belongs to: a stable hash of its group; in a crowd, what the crowd lacks."""

from __future__ import annotations

from collections.abc import Mapping
from hashlib import blake2b

from store.records import Split

SPLITS: tuple[Split, ...] = ("train", "valid", "audit")
LOOKS = 200  # items by which a split may outgrow its share in any project
BURST = 20  # images that look alike and stay in one split, in any project
BURST_SHARE = 0.05  # of all images that do so in a large one
SEALED = 10  # images of one burst that the audit set takes in, in any project
PIECE = 3  # images of a crowd that stay together, in any project
PIECE_SHARE = 0.01
MOST_PIECE = 20


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


def shares_of(audit_share: float, valid_share: float) -> dict[Split, float]:
    """Return the share of all items that each split is to have."""
    return {
        "train": (1 - audit_share) * (1 - valid_share),
        "valid": (1 - audit_share) * valid_share,
        "audit": audit_share,
        "unused": 0.0,
    }


def burst_size(items: int) -> int:
    """Return how many of a project's items that look alike are one burst, kept in one split.

    More than these are a crowd: frames of a camera that never moves, a video, pages of a scanner.
    In one split they would starve the others, or fill the audit set.
    """
    return max(BURST, int(BURST_SHARE * items))


def sealed_size(items: int, audit_share: float) -> int:
    """Return how many items of one burst the audit set takes in: half its share of a project."""
    return max(SEALED, int(audit_share * items / 2))


def piece_size(items: int) -> int:
    """Return how many items of a crowd stay together: those that look most alike."""
    return min(max(PIECE, int(PIECE_SHARE * items)), MOST_PIECE)


def split_in_crowd(
    group: str, held: Mapping[Split, int], audit_share: float, valid_share: float
) -> Split:
    """Return the split of a group that begins a piece of a crowd.

    That of :func:`split_of`, unless the crowd has its share there already; then the split that
    lacks most of it. So each split gets its share of every crowd, whatever its first image drew.

    Parameters
    ----------
    group : str
    held : mapping of Split to int
        Items of the crowd so far.
    audit_share, valid_share : float
        As for :func:`split_of`.
    """
    shares = shares_of(audit_share, valid_share)
    total = 1 + sum(number for split, number in held.items() if split != "unused")
    lack = {split: share * total - held.get(split, 0) for split, share in shares.items() if share}
    own = split_of(group, audit_share, valid_share)
    return own if lack[own] > 0 else max(lack, key=lack.__getitem__)


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
    shares = shares_of(audit_share, valid_share)
    more = max(LOOKS, total // 10)
    return {
        split: int(share * total) + more - held.get(split, 0) for split, share in shares.items()
    }
