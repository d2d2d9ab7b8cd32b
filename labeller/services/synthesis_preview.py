"""How children would look: rendered small, in processes that wait a while for the next slider."""

from __future__ import annotations

import base64
from collections.abc import Mapping, Sequence

import numpy as np

from labeller.errors import SynthesisError
from labeller.progress import Progress, Silent
from labeller.project import Project
from labeller.services.synthesis_plan import Limits, Preview, narrowed
from labeller.services.synthesis_rendering import (
    Answer,
    Wanted,
    check_rendering,
    config_of,
    cores,
    rendered,
)
from labeller.services.synthesis_warm import PREVIEWS
from strategies.synthesis import draw_plan

SIDE = 256  # pixels of the longest side: recipes go by shares of it
MOST = 400


def preview(
    project: Project,
    limits: Mapping[str, Limits],
    parents: int = 3,
    seed: int = 0,
    classes: Sequence[int] | None = None,
    progress: Progress | None = None,
    draws: int = 1,
) -> list[Preview]:
    """Render children of a few labelled training images by each recipe.

    Nothing is stored or paid. The first picture takes about a second: AugLy is loaded in a process
    of its own, which waits a while for the next preview.

    Parameters
    ----------
    project : Project
    limits : mapping of str to mapping
        As the `recipes` of a plan; empty for the usual ones.
    parents : int
        How many images, drawn by the seed, of different classes as far as there are.
    seed : int
        The same seed draws the same images, parameters and pixels.
    classes : sequence of int, optional
        Ids of classes to draw from; all when not given.
    progress : Progress, optional
    draws : int
        How many children of each parent by each recipe.

    Returns
    -------
    list of Preview
        By parent, and within a parent by recipe; empty when no training image is labelled.

    Raises
    ------
    SynthesisError
        When a recipe or range is unknown, too many are asked for, or AugLy is missing.
    """
    recipes = narrowed(limits)
    check_rendering()
    if (count := parents * len(recipes) * draws) > MOST:
        raise SynthesisError(
            f"{count} pictures are too many to look at. Choose fewer recipes or images: {MOST} at"
            f" most."
        )
    rng = np.random.default_rng(seed)
    chosen = _drawn(project, parents, rng, classes)
    with project.store.read() as unit:
        items = unit.items.many([item for item, _ in chosen])
    wanted = [
        (class_id, Wanted(items[item], draw_plan(item, recipe, rng)))
        for item, class_id in chosen
        for recipe in recipes
        for _ in range(draws)
    ]
    if not wanted:
        return []
    given = (one for _, one in wanted)
    with PREVIEWS.lent(config_of(project, SIDE), project.settings.workers or cores()) as pool:
        answers = rendered(project, given, len(wanted), progress or Silent(), SIDE, pool=pool)
        return [
            _shown(one, class_id, answer)
            for (class_id, _), (one, answer) in zip(wanted, answers, strict=True)
        ]


def _drawn(
    project: Project, count: int, rng: np.random.Generator, classes: Sequence[int] | None
) -> list[tuple[int, int]]:
    """Return labelled training items with their classes, the classes taking turns."""
    with project.store.read() as unit:
        ids, labels, _ = unit.labels.arrays("train")
        known = {one.id for one in unit.classes.all()}
    wanted = known if classes is None else known & set(classes)
    order = rng.permutation(len(ids))
    turn: dict[int, int] = {}
    ranked = []
    for place in order.tolist():
        label = int(labels[place])
        if label in wanted:
            turn[label] = turn.get(label, 0) + 1
            ranked.append((turn[label], int(ids[place]), label))
    ranked.sort(key=lambda one: one[0])  # stable: the drawn order within a turn
    return [(item, label) for _, item, label in ranked[:count]]


def _shown(one: Wanted, class_id: int, answer: Answer) -> Preview:
    error = None
    if "png" not in answer:
        error = answer.get("unchanged") or f"{answer['reason']} {answer['mend']}".strip()
    return Preview(
        parent=one.item,
        class_id=class_id,
        recipe=one.plan.recipe,
        parameters=one.plan.values,
        seed=one.plan.seed,
        png=base64.b64decode(answer["png"]) if "png" in answer else None,
        error=error,
    )
