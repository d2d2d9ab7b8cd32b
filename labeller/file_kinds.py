"""What a file is by its first bytes, and what to do with one that is no image."""

from __future__ import annotations

import bz2
import io
import json
import lzma
import re
import zipfile
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import PurePosixPath
from typing import Literal

Family = Literal[
    "image", "other image", "video", "sound", "archive", "zip", "sheet", "data", "document",
    "annotation", "text", "file",
]  # fmt: skip

HEAD = 1024  # bytes by which a file among others is told
LONG_HEAD = 1 << 16  # and one that a person names

KNOWN = "JPEG, PNG, WebP, GIF, BMP and TIFF"
CONVERT = "Convert it to JPEG or PNG."
_UNPACK = "Unpack it, then import the folder."
_FRAMES = "Save its frames as images (ffmpeg -i FILE frames/%06d.jpg), then import that folder."
_AS_CSV = "Save the sheet as CSV UTF-8 with the columns path and label, then import that file."
_AS_IMAGES = "Save its images as PNG files and their labels as CSV (path,label), then import that."
_PAGES = "Save its pages or pictures as PNG files, then import those."
_AS_TABLE = "Write the labels as CSV with the columns path and label, then import that file."
_LABELS = "Import the images first; labels are applied with: labeller label PROJECT FILE"


@dataclass(frozen=True, slots=True)
class FileKind:
    """What a file is: a `name` that follows "it is", its family, and what helps."""

    name: str
    family: Family
    mend: str = ""


_IMAGE = FileKind("an image", "image")
_TEXT = FileKind("text, no image", "text", "Remove it, or put the real image in its place.")
_UNKNOWN = FileKind(f"no image of a known format ({KNOWN})", "file", CONVERT)


def _other(name: str) -> FileKind:
    return FileKind(f"{name}; known are {KNOWN}", "other image", CONVERT)


def _archive(name: str, how: str) -> FileKind:
    mend = f"Unpack it ({how}), then import the folder."
    return FileKind(name, "archive", mend)


_VIDEO = FileKind("a video", "video", _FRAMES)
_SOUND = FileKind("a sound file", "sound", "Leave it out.")
_BOXES = "The labels in it are not read. "

_MAGIC: tuple[tuple[int, bytes, FileKind], ...] = (
    (0, b"\xff\xd8\xff", _IMAGE),
    (0, b"\x89PNG\r\n\x1a\n", _IMAGE),
    (0, b"GIF87a", _IMAGE),
    (0, b"GIF89a", _IMAGE),
    (0, b"II*\0", _IMAGE),
    (0, b"MM\0*", _IMAGE),
    (0, b"II+\0", _IMAGE),
    (0, b"MM\0+", _IMAGE),
    (4, b"ftyphei", _other("a HEIC image")),
    (4, b"ftyphev", _other("a HEIC image")),
    (4, b"ftypmif1", _other("a HEIF image")),
    (4, b"ftypmsf1", _other("a HEIF image")),
    (4, b"ftypavi", _other("an AVIF image")),
    (4, b"ftypcrx", _other("a raw photo of a camera")),
    (4, b"ftypM4A", _SOUND),
    (4, b"ftyp", _VIDEO),
    (4, b"moov", _VIDEO),
    (4, b"mdat", _VIDEO),
    (0, b"8BPS", _other("a Photoshop image")),
    (0, b"\0\0\0\x0cJXL ", _other("a JPEG XL image")),
    (0, b"\xff\x0a", _other("a JPEG XL image")),
    (0, b"\0\0\0\x0cjP  ", _other("a JPEG 2000 image")),
    (0, b"\xff\x4f\xff\x51", _other("a JPEG 2000 image")),
    (0, b"v/1\x01", _other("an OpenEXR image")),
    (0, b"SIMPLE  =", _other("a FITS image")),
    (0, b"FUJIFILMCCD-RAW", _other("a raw photo of a camera")),
    (128, b"DICM", _other("a DICOM image")),
    (0, b"\x1aE\xdf\xa3", _VIDEO),
    (0, b"FLV\x01", _VIDEO),
    (0, b"\0\0\1\xba", _VIDEO),
    (0, b"\0\0\1\xb3", _VIDEO),
    (0, b"0&\xb2u\x8ef\xcf\x11", _VIDEO),
    (0, b"ID3", _SOUND),
    (0, b"OggS", _SOUND),
    (0, b"fLaC", _SOUND),
    (257, b"ustar", _archive("a tar archive", "tar -xf FILE")),
    (0, b"7z\xbc\xaf'\x1c", _archive("a 7z archive", "7z x FILE")),
    (0, b"Rar!\x1a\x07", _archive("a RAR archive", "unrar x FILE")),
    (0, b"\x28\xb5\x2f\xfd", _archive("packed with zstd", "tar --zstd -xf FILE, or unzstd FILE")),
    (0, b"\x04\x22\x4d\x18", _archive("packed with LZ4", "unlz4 FILE")),
    (0, b"\x1f\x9d", _archive("packed with compress", "uncompress FILE")),
    (0, b"PAR1", FileKind("a Parquet file", "data", _AS_IMAGES)),
    (0, b"ARROW1", FileKind("an Arrow file", "data", _AS_IMAGES)),
    (0, b"\x89HDF\r\n\x1a\n", FileKind("an HDF5 file", "data", _AS_IMAGES)),
    (0, b"\x93NUMPY", FileKind("a NumPy array", "data", _AS_IMAGES)),
    (0, b"MATLAB 5.0", FileKind("a MATLAB file", "data", _AS_IMAGES)),
    (0, b"SQLite format 3\0", FileKind("an SQLite database", "data", _AS_IMAGES)),
    (0, b"\0\0\x08\x03", FileKind("an IDX file, as of MNIST", "data", _AS_IMAGES)),
    (0, b"\0\0\x08\x01", FileKind("an IDX file, as of MNIST", "data", _AS_IMAGES)),
    (0, b"%PDF", FileKind("a PDF", "document", _PAGES)),
    (0, b"%!PS", FileKind("a PostScript document", "document", _PAGES)),
    (0, b"{\\rtf", FileKind("an RTF document", "document", _PAGES)),
)
_RIFF = {b"WEBP": _IMAGE, b"AVI ": _VIDEO, b"WAVE": _SOUND}
_OLE = b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1"
_ZIP = FileKind("a zip archive", "zip", _UNPACK)
_EXCEL = FileKind("an Excel sheet", "sheet", _AS_CSV)
_ZIP_KINDS = (
    (re.compile(r"xl/"), _EXCEL),
    (re.compile(r"word/"), FileKind("a Word document", "document", _PAGES)),
    (re.compile(r"ppt/"), FileKind("a PowerPoint document", "document", _PAGES)),
    (re.compile(r"[^/]+\.npy$"), FileKind("NumPy arrays (npz)", "data", _AS_IMAGES)),
    (re.compile(r"[^/]+/data\.pkl$"), FileKind("a PyTorch file", "data", _AS_IMAGES)),
    (re.compile(r"AndroidManifest\.xml$"), FileKind("an Android app", "file", "Leave it out.")),
)
_OPEN_DOCUMENT = {
    "spreadsheet": FileKind("an OpenDocument sheet", "sheet", _AS_CSV),
    "text": FileKind("an OpenDocument text", "document", _PAGES),
    "presentation": FileKind("an OpenDocument presentation", "document", _PAGES),
}
_BY_SUFFIX = {
    ".xlsx": _EXCEL, ".xlsm": _EXCEL, ".xls": _EXCEL,
    ".docx": _ZIP_KINDS[1][1], ".doc": _ZIP_KINDS[1][1],
    ".pptx": _ZIP_KINDS[2][1], ".ppt": _ZIP_KINDS[2][1],
    ".tar": _archive("a tar archive", "tar -xf FILE"),
    ".tfrecord": FileKind("a TFRecord file", "data", _AS_IMAGES),
    ".pkl": FileKind("a Python pickle", "data", _AS_IMAGES),
    ".pickle": FileKind("a Python pickle", "data", _AS_IMAGES),
    ".pt": FileKind("a PyTorch file", "data", _AS_IMAGES),
    ".pth": FileKind("a PyTorch file", "data", _AS_IMAGES),
    ".safetensors": FileKind("a file of weights", "data", "Leave it out."),
    ".mat": FileKind("a MATLAB file", "data", _AS_IMAGES),
    ".mp3": _SOUND, ".ts": _VIDEO, ".mts": _VIDEO, ".m2ts": _VIDEO,
}  # fmt: skip
_UNPACKERS: dict[bytes, tuple[str, str, Callable[[bytes], bytes]]] = {
    b"\x1f\x8b": ("gzip", "gunzip", lambda head: zlib.decompressobj(31).decompress(head, 4096)),
    b"BZh": ("bzip2", "bunzip2", lambda head: bz2.BZ2Decompressor().decompress(head, 4096)),
    b"\xfd7zXZ\0": ("xz", "unxz", lambda head: lzma.LZMADecompressor().decompress(head, 4096)),
}
_ENTRY = re.compile(rb"PK\x03\x04.{26}([\x20-\x7e]{1,200})", re.DOTALL)
_COCO = {"images", "annotations", "categories"}


def is_image(head: bytes) -> bool:
    """Whether a file with these first bytes may be an image of a known format."""
    return _by_magic(head) is _IMAGE


def identify(head: bytes, name: str = "", tail: bytes = b"") -> FileKind:
    """Say what a file is.

    Parameters
    ----------
    head : bytes
        Its first bytes: `HEAD` of them tell most kinds, `LONG_HEAD` also what a JSON file or a
        packed one holds.
    name : str
        Its name, where bytes leave it open.
    tail : bytes
        The end of the file, from which a zip archive is told to be an Excel sheet.
    """
    kind = _by_magic(head)
    if kind is not None:
        return kind
    for magic, (packer, command, unpack) in _UNPACKERS.items():
        if head.startswith(magic):
            return _packed(head, name, packer, command, unpack)
    if head.startswith((b"PK\3\4", b"PK\5\6", b"PK\7\x08")):
        return _zipped(head, name, tail)
    suffix = PurePosixPath(name.casefold()).suffix
    if head.startswith(_OLE) and suffix not in _BY_SUFFIX:
        return FileKind("an old Office document", "document", _AS_CSV)
    if suffix in _BY_SUFFIX and not _is_text(head):
        return _BY_SUFFIX[suffix]
    return _written(head, suffix) if _is_text(head) else _UNKNOWN


def _by_magic(head: bytes) -> FileKind | None:
    for offset, magic, kind in _MAGIC:
        if head.startswith(magic, offset):
            return kind
    if head.startswith(b"RIFF"):
        return _RIFF.get(head[8:12])
    return _IMAGE if _is_bitmap(head) else None


def _is_bitmap(head: bytes) -> bool:
    """Whether it begins like a BMP: two letters alone would be many a text."""
    sizes = (12, 16, 40, 52, 56, 64, 108, 124)
    return head.startswith(b"BM") and int.from_bytes(head[14:18], "little") in sizes


def _packed(
    head: bytes, name: str, packer: str, command: str, unpack: Callable[[bytes], bytes]
) -> FileKind:
    """Tell an archive that is packed as a whole from a single packed file."""
    try:
        inner = unpack(head)
    except (zlib.error, OSError, EOFError, lzma.LZMAError, ValueError):
        inner = b""
    word = name.casefold()
    if inner.startswith(b"ustar", 257) or re.search(r"\.(?:tar\.\w+|t[gbx]z2?)$", word):
        return _archive(f"a tar archive packed with {packer}", "tar -xf FILE")
    what = identify(inner) if inner else _UNKNOWN
    if what.family in ("data", "sheet"):
        return FileKind(f"{what.name}, packed with {packer}", what.family, what.mend)
    return _archive(f"packed with {packer}", f"{command} FILE")


def _zipped(head: bytes, name: str, tail: bytes) -> FileKind:
    """Tell Office documents and the like from zip archives, by the names of their entries."""
    names = _entries(tail) or [found.decode("latin-1") for found in _ENTRY.findall(head)]
    mime = re.search(rb"mimetypeapplication/vnd\.oasis\.opendocument\.(\w+)", head[:200])
    if mime and mime[1].decode() in _OPEN_DOCUMENT:
        return _OPEN_DOCUMENT[mime[1].decode()]
    if any(name.startswith("[Content_Types].xml") for name in names):
        suffix = PurePosixPath(name.casefold()).suffix
        office = _BY_SUFFIX.get(suffix) or FileKind("an Office document", "sheet", _AS_CSV)
        return next((kind for form, kind in _ZIP_KINDS if any(map(form.match, names))), office)
    for form, kind in _ZIP_KINDS[3:]:
        if names and any(map(form.match, names)):
            return kind
    return _ZIP


def _entries(tail: bytes) -> list[str]:
    try:
        with zipfile.ZipFile(io.BytesIO(tail)) as archive:
            return archive.namelist()[:1000]
    except (zipfile.BadZipFile, ValueError, OSError):
        return []


def _is_text(head: bytes) -> bool:
    if head.startswith((b"\xff\xfe", b"\xfe\xff")):
        return True
    return bool(head) and all(byte >= 32 or byte in b"\t\r\n\f\x1b" for byte in head)


def _written(head: bytes, suffix: str) -> FileKind:
    """Tell kinds of text apart."""
    text = head.decode("utf-8-sig", "replace").lstrip()
    if suffix in (".jsonl", ".ndjson") or _is_json_lines(text):
        return FileKind("a file of JSON Lines", "annotation", _LABELS)
    if text.startswith(("{", "[")):
        return _json(text)
    start = text[:200].casefold()
    if start.startswith(("<svg", "<?xml")) and "<svg" in text.casefold():
        return FileKind("an SVG drawing, a kind of web page", "other image", CONVERT)
    if "<annotation" in start:
        return FileKind("a Pascal VOC annotation", "annotation", f"{_BOXES}{_AS_TABLE}")
    if start.startswith(("<!doctype html", "<html", "<head", "<body")):
        return FileKind("a web page", "document", "Download the image itself.")
    if start.startswith("<?xml"):
        return FileKind("XML", "annotation", f"{_BOXES}{_AS_TABLE}")
    return _TEXT


def _is_json_lines(text: str) -> bool:
    first, _, rest = text.partition("\n")
    return first.startswith("{") and rest.lstrip().startswith("{") and _loads(first) is not None


def _json(text: str) -> FileKind:
    """Name the format of a JSON file by the keys it begins with."""
    keys = set(re.findall(r'"([A-Za-z_]\w*)"\s*:', text[:LONG_HEAD]))
    value = _loads(text)
    if isinstance(value, dict):
        keys = set(value)
    if len(keys & _COCO) > 1:
        return FileKind("COCO JSON", "annotation", f"COCO JSON is not read. {_AS_TABLE}")
    if {"shapes", "imagePath"} <= keys:
        return FileKind("a LabelMe annotation", "annotation", f"{_BOXES}{_AS_TABLE}")
    if text.startswith("[") and {"data", "annotations"} <= keys:
        name = "a Label Studio export"
        return FileKind(name, "annotation", f"{_BOXES}Export it as CSV there, or: {_AS_TABLE}")
    return FileKind("JSON", "annotation", f"JSON is not read. {_AS_TABLE}")


def _loads(text: str) -> object:
    try:
        return json.loads(text)
    except (ValueError, RecursionError):
        return None
