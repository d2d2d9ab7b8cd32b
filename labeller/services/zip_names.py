"""How the names in a zip archive are read, whichever program wrote them."""

from __future__ import annotations

import struct
import unicodedata
import zlib
from collections.abc import Iterable
from dataclasses import dataclass
from zipfile import ZipInfo

_UTF8_FLAG = 0x800
_UNICODE_PATH = 0x7075


@dataclass(frozen=True, slots=True)
class EntryName:
    """The name of an entry; `guessed` where nothing says how its bytes are to be read."""

    text: str
    guessed: bool = False


def read_names(entries: Iterable[ZipInfo]) -> list[EntryName]:
    """Return the names of the entries of an archive as its program meant them.

    1. With the flag of the format, a name is UTF-8.
    2. Else the field "Unicode Path" (0x7075) counts, where it belongs to this very name.
    3. Else names are UTF-8 if all those in the archive can be: the Finder of macOS writes it
       without the flag.
    4. Else they are code page 437, as the format says and Windows of western countries has it,
       which others have not: a guess.

    After APPNOTE.TXT 6.3.10, sections 4.4.4 and 4.6.9 and appendix D.
    """
    names = [_told(entry) or _bytes(entry) for entry in entries]
    utf8 = all(isinstance(name, str) or _is_utf8(name) for name in names)
    return [
        EntryName(_until_null(name))
        if isinstance(name, str)
        else EntryName(_until_null(name.decode("utf-8" if utf8 else "cp437")), guessed=not utf8)
        for name in names
    ]


def _told(entry: ZipInfo) -> str | None:
    """Return a name that the archive says how to read; None when it does not."""
    name = entry.orig_filename
    if entry.flag_bits & _UTF8_FLAG or name.isascii():
        return name
    return _unicode_path(entry.extra, _bytes(entry))


def _bytes(entry: ZipInfo) -> bytes:
    return entry.orig_filename.encode("cp437")


def _is_utf8(name: bytes) -> bool:
    try:
        name.decode("utf-8")
    except UnicodeDecodeError:
        return False
    return True


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
