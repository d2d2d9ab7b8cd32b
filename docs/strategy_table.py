"""The parts of docs/strategies.md that the code writes.

`cog -I docs -r docs/strategies.md` puts them in; a test compares.
"""

from __future__ import annotations

from strategies import registry
from strategies.base import Needs
from strategies.synthesis.recipes import in_group
from strategies.synthesis.recipes.recipe import Group

# What a pick of k from N items costs: M labelled, D dimensions, C classes, S samples of the model,
# R recipes, V validation items. Steps that are one matrix product are worth some hundred of others.
COSTS = {
    "auto": "as the one that picks",
    "balance": "M + k",
    "balanced_incremental_quantile": "w log w an item, for a window of w = 100",
    "badge": "⌈k / 32⌉ passes over N · D",
    "bald": "S · N · C",
    "batch_bald": "S · N · C, then k · 2,000 · 2,000 · S · C at most",
    "budget_ratio": "b an item, for about b = 150 levels of confidence",
    "class_balance": "N · C + N log N",
    "consensus_kl": "S · N · C",
    "contrastive": "N · M · D",
    "density_weighted": "N · (C + D)",
    "disagreement": "R · M pictures rendered and predicted, then R · M log(R · M)",
    "drop_query": "S · N · C, then 20 · n · k · D for n candidates",
    "energy": "N · C",
    "entropy": "N · C",
    "fixed_threshold": "1 an item",
    "interpolate": "n² · D, for each class of n that gets some",
    "k_center": "N · M · D, or k · N when the distances are kept",
    "latent_mixup": "k · D",
    "least_confidence": "N · C",
    "margin": "N · C",
    "max_herding": "N · (M + N) · D, N at most 10,000",
    "mean_std": "S · N · C",
    "mixture": "the sum of its parts",
    "power_bald": "S · N · C",
    "prob_cover": "N · (M + N) · D, N at most 10,000",
    "random": "k",
    "randomised_variable_threshold": "1 an item",
    "split": "1 an item",
    "typiclust": "min(M + k, 500) · (N + M) · D",
    "uncertainty_herding": "N · (M + N) · D, N at most 10,000",
    "variable_threshold": "1 an item",
    "vote_entropy": "S · N · C",
    "weak_spots": "R · V pictures rendered and predicted, then R · V · C + k",
}
READ = {
    Needs.PROBS: "probabilities",
    Needs.LOGITS: "logits",
    Needs.MC_PROBS: "dropout samples",
    Needs.EMBEDDINGS: "embeddings",
    Needs.LABELLED: "labels",
    Needs.LABELLED_PROBS: "probabilities of labelled items",
    Needs.CHILD_PROBS: "probabilities of their trial children",
    Needs.TRIAL_PROBS: "probabilities of validation items and of their trial children",
}
TITLES: dict[Group, str] = {
    "light": "Light",
    "camera": "Camera",
    "compression": "Compression",
    "screenshot": "Screenshot",
    "geometry": "Geometry",
    "occlusion": "Occlusion",
    "text": "Text overlay",
    "emoji": "Emoji overlay",
}


def table(family: registry.Family) -> str:
    """Return what each strategy of a family reads, what it costs, and where it is from."""
    lines = ["| Strategy | Reads | Steps | Reference |", "|---|---|---|---|"]
    for info in registry.all(family):
        reads = ", ".join(READ[need] for need in info.needs) or "nothing"
        lines.append(
            f"| [`{info.name}`](#{info.name}) | {reads} | {COSTS[info.name]} | {info.reference} |"
        )
    return "\n".join(lines)


def heading(name: str) -> str:
    """Return a strategy's heading, its summary and its picture."""
    info = registry.get(name)
    return f"### `{name}`\n\n![{info.summary}](pictures/strategies/{name}.png)\n\n*{info.summary}*"


def recipes(group: Group) -> str:
    """Return a group of recipes: its contact sheet, and a line on each."""
    lines = [f"### {TITLES[group]}", "", f"![{TITLES[group]}](pictures/recipes/{group}.jpg)", ""]
    for recipe in in_group(group):
        drawn = ", ".join(f"`{parameter.name}`" for parameter in recipe.parameters)
        off = "" if recipe.usual else " Off at first."
        lines.append(f"- `{recipe.name}`{f' ({drawn})' if drawn else ''}: {recipe.summary}{off}")
    return "\n".join(lines)
