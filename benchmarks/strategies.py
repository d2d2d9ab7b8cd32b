"""Seconds and memory of the pool strategies, scikit-activeml beside them in the same run.

``python benchmarks/strategies.py [--quick] [--only margin,badge]``; for their cost against the size
of the pool see strategies_sizes.py.

Every figure is from a process of its own with one thread: 100 picks, 512-dimensional unit vectors,
10 classes, 1,000 labelled items. Making the `Pool` (and checking it) is part of ours, validating
the input is part of theirs.
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
import time
from collections.abc import Callable
from importlib.metadata import version
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
sys.path[0] = str(ROOT)  # in place of this folder, where this file would hide the package

import numpy as np  # noqa: E402

from benchmarks.report import update_section  # noqa: E402

PICKS, DIMENSION, CLASSES, LABELLED, SAMPLES = 100, 512, 10, 1_000, 20
RADIUS = 1.0  # of prob_cover, the same for both
REPEAT_BELOW = 2.0  # seconds; faster calls are repeated twice, and the fastest counts
PEERS = {  # strategy: the size at which both run
    "margin": 500_000,
    "entropy": 500_000,
    "least_confidence": 500_000,
    "bald": 10_000,
    "k_center": 50_000,
    "k_center, distances kept": 50_000,
    "badge": 10_000,
    "max_herding": 10_000,
    "prob_cover": 10_000,
    "typiclust": 10_000,
}


class Inputs:
    """Random arrays, the same for both sides; only those asked for are made."""

    def __init__(self, n: int, kinds: set[str]) -> None:
        rng = np.random.default_rng(0)
        self.n = n
        if "vectors" in kinds:
            self.vectors = np.empty((LABELLED + n, DIMENSION), np.float32)
            centres = rng.normal(size=(50, DIMENSION)).astype(np.float32)
            for start in range(0, len(self.vectors), 50_000):
                part = self.vectors[start : start + 50_000]
                part[:] = rng.standard_normal(part.shape, np.float32)
                part += centres[rng.integers(50, size=len(part))]
                part /= np.linalg.norm(part, axis=1, keepdims=True)
        self.probs = softmax(2 * rng.standard_normal((n, CLASSES), np.float32))
        if "samples" in kinds:
            noise = rng.standard_normal((SAMPLES, n, CLASSES), np.float32)
            self.samples = softmax(np.log(self.probs) + noise)
        self.labels = rng.integers(CLASSES, size=LABELLED)


def softmax(logits: np.ndarray) -> np.ndarray:
    np.exp(logits, out=logits)
    logits /= logits.sum(axis=-1, keepdims=True)
    return logits


def kinds_of(name: str) -> set[str]:
    from strategies import registry
    from strategies.base import Needs

    needs = registry.get(name.partition(",")[0]).needs
    wanted = {Needs.EMBEDDINGS: "vectors", Needs.LABELLED: "vectors", Needs.MC_PROBS: "samples"}
    return {kind for need, kind in wanted.items() if need in needs}


def ours(name: str, data: Inputs) -> Callable[[], np.ndarray]:
    from strategies import registry
    from strategies.base import Needs, Pool
    from strategies.nearest import nearest
    from strategies.pool.k_center import k_center
    from strategies.pool.prob_cover import prob_cover

    plain = name.partition(",")[0]
    needs = registry.get(plain).needs
    arrays: dict[str, Any] = {"ids": np.arange(data.n), "probs": data.probs}
    if Needs.EMBEDDINGS in needs or Needs.LABELLED in needs:
        arrays["embeddings"] = data.vectors[LABELLED:]
        arrays["labelled_embeddings"] = data.vectors[:LABELLED]
        arrays["labelled_classes"] = data.labels
        arrays["labelled_ids"] = data.n + np.arange(LABELLED)
        arrays["labelled_probs"] = np.resize(data.probs, (LABELLED, CLASSES))
    if Needs.LOGITS in needs:
        arrays["logits"] = np.log(data.probs)
    if Needs.MC_PROBS in needs:
        arrays["mc_probs"] = data.samples
    known = nearest(Pool(**arrays)) if "kept" in name else None

    def pick() -> np.ndarray:
        pool, rng = Pool(**arrays), np.random.default_rng(0)
        if known is not None:
            return k_center(pool, PICKS, rng, known=known).ids
        if plain == "prob_cover":
            return prob_cover(pool, PICKS, rng, radius=RADIUS).ids
        return registry.get(plain).function(pool, PICKS, rng).ids

    return pick


def theirs(name: str, data: Inputs) -> Callable[[], np.ndarray]:
    from skactiveml import pool as peer
    from skactiveml.base import SkactivemlClassifier
    from sklearn.cluster import MiniBatchKMeans

    class Given(SkactivemlClassifier):  # type: ignore[misc]
        """A classifier that returns the probabilities which the data has."""

        def fit(self, X: Any, y: Any) -> Given:  # noqa: ARG002
            return self

        def predict_proba(self, X: np.ndarray) -> np.ndarray:
            return data.probs if len(X) == data.n else np.full((len(X), CLASSES), 1 / CLASSES)

    class Capped(MiniBatchKMeans):  # type: ignore[misc]
        """At most 500 clusters, as in the paper."""

        def __init__(self, n_clusters: int = 8, random_state: Any = None) -> None:
            super().__init__(n_clusters=min(n_clusters, 500), random_state=random_state)

    model = Given(classes=list(range(CLASSES)))
    unlabelled = np.full(data.n, np.nan)
    if name in ("margin", "entropy", "least_confidence"):
        methods = {"margin": "margin_sampling", "least_confidence": "least_confident"}
        query = peer.UncertaintySampling(method=methods.get(name, name), random_state=0).query
        return lambda: query(data.probs, unlabelled, model, fit_clf=False, batch_size=PICKS)
    if name == "bald":
        return lambda: np.argsort(-peer.batch_bald(data.samples.astype(float), 1)[0])[:PICKS]
    some = np.concatenate([data.labels.astype(float), unlabelled])
    calls: dict[str, Callable[[], np.ndarray]] = {
        "k_center": lambda: peer.k_greedy_center(data.vectors, some, PICKS, random_state=0)[0],
        "badge": lambda: peer.Badge(random_state=0).query(
            data.vectors[LABELLED:], unlabelled, model, fit_clf=False, batch_size=PICKS
        ),
        "max_herding": lambda: peer.MaxHerding(metric_dict={"gamma": 1.0}, random_state=0).query(
            data.vectors, some, batch_size=PICKS
        ),
        "prob_cover": lambda: peer.ProbCover(
            n_classes=CLASSES, deltas=[RADIUS], random_state=0
        ).query(data.vectors, some, batch_size=PICKS),
        "typiclust": lambda: peer.TypiClust(cluster_algo=Capped, k=20, random_state=0).query(
            data.vectors, some, batch_size=PICKS
        ),
    }
    call = calls[name.partition(",")[0]]
    if name == "badge":
        return call
    return lambda: np.asarray(call()) - LABELLED


def memory(field: str) -> float:
    """Return VmRSS or VmHWM of this process in MB."""
    for line in Path("/proc/self/status").read_text().splitlines():
        if line.startswith(field):
            return int(line.split()[1]) / 1024
    return float("nan")


def one(side: str, name: str, n: int) -> None:
    """Measure in this process, and print the result as JSON."""
    data = Inputs(n, kinds_of(name))
    call = (ours if side == "ours" else theirs)(name, data)
    seconds: list[float] = []
    before = memory("VmRSS")
    while not seconds or (len(seconds) < 3 and seconds[0] < REPEAT_BELOW):
        start = time.perf_counter()
        picked = call()
        seconds.append(time.perf_counter() - start)
    peak = memory("VmHWM")
    result = {"seconds": min(seconds), "peak": peak, "added": peak - before}
    result["ids"] = np.asarray(picked).astype(int).tolist()
    print(json.dumps(result))


def measure(side: str, name: str, n: int) -> dict[str, Any] | None:
    """Measure in a fresh process with one thread; None when it fails.

    The result has seconds, the peak memory of the process and what the call added (MB), and ids.
    """
    variables = ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS")
    done = subprocess.run(
        [sys.executable, __file__, "--one", side, name, str(n)],
        env=os.environ | dict.fromkeys(variables, "1"),
        stdout=subprocess.PIPE,
        text=True,
        check=False,
    )
    print(f"  {side} {name} {n:,}: {'done' if done.returncode == 0 else 'failed'}", file=sys.stderr)
    return json.loads(done.stdout.splitlines()[-1]) if done.returncode == 0 else None


def shown(seconds: float) -> str:
    return f"{1000 * seconds:,.0f} ms" if seconds < 1 else f"{seconds:,.1f} s"


def side_by_side(only: set[str], shrink: int) -> None:
    """Compare with scikit-activeml, and write the section."""
    rows = []
    for name, size in PEERS.items():
        if only and name.partition(",")[0] not in only:
            continue
        n = size // shrink
        own, peer = (measure(side, name, n) for side in ("ours", "theirs"))
        if own is None or peer is None:
            raise SystemExit(f"{name} failed at {n:,} items.")
        same = len(set(own["ids"]) & set(peer["ids"]))
        rows.append(
            [
                f"`{name.partition(',')[0]}`{name.partition('kept')[1] and ', distances kept'}",
                f"{n:,}",
                shown(own["seconds"]),
                shown(peer["seconds"]),
                f"{peer['seconds'] / own['seconds']:,.0f} ×",
                f"{own['added']:,.0f} MB",
                f"{peer['added']:,.0f} MB",
                same,
            ]
        )
    update_section(
        "strategies",
        "Strategies beside scikit-activeml",
        ["strategy", "items", "ours", "theirs", "faster", "memory", "theirs", "same picks of 100"],
        rows,
        f"scikit-activeml {version('scikit-activeml')}, scikit-learn {version('scikit-learn')}; one"
        " thread, fresh processes; memory is what the call adds at its peak. `badge`, `typiclust`"
        " and ties in `prob_cover` are drawn at random, so the picks differ; the tests in"
        " `tests/strategies/pool/` compare what can be compared. `typiclust` has 500 clusters and"
        " 20 neighbours on both sides, clustered by mini-batches there; `prob_cover` has the same"
        " radius on both.",
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="a tenth of the items")
    parser.add_argument("--only", default="", help="names of strategies, with commas between")
    parser.add_argument("--one", nargs=3, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.one:
        side, name, n = options.one
        return one(side, name, int(n))
    return side_by_side(set(filter(None, options.only.split(","))), 10 if options.quick else 1)


if __name__ == "__main__":
    main()
