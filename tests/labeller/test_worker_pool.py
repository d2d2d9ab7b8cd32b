"""Which file is blamed when a worker dies or hangs, and what that costs."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from labeller.services.worker_pool import Answer, Pool, Request

# It takes all requests that are there before it answers one, as a worker that reads ahead does.
AHEAD = """
import json, os, queue, signal, sys, threading, time
config = json.loads(sys.stdin.readline())
open(config["starts"], "a").write("x")
print(json.dumps({"ready": True}), flush=True)
requests = queue.Queue()
def receive():
    for line in sys.stdin:
        requests.put(json.loads(line)["name"])
    requests.put(None)
threading.Thread(target=receive, daemon=True).start()
while (name := requests.get()) is not None:
    time.sleep(0.3)
    batch = [name, *(requests.get() for _ in range(requests.qsize()))]
    if any("crash" in one for one in batch):
        os.kill(os.getpid(), signal.SIGSEGV)
    if any("hang" in one for one in batch):
        time.sleep(60)
    if len(batch) > 4 and config.get("crowded"):
        os.kill(os.getpid(), signal.SIGKILL)
    for one in batch:
        print(json.dumps({"good": one}), flush=True)
"""


def told(tmp_path: Path, names: list[str], **given: object) -> tuple[dict[str, Answer], int]:
    """Ask one worker about everything; returns its answers by name, and how many were started."""
    starts = tmp_path / "starts"
    config = {"starts": str(starts), **given}
    command = (sys.executable, "-c", AHEAD)
    answers: dict[str, Answer] = {}
    left: Iterator[str] = iter(names)
    with Pool(command, 1, config, seconds=2, depth=8, in_turn=False) as pool:
        more = True
        while more or pool.outstanding:
            while more and pool.room:
                name = next(left, None)
                if name is None:
                    more = False
                else:
                    pool.submit(Request({"name": name}, name))
            for request, answer in pool.answers(0.2):
                assert request.about not in answers
                answers[request.about] = answer
    return answers, len(starts.read_text())


@pytest.mark.parametrize(("bad", "why"), [("crash", "SIGSEGV"), ("hang", "longer than 2 seconds")])
def test_of_many_read_ahead_the_culprit_alone_is_blamed(tmp_path: Path, bad: str, why: str) -> None:
    names = [*"abcde", bad, *"fghijkl"]
    answers, starts = told(tmp_path, names)
    assert set(answers) == set(names)
    assert why in answers.pop(bad)["reason"]
    assert answers == {name: {"good": name} for name in names if name != bad}
    assert starts == 3, "one death with the others, and one alone"


def test_two_culprits_side_by_side(tmp_path: Path) -> None:
    answers, starts = told(tmp_path, ["a", "crash1", "crash2", "b"])
    assert {name for name, answer in answers.items() if "reason" in answer} == {"crash1", "crash2"}
    assert starts == 5


def test_a_death_that_no_file_causes_blames_none(tmp_path: Path) -> None:
    names = [*"abcdefghijkl"]
    answers, _ = told(tmp_path, names, crowded=True)
    assert answers == {name: {"good": name} for name in names}
