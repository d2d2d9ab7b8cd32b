"""How the names in a zip archive are read, whichever program wrote them."""

from __future__ import annotations

import struct
import unicodedata
import zlib
from dataclasses import dataclass
from zipfile import ZipInfo

_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075


@dataclass(frozen=True, slots=True)
class EntryName:
    """The name of an entry; `guessed` where nothing says how its bytes are to be read."""

    text: str
    guessed: bool = False


def read_name(entry: ZipInfo) -> EntryName:
    """Return the name of an entry as its program meant it.

    1. With the flag of the format, it is UTF-8.
    2. Else the field "Unicode Path" (0x7075) counts, where it belongs to this very name.
    3. Else bytes that are UTF-8 are UTF-8: the Finder of macOS writes it without the flag.
    4. Else it is code page 437, as the format says, which Windows of other places is not: a guess.

    After APPNOTE.TXT 6.3.10, sections 4.4.4 and 4.6.9 and appendix D.
    """
    name = entry.orig_filename
    if entry.flag_bits & _UTF8_FLAG or name.isascii():
        return EntryName(_until_null(name))
    raw = name.encode("cp437")
    try:
        return EntryName(_until_null(_unicode_path(entry.extra, raw) or raw.decode("utf-8")))
    except UnicodeDecodeError:
        return EntryName(_until_null(name), guessed=True)


def is_damaged(part: str) -> bool:
    """Whether a guessed name holds signs that no file is called by: frames, sums, Greek in Latin.

    Names of western Europe are read right by code page 437; those of Asia become such signs.
    """
    return any(not (c.isascii() or _is_latin(c)) for c in part)


def _is_latin(c: str) -> bool:
    return c in "ªº" or (c.isalpha() and unicodedata.name(c, "").startswith("LATIN"))


def _until_null(name: str) -> str:
    return name.split("\0", 1)[0]


def _unicode_path(extra: bytes, raw: bytes) -> str | None:
    """Return the name in the field "Unicode Path"; None when there is none for these bytes."""
    while len(extra) >= 4:
        number, size = struct.unpack("<HH", extra[:4])
        field, extra = extra[4 : 4 + size], extra[4 + size :]
        crc = int.from_bytes(field[1:5], "little")
        if number == _UNICODE_PATH and field[:1] == b"\1" and crc == zlib.crc32(raw):
            return field[5:].decode("utf-8", "replace")
    return None
