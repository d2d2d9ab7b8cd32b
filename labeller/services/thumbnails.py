"""Images for the browser: thumbnails and card images, each made once and kept."""

from __future__ import annotations

import os
import threading
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from labeller import imaging
from labeller.sealed_jpeg import encode_jpeg, is_whole_jpeg
from labeller.services import originals
from store.durable import write_unflushed

if TYPE_CHECKING:  # import workers use this module without project and store
    from labeller.project import Project
    from labeller.services.decoding import Wanted
    from store.records import ItemRecord

Size = Literal["thumb", "card", "full"]
Find = Callable[["Project", "ItemRecord"], Path]
JPEG = "image/jpeg"
_QUALITY = {"thumb": 85, "card": 90, "full": 95}
# Threads that want the same image wait for the one that makes it; others are not held up.
_LOCKS = tuple(threading.Lock() for _ in range(64))
_PLAIN: set[str] = set()  # hashes of files that a browser shows as they are
_MOST_PLAIN = 100_000


def thumbnail(
    project: Project, item: ItemRecord, size: Size, find: Find | None = None
) -> tuple[Path, str]:
    """Return a file that a browser can show, made on first use.

    Parameters
    ----------
    project : Project
    item : ItemRecord
    size : {"thumb", "card", "full"}
        Longest side `thumbnail_pixels`, `card_pixels`, or all pixels.
    find : callable, optional
        Returns the file that holds the image, or raises `ImageError`; for what is no item.

    Returns
    -------
    path : Path
        The kept file, or the original when a browser shows it rightly and it is small enough.
    media_type : str

    Raises
    ------
    ImageError
        When it has to be made and the original is gone, changed or unreadable.
    """
    pixels = longest(project, size)
    kept = kept_path(project.thumbnails, pixels, item.sha256)
    if is_whole(kept):
        return kept, JPEG
    find = find or originals.verify_original
    original = find(project, item)
    media_type = imaging.MEDIA_TYPES.get(item.format)
    small = fits(item.width, item.height, item.bytes, pixels)
    as_is = media_type is not None and small
    if as_is and item.sha256 in _PLAIN:
        return original, media_type or ""
    wanted = wanted_picture(project, original, size, as_is=as_is)
    # It must not have changed while it was read.
    if make_once(kept, wanted, lambda: find(project, item)):
        return kept, JPEG
    _note_plain(item.sha256)
    return original, media_type or ""


def wanted_picture(
    project: Project, path: Path, size: Size, *, entry: str | None = None, as_is: bool = False
) -> Wanted:
    """Return what is asked of a process that decodes, by a project's settings."""
    from labeller.services.decoding import Wanted

    settings = project.settings
    return Wanted(
        path,
        settings.max_image_pixels,
        settings.decode_memory_mb,
        longest(project, size),
        _QUALITY[size],
        entry,
        as_is,
    )


def make_once(kept: Path, wanted: Wanted, check: Callable[[], object]) -> bool:
    """Have the JPEG of an image at `kept`, made by one thread on first use.

    Returns
    -------
    bool
        False when there is none, because a browser shows the file as it is.

    Raises
    ------
    ImageError
        When it cannot be decoded, or written.
    """
    from labeller.services.decoding import make_jpeg  # an import's workers decode themselves

    with _LOCKS[zlib.crc32(os.fsencode(kept)) % len(_LOCKS)]:
        return is_whole(kept) or make_jpeg(wanted, kept, check)


def _note_plain(sha256: str) -> None:
    if len(_PLAIN) >= _MOST_PLAIN:
        _PLAIN.clear()
    _PLAIN.add(sha256)


def is_whole(kept: Path) -> bool:
    """Whether there is a JPEG at `kept` that is as it was made."""
    try:
        return is_whole_jpeg(kept.read_bytes())
    except OSError:
        return False


def kept_path(folder: Path, pixels: int | None, sha256: str) -> Path:
    """Return where the made image of a longest side (None: all pixels) is kept."""
    return folder / str(pixels or "full") / sha256[:2] / f"{sha256}.jpg"


def fits(width: int, height: int, size: int, pixels: int | None) -> bool:
    """Whether an original is small enough to be served instead of a made image.

    A file heavier than its raw pixels carries something else along and is not sent.
    """
    small = pixels is None or max(width, height) <= pixels
    return small and size <= 4 * width * height + 65_536


def keep_thumbnail(
    folder: Path, pixels: int, sha256: str, decoded: imaging.Decoded, size: int
) -> Path | None:
    """Write the thumbnail of a file of `size` bytes just decoded, unless none is needed.

    Returns
    -------
    Path or None
        The file where one was written. Flushing it, and the three folders above it, is left to
        the caller, who does it for many at once.

    Raises
    ------
    OSError
        When the folder cannot be written, or the disk is full.
    """
    if decoded.plain and fits(decoded.width, decoded.height, size, pixels):
        return None
    path = kept_path(folder, pixels, sha256)
    if is_whole(path):
        return None
    path.parent.mkdir(parents=True, exist_ok=True)
    write_unflushed(path, encode_jpeg(decoded.image, _QUALITY["thumb"]))
    return path


def longest(project: Project, size: Size) -> int | None:
    """Return the longest side of the images of a size, in pixels; None for all of them."""
    if size == "full":
        return None
    settings = project.settings
    return settings.thumbnail_pixels if size == "thumb" else settings.card_pixels
