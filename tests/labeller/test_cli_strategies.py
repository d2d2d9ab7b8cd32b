"""The command `strategies`, and strategies as the other commands take them."""

from __future__ import annotations

import json
import subprocess
import sys

from click.testing import CliRunner

from labeller.cli import cli
from strategies import registry
from strategies.base import Needs


def here(*words: str) -> tuple[int, str]:
    """Run a command in this process: exit code and stdout."""
    result = CliRunner().invoke(cli, words)
    return result.exit_code, result.stdout


def test_every_strategy_is_listed_with_its_family() -> None:
    listed = json.loads(here("strategies", "--json")[1])
    assert list(listed) == ["strategies"]
    rows = listed["strategies"]
    assert all(list(row) == ["name", "family", "needs", "reference"] for row in rows)
    assert sorted(row["name"] for row in rows) == sorted(registry.names())
    for row in rows:
        info = registry.get(row["name"])
        assert (row["family"], row["reference"]) == (info.family, info.reference)
        assert len(row["needs"]) == len(list(info.needs))
        assert all(
            need == need.lower() and Needs[need.upper()] in info.needs for need in row["needs"]
        )
    for family in registry.FAMILIES:
        only = json.loads(here("strategies", "--family", family, "--json")[1])["strategies"]
        assert only == [row for row in rows if row["family"] == family]
    code, out = here("strategies")
    assert code == 0
    places = [out.index(f"{family}:") for family in ("pool", "stream", "synthesis")]
    assert places == sorted(places)
    words = " ".join(out.split())
    assert "margin probs Pick the items whose two likeliest classes are closest." in words
    assert all(f"  {name} " in out for name in registry.names())
    assert here("strategies", "--family", "magic")[0] == 2


def test_listing_the_strategies_imports_nothing_heavy() -> None:
    code = (
        "import sys; from labeller.cli import cli\n"
        "try: cli(['strategies', '--json'])\n"
        "except SystemExit: pass\n"
        "heavy = ('torch', 'skimage', 'sklearn', 'augly', 'pandas', 'streamlit', 'sqlalchemy');"
        "print([name for name in heavy if name in sys.modules], file=sys.stderr)"
    )
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert ran.stderr.strip() == "[]"
