"""Text that people gave, made safe for places that read Markdown."""

from __future__ import annotations

import re

_MARKS = re.compile(r"([!-/:-@\[-`{-~])")
_ESCAPED = re.compile(r"\\([!-/:-@\[-`{-~])")
_SPACE = re.compile(r"[^\S\u00a0\u202f]+")  # those that do not break stay
# Streamlit turns these into emoji, icons, arrows and links after Markdown is read, so a backslash
# does not stop it; an invisible word joiner between the characters does.
_JOINER = "\u2060"
_LATE = re.compile(r"(:)(?=[\w+/-])|([<>=~-])(?=[<>=-])|(@)(?=\w)|\b(www)(?=\.)")


def escape_markdown(text: str) -> str:
    """Return `text` so that Streamlit's Markdown shows it letter by letter, on one line.

    Parameters
    ----------
    text : str
        Anything: a class name, a path, an error message.

    Returns
    -------
    str
        Every ASCII punctuation mark escaped; ``:red[x]``, ``$x$``, ``*a*``, ``<b>``, ``:+1:`` and
        ``->`` come out literally.
    """
    joined = _LATE.sub(lambda found: found.group(0) + _JOINER, _SPACE.sub(" ", text).strip())
    return _MARKS.sub(r"\\\1", joined)


def plain_text(markdown: str) -> str:
    """Return what `escape_markdown` was given, for places that read no Markdown."""
    return _ESCAPED.sub(r"\1", markdown).replace(_JOINER, "")
