"""How many pixels the threads of a process decode at once: giants wait for each other."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

LARGE = 1 << 25  # pixels; about 128 MiB, in which returning memory takes no time that counts


class DecodeRoom:
    """Room for so many pixels; one image alone is let in whatever its size."""

    def __init__(self) -> None:
        self._free = threading.Condition()
        self._used = 0

    @contextmanager
    def taken(self, pixels: int, most: int) -> Iterator[None]:
        """Wait until there is room, and take it.

        Parameters
        ----------
        pixels : int
            Of the image that is to be decoded.
        most : int
            Pixels that may be decoded at once.
        """
        with self._free:
            self._free.wait_for(lambda: not self._used or self._used + pixels <= most)
            self._used += pixels
        try:
            yield
        finally:
            if pixels >= LARGE:
                _return_memory()
            with self._free:
                self._used -= pixels
                self._free.notify_all()


def _return_memory() -> None:
    """Return what was freed to the system: glibc keeps it, for each thread anew."""
    import ctypes  # few processes meet such an image

    with suppress(AttributeError, OSError):  # another C library
        ctypes.CDLL(None).malloc_trim(0)


ROOM = DecodeRoom()
