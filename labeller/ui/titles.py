"""What people read for the names in the database: kinds of jobs, stages, strategies."""

from __future__ import annotations

KIND_TITLES = {"round": "Retraining", "import": "Importing", "replay": "Replaying"}
STAGES = ("features", "train", "calibrate", "evaluate", "predict", "select", "queue")
STAGE_TITLES = {
    "features": "Reading images",
    "train": "Training",
    "calibrate": "Calibrating",
    "evaluate": "Evaluating",
    "predict": "Predicting the pool",
    "select": "Picking the next batch",
    "queue": "Replacing the queue",
    "replay": "Picking, training, measuring",
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
    """Return a strategy's name as its paper writes it; others as ``Least confidence``."""
    return STRATEGY_TITLES.get(name) or name.replace("_", " ").capitalize()
