"""Text files with marks and other line ends: project.toml, and the reader behind it."""

from __future__ import annotations

from pathlib import Path

import pytest

from labeller.config import load_settings
from labeller.errors import ConfigError
from labeller.text_files import TextError, read_text

TOML = '# Settings\nid = "0123"\nname = "Vögel"\nbatch = 7\n'


@pytest.mark.parametrize("end", ["\n", "\r\n"])
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-32"])
def test_settings_as_editors_save_them(tmp_path: Path, encoding: str, end: str) -> None:
    (tmp_path / "project.toml").write_bytes(TOML.replace("\n", end).encode(encoding))
    settings = load_settings(tmp_path, {})
    assert (settings.name, settings.batch) == ("Vögel", 7)


@pytest.mark.parametrize(
    ("data", "word"),
    [
        (TOML.encode("utf-16-le"), "UTF-16 without a byte order mark"),
        (
            TOML.encode("cp1252"),
            "line 3 is not UTF-8 (in Windows-1252 it would be 'name = \"Vögel\"')",
        ),
        (b"\xff\xfe\x00", "not whole as UTF-16"),
        (b"id = \n", "not valid TOML"),
    ],
)
def test_settings_that_cannot_be_read(tmp_path: Path, data: bytes, word: str) -> None:
    path = tmp_path / "project.toml"
    path.write_bytes(data)
    with pytest.raises(ConfigError) as caught:
        load_settings(tmp_path, {})
    assert word in str(caught.value)
    assert str(path) in str(caught.value)


def test_line_ends_are_plain(tmp_path: Path) -> None:
    path = tmp_path / "a.txt"
    path.write_bytes(b"\xef\xbb\xbfa\r\nb\rc\n")
    assert read_text(path) == "a\nb\nc\n"
    path.write_bytes(b"")
    assert read_text(path) == ""
    path.write_bytes(b"a\nb\xff\n")
    with pytest.raises(TextError, match="line 2"):
        read_text(path)
