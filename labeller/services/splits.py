"""Which split an item belongs to: a stable hash of its group, nothing else."""

from __future__ import annotations

from hashlib import blake2b

from store.records import Split


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
