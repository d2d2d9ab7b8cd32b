"""The one table of keys: what each does, on which page, for the pages' scripts and their help."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from html import escape
from pathlib import Path

_LOOKUP = Path(__file__).parent / "lookup.js"


@dataclass(frozen=True, slots=True)
class Command:
    """What a key stands for, wherever there is something that it can do.

    `keys` are those of a browser's key events, with ``Ctrl+`` (on a Mac the command key too) and
    ``Shift+`` before them; `shown` is what stands on the buttons. Digits and letters are none of
    them: those belong to the classes.
    """

    keys: tuple[str, ...]
    shown: str
    also: tuple[tuple[str, ...], ...] = ()


COMMANDS: Mapping[str, Command] = {
    "accept": Command((" ",), "Space"),
    "skip": Command(("-",), "-"),
    "reject": Command((".",), "."),
    "flag": Command(("!",), "!"),
    "undo": Command(("Backspace", "Ctrl+z"), "⌫", (("Ctrl", "Z"),)),
    "redo": Command(
        ("Delete", "Shift+Backspace", "Ctrl+Shift+z", "Ctrl+y"),
        "⌦",
        (("Shift", "⌫"), ("Ctrl", "Shift", "Z"), ("Ctrl", "Y")),
    ),
    "filter": Command(("/",), "/"),
    "help": Command(("?",), "?"),
    "zoomIn": Command(("+", "=", "PageUp"), "+", (("Page Up",),)),
    "zoomOut": Command(("PageDown",), "Page Down"),
    "panLeft": Command(("ArrowLeft",), "←"),
    "panUp": Command(("ArrowUp",), "↑"),
    "panRight": Command(("ArrowRight",), "→"),
    "panDown": Command(("ArrowDown",), "↓"),
    "fit": Command(("Home",), "Home"),
    "actual": Command(("End",), "End"),
}
CLASSES = "classes"  # stands for the keys that the classes have
UNDO, REDO, HELP = "take the last step back", "do it again", "this help"

# What the keys do on each page that has any, in the order of its help.
PAGES: Mapping[str, Mapping[str, str]] = {
    "label": {
        CLASSES: "the class with this key",
        "accept": "accept the model’s suggestion",
        "undo": "undo, back to the start of the session",
        "redo": "redo what was undone",
        "skip": "skip",
        "flag": "flag, with a reason",
        "filter": "find a class by typing (more than 20 classes)",
        "help": HELP,
        "zoomIn": "zoom in",
        "zoomOut": "zoom out",
        "panLeft": "move a zoomed image",
        "panUp": "",
        "panRight": "",
        "panDown": "",
        "fit": "fit the whole image",
        "actual": "actual pixels",
    },
    "review": {
        CLASSES: "it is the class with this key",
        "accept": "keep the label",
        "skip": "pass: leave it for later",
        "flag": "flag: somebody else should look",
        "reject": "put aside: none of the classes",
        "undo": UNDO,
        "redo": REDO,
        "help": HELP,
    },
    "unfamiliar": {
        CLASSES: "it is the class with this key",
        "skip": "pass: leave it for later",
        "reject": "put aside: none of the classes",
        "undo": UNDO,
        "redo": REDO,
        "help": HELP,
    },
    "check": {
        CLASSES: "its own class: keep; another class: drop",
        "accept": "yes, keep",
        "reject": "no, drop",
        "skip": "skip: leave it for later",
        "undo": UNDO,
        "redo": REDO,
        "help": HELP,
    },
    "images": {
        CLASSES: "label the selected images",
        "flag": "flag the selected images",
        "undo": UNDO,
        "redo": REDO,
        "help": HELP,
    },
    "item": {
        CLASSES: "label this image",
        "flag": "flag this image",
        "undo": UNDO,
        "redo": REDO,
        "help": HELP,
    },
    "children": {
        "accept": "keep the selected items",
        "reject": "drop the selected items",
        "undo": UNDO,
        "redo": REDO,
        "help": HELP,
    },
    "classes": {"undo": UNDO, "redo": REDO, "help": HELP},
    "stream": {"undo": UNDO, "redo": REDO, "help": HELP},
}


def hint(command: str) -> str:
    """Return how a command's first key is written on a button."""
    return COMMANDS[command].shown


@cache
def script() -> str:
    """Return the table and its look-up, to stand before a page's script."""
    table = {
        "commands": {name: list(command.keys) for name, command in COMMANDS.items()},
        "pages": {page: list(texts) for page, texts in PAGES.items()},
    }
    return f"const KEY_TABLE = {json.dumps(table)};\n{_LOOKUP.read_text('utf-8')}"


def help_rows(page: str) -> str:
    """Return the rows of a page's help, as HTML: its keys, and what they do."""
    return "".join(
        f'<tr><th scope="row">{keys}</th><td>{escape(text)}</td></tr>'
        for keys, text in _lines(PAGES[page])
    )


def _lines(texts: Mapping[str, str]) -> list[tuple[str, str]]:
    """Return keys as HTML, and what they do; those without words join the line before."""
    lines: list[tuple[str, str]] = []
    for name, text in texts.items():
        keys = _written(name)
        if text:
            lines.append((keys, text))
        else:
            lines[-1] = (f"{lines[-1][0]} {keys}", lines[-1][1])
    return lines


def _written(name: str) -> str:
    if name == CLASSES:
        return "<kbd>1</kbd>…<kbd>9</kbd> <kbd>0</kbd> <kbd>A</kbd>…<kbd>Z</kbd>"
    command = COMMANDS[name]
    ways = [(command.shown,), *command.also]
    return ", ".join(
        '<span style="white-space: nowrap">'
        + " ".join(f"<kbd>{escape(key)}</kbd>" for key in way)
        + "</span>"
        for way in ways
    )
