"""docs/strategies.md is in step with the strategies that there are."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from strategies import registry
from strategies.synthesis.recipes import in_group
from strategies.synthesis.recipes.recipe import GROUPS, Group

MOST = 60_000  # bytes of a picture
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


@pytest.mark.parametrize("name", registry.names())
def test_every_strategy_has_its_row_its_paragraph_and_its_picture(name: str) -> None:
    assert f"| [`{name}`](#{name}) |" in PAGE
    section = re.search(rf"### `{name}`\n(.*?)(?=\n##|\Z)", PAGE, re.DOTALL)
    assert section is not None
    after = section[1].partition("[[[end]]] -->")[2]
    assert len(after.split()) >= 20
    picture = ROOT / "docs" / "pictures" / "strategies" / f"{name}.png"
    assert 1000 < picture.stat().st_size < MOST, "Run `python docs/strategy_pictures.py`."


@pytest.mark.parametrize("group", GROUPS)
def test_every_recipe_has_its_line_below_the_sheet_of_its_group(group: Group) -> None:
    _, sheet, after = PAGE.partition(f"](pictures/recipes/{group}.jpg)\n")
    assert sheet
    listed = after.partition("<!-- [[[end]]] -->")[0]
    for recipe in in_group(group):
        assert f"\n- `{recipe.name}`" in listed
        assert recipe.summary in listed
    picture = ROOT / "docs" / "pictures" / "recipes" / f"{group}.jpg"
    assert 1000 < picture.stat().st_size < MOST, "Run `python docs/strategy_pictures.py`."


def test_no_strategy_is_named_that_does_not_exist() -> None:
    headings = re.findall(r"^### `(\w+)`$", PAGE, re.MULTILINE)
    assert sorted(headings) == list(registry.names())
    for path in (ROOT / "docs" / "pictures" / "strategies").glob("*.png"):
        assert path.stem in headings
