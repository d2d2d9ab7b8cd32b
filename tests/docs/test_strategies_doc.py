"""docs/strategies.md is in step with the strategies that there are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from strategies import registry

ROOT = Path(__file__).resolve().parents[2]
PAGE = (ROOT / "docs" / "strategies.md").read_text(encoding="utf-8")


def test_the_generated_parts_are_what_the_code_writes_now() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "cogapp", "-I", "docs", "--check", "docs/strategies.md"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    told = "Run `cog -I docs -r docs/strategies.md`."
    assert done.returncode == 0, f"{told}\n{done.stdout}{done.stderr}"


@pytest.mark.parametrize("name", registry.names("pool"))
def test_every_strategy_has_its_row_its_paragraph_and_its_picture(name: str) -> None:
    assert f"| [`{name}`](#{name}) |" in PAGE
    section = re.search(rf"### `{name}`\n(.*?)(?=\n##|\Z)", PAGE, re.DOTALL)
    assert section is not None
    after = section[1].partition("[[[end]]] -->")[2]
    assert len(after.split()) >= 20
    picture = ROOT / "docs" / "pictures" / "strategies" / f"{name}.png"
    assert picture.stat().st_size > 1000, "Run `python docs/strategy_pictures.py`."


def test_no_strategy_is_named_that_does_not_exist() -> None:
    headings = re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE)
    assert sorted(headings) == list(registry.names("pool"))
    for path in (ROOT / "docs" / "pictures" / "strategies").glob("*.png"):
        assert path.stem in headings
