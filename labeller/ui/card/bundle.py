"""Join the card's script modules into the one text that Streamlit takes."""

from __future__ import annotations

import re
from pathlib import Path

ENTRY = "mount.js"
_IMPORT = re.compile(r'^import \{[^}]*\} from "\./([a-z]+\.js)";\n', re.MULTILINE)
_EXPORT = re.compile(r"^export (?!default)", re.MULTILINE)


def bundle(folder: Path) -> str:
    """Return the modules of a folder as one module.

    Parameters
    ----------
    folder : Path
        Where ``mount.js`` and what it imports lie. Imports are of the form
        ``import { a, b } from "./file.js";`` and top-level names differ between files.

    Returns
    -------
    str
        Every module once, after those it imports; only the default export of ``mount.js`` is left.
    """
    return "\n".join(_EXPORT.sub("", _IMPORT.sub("", text)) for text in ordered(folder).values())


def ordered(folder: Path) -> dict[str, str]:
    """Return name -> source of ``mount.js`` and all it imports, each after what it needs."""
    done: dict[str, str] = {}

    def visit(name: str, above: tuple[str, ...]) -> None:
        if name in above:
            raise ValueError(f"{folder / name}: imports itself through {', '.join(above)}.")
        if name in done:
            return
        text = (folder / name).read_text(encoding="utf-8")
        for needed in _IMPORT.findall(text):
            visit(needed, (*above, name))
        done[name] = text

    visit(ENTRY, ())
    return done
