"""PNG files whose texts or colour profile are long or damaged: their pixels are whole."""

from __future__ import annotations

from PIL import PngImagePlugin

PROFILE_BYTES = 16 << 20  # profiles of scanners have up to about 4 MB


class _TolerantStream(PngImagePlugin.PngStream):
    """Passes over what is not needed for the pixels where Pillow gives the file up.

    Every browser does so. What a compressed text may take in memory stays limited as it is.
    """

    def crc(self, cid: bytes, data: bytes) -> None:
        """Check the sum of critical chunks only, as the specification allows (section 13.2)."""
        if _is_ancillary(cid):
            self.crc_skip(cid, data)
        else:
            super().crc(cid, data)

    def call(self, cid: bytes, pos: int, length: int) -> bytes:
        """Read a chunk; an ancillary one that cannot be read counts as not there."""
        try:
            return super().call(cid, pos, length)
        except (ValueError, SyntaxError, IndexError):
            if not _is_ancillary(cid) or self.fp is None:
                raise
            if cid == b"iCCP":
                self.im_info["icc_profile"] = b""  # there is one, and it says nothing
            self.fp.seek(pos + length)
            return b""


def _is_ancillary(cid: bytes) -> bool:
    return bool(cid[0] >> 5 & 1)


def tolerate_metadata() -> None:
    """Let Pillow read PNG files whatever their metadata, in this process from now on."""
    PngImagePlugin.PngStream = _TolerantStream  # type: ignore[misc]
    PngImagePlugin.MAX_TEXT_CHUNK = PROFILE_BYTES
