"""Many people who label through the API at once, as their pages would, and what must hold then."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter, defaultdict
from collections.abc import Sequence
from typing import Any

import httpx

from labeller import tokens
from labeller.project import Project
from labeller.services import budget

AHEAD = 5  # items that a page holds
UNDONE = 0.05  # of the labels, taken back at once
CLASSES = ("cat", "dog")


class Person(threading.Thread):
    """Claims, looks at each item for a while, labels, and now and then takes a label back."""

    def __init__(
        self, project: Project, url: str, number: int, think: float, stop: threading.Event
    ) -> None:
        super().__init__(name=f"person-{number}")
        self.url, self.think, self.stop = f"{url}/api/v1", think, stop
        self.seconds: dict[str, list[float]] = defaultdict(list)
        self.answered: list[tuple[str, int, str]] = []  # key, item, kind
        self.claimed: list[int] = []
        self.statuses: Counter[str] = Counter()
        self.problem: BaseException | None = None
        self._rng = random.Random(number)
        self._headers = {"Authorization": f"Bearer {tokens.make(project, self.name)}"}

    def run(self) -> None:
        try:
            with httpx.Client(headers=self._headers, timeout=60) as client:
                while not self.stop.is_set():
                    self._label_batch(client)
        except BaseException as error:  # the test reads it
            self.problem = error

    def _label_batch(self, client: httpx.Client) -> None:
        told = self._ask(client, "queue/claim", {"session": self.name, "n": AHEAD})
        if not told["items"]:
            self.stop.wait(0.3)
        for item in (one["item"] for one in told["items"]):
            if self.stop.wait(self.think * self._rng.uniform(0.5, 1.5)):
                return
            self.claimed.append(item)
            key = f"{self.name}-{len(self.answered)}"
            label = CLASSES[item % 2]
            self._send(client, "labels", key, item, {"kind": "label", "item": item, "class": label})
            if self._rng.random() < UNDONE:
                self._send(client, "undo", f"{key}-undo", item, {"undoes": key})
                return  # it is the session's again, with the next claim

    def _send(
        self, client: httpx.Client, route: str, key: str, item: int, event: dict[str, Any]
    ) -> None:
        body = {"session": self.name, "events": [{"key": key, **event}]}
        (result,) = self._ask(client, route, body)["results"]
        self.statuses[result["status"]] += 1
        if result["status"] == "accepted":
            self.answered.append((key, item, route))

    def _ask(self, client: httpx.Client, route: str, body: dict[str, Any]) -> Any:
        start = time.perf_counter()
        answer = client.post(f"{self.url}/{route}", json=body)
        self.seconds[route].append(time.perf_counter() - start)
        answer.raise_for_status()
        return answer.json()


def work_together(
    project: Project, url: str, people: int, seconds: float, think: float, first: int = 0
) -> list[Person]:
    """Have people label for some seconds, and return them with what they saw."""
    stop = threading.Event()
    crowd = [Person(project, url, first + number, think, stop) for number in range(people)]
    for person in crowd:
        person.start()
    time.sleep(seconds)
    stop.set()
    for person in crowd:
        person.join(120)
    for person in crowd:
        if person.problem is not None:
            raise person.problem
        assert not person.is_alive()
    return crowd


def check_crowd(project: Project, crowd: Sequence[Person], spent_before: float = 0) -> int:
    """Check that nothing answered is lost or doubled, and that the budget is exact.

    Returns
    -------
    int
        Labels that stand.
    """
    statuses = sum((person.statuses for person in crowd), Counter[str]())
    assert set(statuses) == {"accepted"}, statuses
    told = {key: (item, route) for person in crowd for key, item, route in person.answered}
    with project.store.read() as unit:
        events = {event.key: event for event in unit.labels.recent(limit=1_000_000)}
        stand = {row.path for row in unit.labels.export()}
    assert told.keys() <= events.keys(), "an answered event is lost"
    for key, (item, route) in told.items():
        assert events[key].item_id == item
        assert events[key].kind == ("label" if route == "labels" else "undo")
    labels = [item for item, route in told.values() if route == "labels"]
    undone = Counter(item for item, route in told.values() if route == "undo")
    given = Counter(labels)
    assert all(given[item] - undone[item] in (0, 1) for item in given), "an item has two labels"
    assert len(labels) - undone.total() <= len(stand)
    assert budget.meter(project).spent - spent_before == len(labels) - undone.total()
    return len(labels) - undone.total()


def percentile(values: Sequence[float], share: int) -> float:
    """Return the smallest value that `share` per cent do not exceed."""
    return sorted(values)[max(0, -(-len(values) * share // 100) - 1)]
