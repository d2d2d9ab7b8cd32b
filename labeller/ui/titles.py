"""What people read for the names in the database: kinds of jobs, stages, strategies."""

from __future__ import annotations

KIND_TITLES = {
    "round": "Retraining",
    "import": "Importing",
    "replay": "Replaying",
    "stream": "Streaming",
    "propagation": "Labelling the rest",
    "synthesis": "Making new items",
    "cleaning": "Searching doubtful labels",
    "export_model": "Exporting the model",
    "snapshot": "Exporting the snapshot",
    "backup": "Backing up",
    "predict": "Predicting",
    "predict_pool": "Predicting the pool",
}
STAGES = ("features", "guard", "train", "calibrate", "evaluate", "predict", "select", "queue")
STAGE_TITLES = {
    "features": "Reading images",
    "guard": "Comparing near-duplicates",
    "train": "Training",
    "calibrate": "Calibrating",
    "evaluate": "Evaluating",
    "predict": "Predicting the pool",
    "select": "Picking the next batch",
    "queue": "Replacing the queue",
    "load": "Loading the model",
    "predictions": "Predicting images",
    "replay": "Picking, training, measuring",
    "stream": "Letting images pass",
    "graph": "Spreading labels",
    "propagate": "Labelling the rest",
    "plan": "Planning",
    "trials": "Trying recipes on the model",
    "synthesis": "Rendering new items",
    "synthetic": "Reading synthetic items",
    "ablate": "Training once without synthetic items",
    "export": "Writing files",
    "files": "Copying files",
    "checking": "Reading it back",
    "compare": "Comparing near-duplicates",
    "items": "Writing the items",
    "images": "Copying images",
    "start": "Starting",
    "count": "Counting images",
    "import": "Importing images",
}
STRATEGY_TITLES = {
    "badge": "BADGE",
    "bald": "BALD",
    "batch_bald": "BatchBALD",
    "consensus_kl": "Consensus KL",
    "drop_query": "DropQuery",
    "k_center": "k-center",
    "max_herding": "MaxHerding",
    "power_bald": "PowerBALD",
    "prob_cover": "ProbCover",
    "typiclust": "TypiClust",
    "uncertainty_herding": "UHerding",
}


def strategy_title(name: str) -> str:
    """Return a strategy's name as its paper writes it; others as ``Least confidence``.

    A written mixture becomes ``Mixture: Margin 70, Random 30``.
    """
    if "=" in name:
        parts = (part.partition("=") for part in name.split("+"))
        return "Mixture: " + ", ".join(
            f"{strategy_title(part)} {share}" for part, _, share in parts
        )
    return STRATEGY_TITLES.get(name) or name.replace("_", " ").capitalize()


def short_strategy_title(name: str) -> str:
    """Return the title where there is little room: of a mixture ``Mixture 70 : 30``."""
    if "=" not in name:
        return strategy_title(name)
    return "Mixture " + " : ".join(part.partition("=")[2] for part in name.split("+"))
