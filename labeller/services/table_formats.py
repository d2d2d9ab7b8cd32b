"""Files that are no text table, known by their bytes, and what to do with them."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

HEAD = 65_536

_SAVE = "Open it in the spreadsheet and save the sheet as CSV UTF-8."
_PANDAS = 'In Python: pandas.{read}("{name}").to_csv("labels.csv", index=False).'
_MAGIC: tuple[tuple[bytes, str, str], ...] = (
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "an old Excel workbook (.xls)", _SAVE),
    (b"PAR1", "a Parquet file", _PANDAS.replace("{read}", "read_parquet")),
    (b"ARROW1", "an Arrow or Feather file", _PANDAS.replace("{read}", "read_feather")),
    (b"SQLite format 3\x00", "an SQLite database", "Export its table as CSV UTF-8."),
    (b"\x1f\x8b", "packed with gzip", "Unpack it first (gunzip)."),
    (b"BZh", "packed with bzip2", "Unpack it first (bunzip2)."),
    (b"\xfd7zXZ\x00", "packed with xz", "Unpack it first (unxz)."),
    (b"\x28\xb5\x2f\xfd", "packed with Zstandard", "Unpack it first (unzstd)."),
    (b"7z\xbc\xaf\x27\x1c", "a 7z archive", "Unpack it first."),
    (b"%PDF-", "a PDF file", "Save the table as CSV UTF-8."),
    (b"\x89HDF", "an HDF5 file", "Save the table as CSV UTF-8."),
    (b"\x80\x04", "a Python pickle", _PANDAS.replace("{read}", "read_pickle")),
    (b"\xff\xd8\xff", "a JPEG image", "Name the table of labels instead."),
    (b"\x89PNG", "a PNG image", "Name the table of labels instead."),
)


def recognise_format(head: bytes, name: str) -> tuple[str, str] | None:
    """Return what a file is that holds no lines of text, and what to do; None for text.

    Parameters
    ----------
    head : bytes
        Its first :data:`HEAD` bytes.
    name : str
        Its name, for the text.
    """
    if head.startswith(b"PK\x03\x04"):
        return _zip(head)
    if len(head) > 262 and head[257:262] == b"ustar":
        return "a tar archive", "Unpack it first (tar xf)."
    for magic, kind, mend in _MAGIC:
        if head.startswith(magic):
            return kind, mend.replace("{name}", name)
    text = head.removeprefix(b"\xef\xbb\xbf").lstrip()
    if text.startswith((b"<?xml", b"<annotation", b"<!DOCTYPE", b"<html")):
        return "XML or HTML", "Save the labels as a CSV file with the columns path and label."
    return None


def _zip(head: bytes) -> tuple[str, str]:
    """Tell workbooks and other zip files apart by the names in them."""
    if b"xl/" in head or b"[Content_Types].xml" in head:
        return "an Excel workbook (.xlsx)", _SAVE
    if b"application/vnd.oasis.opendocument.spreadsheet" in head:
        return "an OpenDocument spreadsheet (.ods)", _SAVE
    return "a zip archive", "Unpack it first."


def is_json(text: str) -> bool:
    """Whether a text begins like JSON rather than like a header line."""
    start = text.lstrip()
    return start.startswith(("{", "["))


def json_lines(first: str) -> bool:
    """Whether a line is a JSON object by itself, as every line of JSON Lines is."""
    try:
        row = json.loads(first)
    except ValueError:
        return False
    return isinstance(row, dict) and not _document(row)


def describe_json(text: str) -> tuple[str, str]:
    """Return what a JSON document is, and what to do; `text` is its beginning."""
    mend = (
        'Write one JSON object a line (JSON Lines), such as {"path": "a.jpg", "label": "cat"}, '
        "or a CSV file with the columns path and label."
    )
    if '"annotations"' in text and '"images"' in text:
        return "a COCO file (JSON), whose labels are of boxes or captions", mend
    return "a JSON document, not JSON Lines", mend


def _document(row: Mapping[str, Any]) -> bool:
    """Whether an object is a whole data set, as COCO's, not one row."""
    return any(isinstance(row.get(key), list) for key in ("images", "annotations"))
