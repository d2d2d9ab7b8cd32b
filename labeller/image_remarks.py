"""What a readable image file holds besides the picture that is taken from it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from typing import BinaryIO, Literal

from PIL import Image

from labeller.imaging import FORMATS
from labeller.pixels import is_convertible

Kind = Literal["pages", "frames", "profile"]
_SUBFILE_TYPE = 254  # tag of TIFF
_REDUCED, _MASK = 1, 4  # its bits: a smaller copy or a mask of another page
_MOST_PAGES = 10_000
_SENTENCES: dict[Kind, str] = {
    "pages": "TIFF files have further pages ({}). The first page is the image; to label the "
    "others, save each page as a file of its own.",
    "frames": "files are animated ({}). The first frame is the image.",
    "profile": "files have a colour profile that cannot be used ({}). Their colours are taken as "
    "sRGB.",
}


@dataclass(frozen=True, slots=True)
class Remark:
    """Something that is passed over; `number` is how many pages there are in all."""

    kind: Kind
    number: int = 0


class RemarkTally:
    """How many files there are of each kind of remark, with the first of them."""

    def __init__(self) -> None:
        self._files: Counter[Kind] = Counter()
        self._first: dict[Kind, str] = {}

    def add(self, shown: str, remarks: Iterable[tuple[Kind, int]]) -> None:
        """Take in the remarks on a file, which reports name `shown`."""
        for kind, number in remarks:
            self._files[kind] += 1
            example = f"{shown}: {number:,} pages" if number else shown
            self._first.setdefault(kind, example)

    def sentences(self) -> Iterator[str]:
        """Yield a sentence for a report on each kind."""
        for kind, number in self._files.items():
            yield f"{number:,} {_SENTENCES[kind].format(self._first[kind])}"


def list_remarks(file: BinaryIO) -> tuple[Remark, ...]:
    """Return what of an image file that can be read is not used.

    Smaller copies and masks within a TIFF are no pages, and the pictures that a camera puts behind
    its own in a JPEG are no frames.
    """
    file.seek(0)
    remarks = []
    with Image.open(file, formats=FORMATS) as image:
        profile = image.info.get("icc_profile")
        if isinstance(profile, bytes) and not is_convertible(profile, image.mode):
            remarks.append(Remark("profile"))
        if image.format == "TIFF":
            pages = _count_pages(image)
            if pages > 1:
                remarks.append(Remark("pages", pages))
        elif image.format != "MPO" and getattr(image, "is_animated", False):
            remarks.append(Remark("frames"))
    return tuple(remarks)


def _count_pages(image: Image.Image) -> int:
    """Count the pages of a TIFF whose further directories can be read."""
    pages = 1
    # At the end, or at damage behind the first page, which is whole, there are no more.
    with suppress(Exception):
        for page in range(1, _MOST_PAGES):
            image.seek(page)
            kind = int(getattr(image, "tag_v2").get(_SUBFILE_TYPE, 0))  # noqa: B009
            pages += not kind & (_REDUCED | _MASK)
    return pages
