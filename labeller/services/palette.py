"""Colours of classes and plots, told apart by colour-blind people too."""

from __future__ import annotations

import colorsys
import itertools
import re
from collections.abc import Iterable, Iterator

from labeller.errors import ClassError

# Okabe & Ito (2008), black left out because it is lost on a dark page, grey put in its place;
# then Paul Tol's "muted" scheme where it keeps its distance from those.
PALETTE = (
    "#0072b2",
    "#e69f00",
    "#009e73",
    "#d55e00",
    "#cc79a7",
    "#56b4e9",
    "#f0e442",
    "#6b6b6b",
    "#44aa99",
    "#aa4499",
    "#999933",
    "#cc6677",
    "#6f5fc7",
    "#ddcc77",
    "#2f8f4e",
    "#b5567a",
)
DIFFERENT = 4_096  # colours among which one is looked for that nobody has
_GOLDEN = 0.618033988749895
_HEX = re.compile(r"#[0-9a-f]{6}")


def colour(number: int) -> str:
    """Return the colour of the class at `number` (0, 1, ...).

    Parameters
    ----------
    number : int
        How many classes came before. Past the palette the hue goes on by the golden ratio, in
        three brightnesses, so that neighbours never look alike.

    Returns
    -------
    str
        ``#rrggbb``.
    """
    if number < len(PALETTE):
        return PALETTE[number]
    further = number - len(PALETTE)
    hue = (0.07 + further * _GOLDEN) % 1.0
    lightness = (0.45, 0.62, 0.54)[further % 3]
    red, green, blue = colorsys.hls_to_rgb(hue, lightness, 0.6)
    return f"#{round(red * 255):02x}{round(green * 255):02x}{round(blue * 255):02x}"


def free_colours(used: Iterable[str]) -> Iterator[str]:
    """Yield the colours of the endless palette, in order, that are not in `used`; each once.

    Some thousands are all that differ in their numbers; from then on they come again.
    """
    taken = set(used)
    for number in itertools.count():
        one = colour(number)
        if number >= DIFFERENT or one not in taken:
            taken.add(one)
            yield one


def check_colour(text: str) -> str:
    """Return `text` as ``#rrggbb`` in lower case.

    Raises
    ------
    ClassError
        When it is not such a colour.
    """
    value = text.strip().lower()
    if not _HEX.fullmatch(value):
        raise ClassError(f"{text!r} is no colour. Write it as #rrggbb, for example #0072b2.")
    return value
