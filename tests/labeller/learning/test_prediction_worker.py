"""The process that predicts: how much it decodes at once, and how long answers wait."""

from __future__ import annotations

import io
import json
import os
import queue
import sys
import threading
import time
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from types import SimpleNamespace
from typing import Any, cast

import numpy as np
import pytest

from labeller.learning import prediction_worker
from labeller.learning.prediction_worker import Read
from labeller.learning.predictors import TrainedModel
from labeller.project import create_project
from labeller.squares import Resize


@pytest.mark.parametrize(("workers", "threads"), [(0, 2), (1, 1), (3, 3)])
def test_as_many_images_are_decoded_as_the_setting_says(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, workers: int, threads: int
) -> None:
    project = create_project(tmp_path / "p", ["a", "b"], workers=workers, start_workers=False)
    lock, now, seen = threading.Lock(), [0], [0]

    def read(path: str, resize: Resize, max_pixels: int) -> Read:
        with lock:
            now[0] += 1
            seen.append(now[0])
        time.sleep(0.02)
        with lock:
            now[0] -= 1
        return np.zeros((resize.side, resize.side, 3), np.uint8)

    lines = "".join(json.dumps({"path": str(n)}) + "\n" for n in range(12))
    monkeypatch.setattr(prediction_worker, "_read", read)
    monkeypatch.setattr(sys, "stdin", io.StringIO(lines))
    monkeypatch.setattr(os, "sched_getaffinity", lambda _: {0, 1})
    predictor = SimpleNamespace(resize=Resize(4), device=SimpleNamespace(cuda=False))
    model = cast(TrainedModel, SimpleNamespace(predictor=predictor))
    assert sum(len(one) for one in prediction_worker._batches(project, model)) == 12
    assert max(seen) == threads


def test_what_is_decoded_does_not_wait_for_a_row_of_slow_images(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(prediction_worker, "PATIENCE", 0.1)

    def slow(seconds: float) -> Any:
        time.sleep(seconds)
        return np.zeros((1, 1, 3), np.uint8)

    waiting: queue.Queue[Future[Read] | None] = queue.Queue()
    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(slow, 0.0)
        for _ in range(5):
            waiting.put(pool.submit(slow, 0.15))
        waiting.put(None)
        assert len(prediction_worker._batch(first, waiting, 32)) == 2
    following = cast("Future[Read]", waiting.get())
    assert len(prediction_worker._batch(following, waiting, 32)) == 4, "all are there by now"
    assert waiting.get() is None, "and the end is left for whoever asks next"
