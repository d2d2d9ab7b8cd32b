"""Images that look alike, directly or through others, counted by split. Pure arithmetic."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping

from store.records import Split


class Crowds:
    """What hangs together by links between images, which only ever grows."""

    def __init__(self) -> None:
        self._above: dict[int, int] = {}
        self._held: dict[int, Counter[Split]] = {}

    def __contains__(self, image: int) -> bool:
        """Say whether the image was added."""
        return image in self._above

    def add(self, image: int, split: Split, alike: Iterable[int] = ()) -> None:
        """Note an image of a split, unless it is known, and which others it looks like.

        Others that were never added stay outside.
        """
        if image not in self._above:
            self._above[image] = image
            self._held[image] = Counter({split: 1})
        for other in alike:
            if other in self._above:
                self._join(image, other)

    def rename(self, names: Mapping[int, int]) -> None:
        """Give images other numbers, which none has yet."""
        for old, new in names.items():
            if old in self._above:
                self._above[new] = self._find(old)

    def around(self, images: Iterable[int]) -> Counter[Split]:
        """Count by split what hangs together with any of some images."""
        tops = {self._find(image) for image in images if image in self._above}
        return sum((self._held[top] for top in tops), Counter())

    def _find(self, image: int) -> int:
        while (above := self._above[image]) != image:
            self._above[image] = self._above[above]
            image = above
        return image

    def _join(self, one: int, other: int) -> None:
        into, gone = self._find(one), self._find(other)
        if into == gone:
            return
        if self._held[into].total() < self._held[gone].total():
            into, gone = gone, into
        self._above[gone] = into
        self._held[into] += self._held.pop(gone)
