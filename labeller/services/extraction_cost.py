"""What another backbone would cost: how many images it has not read yet, and about how long."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass

from labeller.project import Project
from labeller.services import feature_recipes
from labeller.services.backbone_names import KNOWN, PACKAGED
from store.durable import write_whole
from store.vectors import count_rows

FILE = "rates.json"
LEAST = 64  # images; fewer do not tell how fast it goes
_FIRST = 27.0  # images a second of the packaged backbone at 224 pixels on two cores


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast features were computed the last time: images of `size` pixels a second."""

    size: int
    rate: float
    device: str


@dataclass(frozen=True, slots=True)
class Cost:
    """Images to be read anew, and about how many seconds that takes; None when nothing says so.

    `measured` tells whether the rate is that of this backbone here, not one derived from another.
    """

    images: int
    seconds: float | None
    measured: bool

    @property
    def text(self) -> str:
        """The same for people."""
        if not self.images:
            return "No image has to be read anew."
        read = f"{self.images:,} image{'s' if self.images != 1 else ''} will be read anew"
        if self.seconds is None:
            return f"{read}; how long that takes is not known before the first of them."
        source = "" if self.measured else ", an estimate from other backbones"
        return f"{read}, about {_duration(self.seconds)}{source}."


def keep(project: Project, backbone: str, rate: Rate) -> None:
    """Keep how fast a backbone went, in place of what was kept before.

    Parameters
    ----------
    project : Project
    backbone : str
    rate : Rate
    """
    path = project.vectors / FILE
    table = {name: asdict(one) for name, one in rates(project).items()} | {backbone: asdict(rate)}
    write_whole(path, json.dumps(table))


def rates(project: Project) -> dict[str, Rate]:
    """Return what is kept, by backbone; nothing when the file is missing or damaged."""
    try:
        table = json.loads((project.vectors / FILE).read_text(encoding="utf-8"))
        found = {name: Rate(**one) for name, one in table.items()}
    except (OSError, ValueError, TypeError, AttributeError):
        return {}
    return {name: one for name, one in found.items() if one.rate > 0}


def cost(project: Project, backbone: str) -> Cost:
    """Return what the next round costs before it trains, if `backbone` were chosen.

    Parameters
    ----------
    project : Project
    backbone : str
        A known one or any other; of others nothing but a measurement tells the time.

    Returns
    -------
    Cost
    """
    if (recipe := feature_recipes.begun(project, backbone)) is None:
        return cost_at(project, backbone, feature_recipes.fitting_size(project, backbone))
    read = count_rows(project.vectors / recipe.file)
    return _cost(project, backbone, recipe.size, max(0, _items(project) - read))


def cost_at(project: Project, backbone: str, size: int) -> Cost:
    """Return what it costs to have a backbone read all images anew at `size` pixels."""
    return _cost(project, backbone, size, _items(project))


def _cost(project: Project, backbone: str, size: int, images: int) -> Cost:
    kept = rates(project)
    own, known = kept.get(backbone), KNOWN.get(backbone)
    if own:
        return Cost(images, images / own.rate * (size / own.size) ** 2, True)
    if known is None or not images:
        return Cost(images, None, False)
    work = known.cost * (size / known.size) ** 2
    return Cost(images, images * work * _unit_seconds(kept), False)


def _items(project: Project) -> int:
    with project.store.read() as unit:
        return unit.items.count().items


def _unit_seconds(kept: dict[str, Rate]) -> float:
    """Return the seconds of an image at 224 pixels with the packaged backbone."""
    for name in sorted(kept, key=lambda name: name != PACKAGED):
        if (known := KNOWN.get(name)) is not None:
            work = known.cost * (kept[name].size / known.size) ** 2
            return 1 / (kept[name].rate * work)
    return 1 / _FIRST


def _duration(seconds: float) -> str:
    """Say a time in the unit that people would use."""
    for length, word in ((86_400, "day"), (3_600, "hour"), (60, "minute")):
        if seconds >= length:
            number = round(seconds / length)
            return f"{number} {word}{'s' if number != 1 else ''}"
    return "a minute" if seconds > 30 else "half a minute"
