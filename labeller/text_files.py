"""Text files as editors and spreadsheets save them: UTF-8, or UTF-16 and UTF-32 with a mark."""

from __future__ import annotations

import codecs
from pathlib import Path
from typing import TextIO

# UTF-32 first: its little-endian mark begins with that of UTF-16.
_MARKS = (
    (codecs.BOM_UTF8, "utf-8-sig"),
    (codecs.BOM_UTF32_LE, "utf-32"),
    (codecs.BOM_UTF32_BE, "utf-32"),
    (codecs.BOM_UTF16_LE, "utf-16"),
    (codecs.BOM_UTF16_BE, "utf-16"),
)
_HEAD = 4096


class TextError(ValueError):
    """Bytes are no text that can be read for certain; the text says why."""


def encoding_of(head: bytes) -> str:
    """Return the encoding of a text that begins with these bytes.

    Raises
    ------
    TextError
        When it has no byte order mark and looks like UTF-16: which one, nobody can tell.
    """
    for mark, encoding in _MARKS:
        if head.startswith(mark):
            return encoding
    pairs = len(head) // 2
    if pairs and max(head[::2].count(0), head[1::2].count(0)) > pairs // 2:
        raise TextError("looks like UTF-16 without a byte order mark")
    return "utf-8"


def open_text(path: Path) -> TextIO:
    """Open a text file, its byte order mark left out and its line ends as they are.

    Raises
    ------
    OSError
        When it cannot be opened.
    TextError
        As :func:`encoding_of`.
    """
    with path.open("rb") as file:
        encoding = encoding_of(file.read(_HEAD))
    return path.open(encoding=encoding, newline="")


def read_text(path: Path) -> str:
    """Return a whole text file, its line ends plain newlines.

    Raises
    ------
    OSError
        When it cannot be read.
    TextError
        As :func:`encoding_of`, or when a line is not in the encoding.
    """
    data = path.read_bytes()
    encoding = encoding_of(data[:_HEAD])
    try:
        text = data.decode(encoding)
    except UnicodeDecodeError as error:
        raise TextError(undecodable(data, encoding)) from error
    return text.replace("\r\n", "\n").replace("\r", "\n")


def undecodable(data: bytes, encoding: str) -> str:
    """Say which line of bytes is not in their encoding, and how it would read in Windows-1252."""
    if not encoding.startswith("utf-8"):
        return f"is not whole as {encoding.upper()}"
    for number, line in enumerate(data.splitlines(), 1):
        try:
            line.decode("utf-8")
        except UnicodeDecodeError:
            guess = line[:60].decode("cp1252", "replace")
            would = f" (in Windows-1252 it would be {guess!r})" if guess.isprintable() else ""
            return f"line {number} is not UTF-8{would}"
    return "is not UTF-8"
