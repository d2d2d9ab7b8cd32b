"""Where to compute, and the same random numbers every time."""

from __future__ import annotations

import os
import random
import subprocess
import sys

import numpy as np
import pytest
import torch

from labeller.errors import ConfigError
from labeller.learning.device import choose, reproducible


def test_the_cpu_is_named_with_its_threads() -> None:
    threads = torch.get_num_threads()
    text = "CPU, 1 thread" if threads == 1 else f"CPU, {threads} threads"
    assert choose("cpu").text == text
    assert not choose("cpu").cuda


def test_auto_takes_a_gpu_only_when_there_is_one() -> None:
    assert choose("auto").cuda == torch.cuda.is_available()


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_asking_for_a_gpu_that_is_not_there_says_so() -> None:
    with pytest.raises(ConfigError, match="finds no NVIDIA GPU"):
        choose("cuda")


def test_an_unknown_setting_is_refused() -> None:
    with pytest.raises(ConfigError, match="auto, cpu or cuda"):
        choose("tpu")


def test_reproducible_draws_the_same_and_puts_the_generators_back() -> None:
    def draw() -> tuple[float, float, float]:
        return random.random(), float(np.random.rand()), float(torch.rand(()))  # noqa: NPY002

    with reproducible(3):
        first = draw()
        outer = draw()
    random.seed(9)
    with reproducible(3):
        assert draw() == first
        with reproducible(4):
            draw()
        assert draw() == outer
    after = random.random()
    random.seed(9)
    assert random.random() == after


def test_threads_that_wait_sleep_and_the_web_process_stays_without_torch() -> None:
    code = (
        "import os, sys, labeller.services.rounds, labeller.services.evaluation\n"
        "assert 'torch' not in sys.modules\n"
        "import labeller.learning\n"
        "print(os.environ['OMP_WAIT_POLICY'], 'torch' in sys.modules)"
    )
    environment = {k: v for k, v in os.environ.items() if k != "OMP_WAIT_POLICY"}
    answer = subprocess.run(
        [sys.executable, "-c", code], env=environment, capture_output=True, text=True, check=True
    )
    assert answer.stdout.split() == ["passive", "False"]
