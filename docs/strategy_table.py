"""The parts of docs/strategies.md that the code writes.

`cog -I docs -r docs/strategies.md` puts them in; a test compares.
"""

from __future__ import annotations

from strategies import registry
from strategies.base import Needs

# What a pick of k from N items costs: M labelled, D dimensions, C classes, S samples of the model.
# Steps that are one matrix product are worth some hundred of the others.
COSTS = {
    "auto": "as the one that picks",
    "badge": "⌈k / 32⌉ passes over N · D",
    "bald": "S · N · C",
    "batch_bald": "S · N · C, then k · 2,000 · 2,000 · S · C at most",
    "class_balance": "N · C + N log N",
    "consensus_kl": "S · N · C",
    "contrastive": "N · M · D",
    "density_weighted": "N · (C + D)",
    "drop_query": "S · N · C, then 20 · n · k · D for n candidates",
    "energy": "N · C",
    "entropy": "N · C",
    "k_center": "N · M · D, or k · N when the distances are kept",
    "least_confidence": "N · C",
    "margin": "N · C",
    "max_herding": "N · (M + N) · D, N at most 10,000",
    "mean_std": "S · N · C",
    "mixture": "the sum of its parts",
    "power_bald": "S · N · C",
    "prob_cover": "N · (M + N) · D, N at most 10,000",
    "random": "k",
    "typiclust": "min(M + k, 500) · (N + M) · D",
    "uncertainty_herding": "N · (M + N) · D, N at most 10,000",
    "vote_entropy": "S · N · C",
}
READ = {
    Needs.PROBS: "probabilities",
    Needs.LOGITS: "logits",
    Needs.MC_PROBS: "dropout samples",
    Needs.EMBEDDINGS: "embeddings",
    Needs.LABELLED: "labels",
    Needs.LABELLED_PROBS: "probabilities of labelled items",
}


def table() -> str:
    """Return what each pool strategy reads, what it costs, and where it is from."""
    lines = ["| Strategy | Reads | Steps | Reference |", "|---|---|---|---|"]
    for info in registry.all("pool"):
        reads = ", ".join(READ[need] for need in info.needs) or "nothing"
        lines.append(
            f"| [`{info.name}`](#{info.name}) | {reads} | {COSTS[info.name]} | {info.reference} |"
        )
    return "\n".join(lines)


def heading(name: str) -> str:
    """Return a strategy's heading, its summary and its picture."""
    info = registry.get(name)
    return f"### `{name}`\n\n![{info.summary}](pictures/strategies/{name}.png)\n\n*{info.summary}*"
