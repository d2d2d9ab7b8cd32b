"""Projects with a ready queue, and the labelling card in a browser."""

from __future__ import annotations

import hashlib
import io
import os
import time
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from PIL import Image, ImageDraw
from playwright.sync_api import BrowserContext, Locator, Page, expect

from labeller.project import Project, create_project
from labeller.services import recent
from store.records import NewItem, NewQueueEntry, Split
from tests.browser import PATIENCE, RunningApp

CLASSES = ("cat", "dog", "horse", "ship")
BLIND = 4  # every fourth item of a queue with suggestions is of the audit set


def picture(number: int, side: int) -> bytes:
    """Return a JPEG that shows its number."""
    rng = np.random.default_rng(number)
    pixels = rng.integers(0, 256, (4, 6, 3), dtype=np.uint8)
    image = Image.fromarray(pixels).resize((side, side * 3 // 4), Image.Resampling.BICUBIC)
    ImageDraw.Draw(image).text((4, 4), str(number), fill="white", font_size=max(10, side // 8))
    buffer = io.BytesIO()
    image.save(buffer, "JPEG", quality=88)
    return buffer.getvalue()


def queued_project(
    root: Path,
    items: int = 20,
    classes: Sequence[str] = CLASSES,
    budget: float | None = None,
    side: int = 96,
    suggest: bool = False,
    **settings: Any,
) -> Project:
    """Make a project whose items all wait in the queue, in the order of their numbers."""
    project = create_project(root, classes, budget, start_workers=False, **settings)
    folder = root / "images"
    new = []
    for number in range(items):
        data = picture(number, side)
        (folder / f"{number:04d}.jpg").write_bytes(data)
        new.append(_item(number, data, side, suggest))
    with project.store.write() as unit:
        ids = unit.items.add(new)
        round_ = unit.rounds.start("margin", items, None, 0, 0)
        first = unit.classes.all()[0].id if classes else None
        entries = [
            NewQueueEntry(
                item_id,
                strategy="audit" if record.split == "audit" else "margin",
                score=0.5,
                blind=record.split == "audit",
                suggestion_class_id=first if suggest else None,
                suggestion_confidence=0.75 if suggest else None,
            )
            for item_id, record in zip(ids, new, strict=True)
        ]
        unit.queue.replace(entries, round_.id)
        unit.rounds.finish(round_.id, "done", queued=items)
    return project


def _item(number: int, data: bytes, side: int, suggest: bool) -> NewItem:
    split: Split = "audit" if suggest and number % BLIND == BLIND - 1 else "train"
    return NewItem(
        sha256=hashlib.sha256(data).hexdigest(),
        path=f"images/{number:04d}.jpg",
        copied=True,
        width=side,
        height=side * 3 // 4,
        format="JPEG",
        bytes=len(data),
        group=str(number),
        split=split,
    )


def labels_of(project: Project) -> dict[str, str]:
    """Return file name -> class of all labelled items."""
    with project.store.read() as unit:
        return {Path(row.path).name: row.class_name for row in unit.labels.export()}


def events_of(project: Project) -> Counter[str]:
    """Count the stored events by kind."""
    with project.store.read() as unit:
        return Counter(event.kind for event in unit.labels.recent(limit=10_000))


def until(
    look: Callable[[], bool], what: str, seconds: float = 120, page: Page | None = None
) -> None:
    """Wait until `look` says yes; with a `page`, its route handlers run meanwhile."""
    end = time.monotonic() + seconds
    while not look():
        if time.monotonic() > end:
            raise AssertionError(f"not within {seconds:.0f} s: {what}")
        if page is None:
            time.sleep(0.05)
        else:
            page.wait_for_timeout(50)


@dataclass
class Card:
    """The card on a page, as an annotator sees it."""

    page: Page

    def part(self, name: str) -> Locator:
        """Return the element of the card's markup marked with `name`."""
        return self.page.locator(f"[data-ref={name}]")

    @property
    def name(self) -> str:
        """Name of the image on the stage; empty when there is none."""
        return self.part("name").inner_text()

    def ready(self) -> Card:
        """Wait for an image."""
        expect(self.page.locator("canvas[data-item]")).to_be_visible(timeout=2 * PATIENCE)
        return self

    def press(self, *keys: str) -> list[str]:
        """Press keys, each once the image before is gone; return the names labelled."""
        names = []
        for key in keys:
            self.ready()
            names.append(self.name)
            self.page.keyboard.press(key)
            expect(self.part("name")).not_to_have_text(names[-1])
            self.page.wait_for_timeout(20)  # a key pressed again faster than that is a bounce
        return names


def open_card(context: BrowserContext, app: RunningApp, project: Project) -> Card:
    """Open a project's labelling page in a new tab."""
    introduce(app, project)
    page = context.new_page()
    page.set_default_timeout(PATIENCE)
    page.goto(f"{app.url}/?project={project.id}")
    return Card(page)


def introduce(app: RunningApp, project: Project) -> None:
    """Put a project on the running app's list, so that its address is known there."""
    before = os.environ.get("LABELLER_STATE")
    os.environ["LABELLER_STATE"] = app.environment["LABELLER_STATE"]
    try:
        recent.remember(project)
    finally:
        if before is None:
            del os.environ["LABELLER_STATE"]
        else:
            os.environ["LABELLER_STATE"] = before
