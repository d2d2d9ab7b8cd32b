"""Mixture: some of the batch by one strategy, some by another.

A mixture is written ``margin=70+typiclust=20+random=10``, or ``margin:70,typiclust:20,random:10``
where commas mean nothing else; `registry.get` takes what is written so for a strategy like any
other.
"""

from __future__ import annotations

import dataclasses
import functools
import math
import re
from collections.abc import Mapping
from operator import or_
from types import MappingProxyType

import numpy as np

from strategies import registry
from strategies.base import IntArray, Needs, Pool, PoolError, Selection
from strategies.nearest import positions
from strategies.registry import pool_strategy

USUAL: Mapping[str, float] = MappingProxyType({"margin": 0.7, "typiclust": 0.2, "random": 0.1})
EXAMPLE = "margin=70+random=30"


@pool_strategy("mixture", needs=Needs.PROBS | Needs.EMBEDDINGS | Needs.LABELLED, ordered=False)
def mixture(
    pool: Pool, k: int, rng: np.random.Generator, *, parts: Mapping[str, float] = USUAL
) -> Selection:
    """Pick 70 % by margin, 20 % by typiclust and 10 % at random, or any other mixture.

    Spreads the risk: margin sharpens the boundaries, typiclust finds what has no label yet, and the
    random share catches what both are blind to. Each part picks from what the parts before it left,
    and takes their picks for covered.

    Parameters
    ----------
    pool : Pool
        With what the parts need; for the usual ones `probs`, `embeddings` and the labelled items.
    k : int
        How many to pick, 1 to N.
    rng : numpy.random.Generator
        For the parts.
    parts : mapping of str to float
        Names of pool strategies, and their shares; need not sum to one.

    Returns
    -------
    Selection
        Scores are those of the parts, and comparable within a part only; `parts` names the one that
        picked each item. The parts take turns, so that any beginning of the batch is mixed.

    Raises
    ------
    PoolError
        When there is no part, a share is not above 0, or a part is itself a mixture.
    UnknownStrategy
        When no pool strategy has the name of a part.

    References
    ----------
    Hsu, W.-N. and Lin, H.-T. Active Learning by Learning. AAAI 2015 (mixing strategies; the fixed
    shares are ours).
    """
    if not parts:
        raise PoolError("A mixture needs at least one part.")
    return _mixed(pool, k, rng, parts)


def _mixed(pool: Pool, k: int, rng: np.random.Generator, parts: Mapping[str, float]) -> Selection:
    """Pick by parts that there are."""
    infos = [_part(name, share) for name, share in parts.items()]
    counts = quotas(list(parts.values()), k)
    picks: list[Selection] = []
    rows = np.empty(0, np.int64)
    for info, count in zip(infos, counts, strict=True):
        selection = info.function(_rest(pool, rows, info.needs), count, rng)
        picks.append(selection)
        rows = np.append(rows, positions(selection.ids, pool.ids))
    scores = np.concatenate([selection.scores for selection in picks])
    names = np.repeat(list(parts), counts)
    # the j-th of a part's n picks has its turn after a share of (j + ½) / n of the batch
    turns = np.concatenate([(np.arange(count) + 0.5) / max(1, count) for count in counts])
    order = np.argsort(turns, kind="stable")
    return Selection(pool.ids[rows[order]], scores[order], tuple(names[order].tolist()))


def needs_of(parts: Mapping[str, float]) -> Needs:
    """Return the arrays that a mixture of `parts` reads: what any of them reads."""
    return functools.reduce(or_, (registry.get(name).needs for name in parts))


def parse(text: str) -> dict[str, float]:
    """Read a mixture as a person writes it.

    Parameters
    ----------
    text : str
        Names and shares, as in ``margin=70+random=30``; colons may stand for the equal signs, and
        commas for the plus signs.

    Returns
    -------
    dict of str to float
        Shares by name, in the order written; they need not sum to one.

    Raises
    ------
    PoolError
        When a share is missing, no number, or not above 0; when a part is named twice, is itself a
        mixture, or is the only one.
    UnknownStrategy
        When no pool strategy has the name of a part.
    """
    parts: dict[str, float] = {}
    for part in re.split(r"[+,]", text):
        name, _, given = (word.strip() for word in part.replace(":", "=").partition("="))
        try:
            share = float(given)
        except ValueError:
            raise PoolError(
                f"The mixture {text!r} gives {name!r} no share: write {EXAMPLE}."
            ) from None
        if name in parts:
            raise PoolError(f"The mixture {text!r} names {name} twice: add its shares up.")
        _part(name, share)
        parts[name] = share
    if len(parts) < 2:
        raise PoolError(
            f"A mixture needs two parts at least, not {text!r} alone: write {EXAMPLE}, with plus "
            "signs where commas part one strategy from the next."
        )
    return parts


def written(parts: Mapping[str, float]) -> str:
    """Return parts as `parse` reads them."""
    return "+".join(f"{name}={share:.10g}" for name, share in parts.items())


def strategy_of(text: str) -> registry.StrategyInfo:
    """Return a written mixture as a strategy of its own; raises as `parse` does.

    Its name is the mixture as `written` writes it, its needs are those of all parts.
    """
    parts = parse(text)
    name, needs, total = written(parts), needs_of(parts), sum(parts.values())
    told = [f"{100 * share / total:.3g} % by {part}" for part, share in parts.items()]

    def pick(pool: Pool, k: int, rng: np.random.Generator, /) -> Selection:
        k = registry.checked(name, needs, pool, k)
        return _mixed(pool, k, rng, parts) if k else registry.nothing()

    return dataclasses.replace(
        registry.get("mixture"),
        name=name,
        needs=needs,
        summary=f"Pick {', '.join(told[:-1])} and {told[-1]}.",
        function=pick,
    )


def quotas(shares: list[float], k: int) -> list[int]:
    """Divide k in proportion to `shares`, by the largest remainder."""
    total = sum(shares)
    exact = [k * share / total for share in shares]
    counts = [math.floor(part + 1e-9) for part in exact]
    rest = sorted(range(len(shares)), key=lambda i: (counts[i] - exact[i], -shares[i]))
    for i in rest[: k - sum(counts)]:
        counts[i] += 1
    return counts


def _part(name: str, share: float) -> registry.StrategyInfo:
    """Return the strategy of a part, if it may be one."""
    if name not in registry.names("pool"):
        raise registry.UnknownStrategy(name, registry.names("pool"))
    if name == "mixture":
        raise PoolError("A mixture cannot be a part of a mixture: name its parts instead.")
    if not 0 < share < math.inf:
        raise PoolError(f"The share of {name} in a mixture must be above 0, not {share}.")
    return registry.get(name)


def _rest(pool: Pool, rows: IntArray, needs: Needs) -> Pool:
    """Return what is left without `rows`, which count as asked for; only what `needs` names."""
    if len(rows) == 0:
        return pool
    left = np.setdiff1d(np.arange(len(pool)), rows)
    rest = pool.take(left, needs)
    if pool.embeddings is None or Needs.EMBEDDINGS not in needs:
        return rest
    asked = pool.embeddings[rows]
    if pool.pending_embeddings is not None:
        asked = np.concatenate([pool.pending_embeddings, asked])
    return dataclasses.replace(rest, pending_embeddings=asked)
