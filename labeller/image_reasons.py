"""Say in plain words what is wrong with a file that cannot be read as an image, and the mend."""

from __future__ import annotations

import errno
import os
import stat

from PIL import UnidentifiedImageError

from labeller.errors import ImageError, TooManyOpenFiles
from labeller.file_kinds import CONVERT, KNOWN, identify

KINDS = KNOWN
FETCH_AGAIN = "Get a whole copy of the file, then try again."

_MAGIC: tuple[tuple[int, bytes, str], ...] = (
    (0, b"\xff\xd8", "JPEG"),
    (0, b"\x89PNG", "PNG"),
    (0, b"GIF8", "GIF"),
    (8, b"WEBP", "WebP"),
    (0, b"BM", "BMP"),
    (0, b"II*\0", "TIFF"),
    (0, b"MM\0*", "TIFF"),
    (0, b"II+\0", "TIFF"),
    (0, b"MM\0+", "TIFF"),
)


def irregular(status: os.stat_result) -> ImageError | None:
    """Say what keeps a thing on disk from being a file with content."""
    if stat.S_ISDIR(status.st_mode):
        return ImageError("it is a folder", "Import the folder itself as a source.")
    if not stat.S_ISREG(status.st_mode):
        return ImageError("it is a pipe or a device, no file", "Take it out of the folder.")
    if status.st_size == 0:
        return ImageError("the file is empty", FETCH_AGAIN)
    return None


def unopenable(error: OSError) -> ImageError:
    """Explain why a file cannot be opened."""
    if isinstance(error, FileNotFoundError):
        return ImageError("there is no such file any more", "Put it back, then try again.")
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return TooManyOpenFiles()
    if isinstance(error, PermissionError):
        return ImageError("it may not be read", "Give yourself permission: chmod u+r FILE.")
    if error.errno == errno.ELOOP:
        return ImageError("its link leads back to itself", "Mend or remove the link.")
    return ImageError(f"it cannot be opened ({error.strerror or error})", "Check the disk.")


def unidentified(head: bytes) -> ImageError:
    """Say what a file is that no decoder knows."""
    kind = identify(head)
    own = _named(head, _MAGIC)
    if own is None or kind.family not in ("image", "text", "file"):
        return ImageError(f"it is {kind.name}", kind.mend)
    return ImageError(
        f"it begins like a {own} but is damaged, or of a rare kind", f"{FETCH_AGAIN} {CONVERT}"
    )


def broken(error: Exception, head: bytes) -> ImageError:
    """Explain a decoder's failure."""
    if isinstance(error, UnidentifiedImageError):
        return unidentified(head)
    text = " ".join(str(error).split())[:120]
    # A WebP says its length up front; its decoder has no word for one that was cut off.
    webp = head[8:12] == b"WEBP" and "decoder" in text
    if webp or "truncated" in text.lower() or isinstance(error, EOFError):
        return ImageError("it is truncated: its end is missing", FETCH_AGAIN)
    if "raw mode" in text:  # Pillow knows how its pixels lie, and not what they mean
        return ImageError(f"it is a {_named(head, _MAGIC)} of a rare kind ({text})", CONVERT)
    return ImageError(f"it is damaged ({text or type(error).__name__})", FETCH_AGAIN)


def _named(head: bytes, table: tuple[tuple[int, bytes, str], ...]) -> str | None:
    for offset, magic, name in table:
        if head[offset : offset + len(magic)] == magic:
            return name
    return None
