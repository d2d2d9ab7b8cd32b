"""The command `strategies`: every strategy of the three families."""

from __future__ import annotations

import itertools
import shutil
import textwrap
from typing import TYPE_CHECKING

import click

from labeller.cli.output import emit, example, json_option

if TYPE_CHECKING:
    from strategies.registry import StrategyInfo

FAMILIES = {
    "pool": "pick the next batch from all unlabelled items (round, simulate)",
    "stream": "say of one arriving item after the other whether to ask about it",
    "synthesis": "make new items from labelled ones",
}
HEADER = ("name", "needs")


@click.command("strategies", epilog=example("labeller strategies --family pool"))
@click.option(
    "--family", type=click.Choice(list(FAMILIES)), help="Only one family; all if left out."
)
@json_option
def strategies_command(family: str | None, as_json: bool) -> None:
    """List every strategy, what it needs and where it is from.

    `round --strategy` also takes a mixture of pool strategies, such as
    margin:70,typiclust:20,random:10. In a list of strategies a mixture is written with plus signs:
    margin=70+typiclust=20+random=10.
    """
    from strategies import registry

    found = [one for each in FAMILIES for one in registry.all() if one.family == each]
    found = [one for one in found if family in (None, one.family)]
    data = {
        "strategies": [
            {
                "name": one.name,
                "family": one.family,
                "needs": list(one.reads),
                "reference": one.reference,
            }
            for one in found
        ]
    }
    emit(data, as_json, _text(found))


def _text(found: list[StrategyInfo]) -> str:
    """Lay strategies out for reading, by family, with what each does on lines that fit."""
    rows = [(one.name, ", ".join(one.reads) or "nothing") for one in found]
    name, needs = (max(map(len, column)) for column in zip(HEADER, *rows, strict=True))
    indent = " " * (2 + name + 2 + needs + 2)
    width = max(30, shutil.get_terminal_size().columns - len(indent))
    lines = []
    for family, members in itertools.groupby(zip(found, rows, strict=True), lambda p: p[0].family):
        lines += ["", f"{family}: {FAMILIES[family]}"]
        lines.append(f"  {HEADER[0].ljust(name)}  {HEADER[1].ljust(needs)}  what it does")
        for one, (called, reads) in members:
            told = textwrap.fill(one.summary, width, subsequent_indent=" ").split("\n")
            lines.append(f"  {called.ljust(name)}  {reads.ljust(needs)}  {told[0]}")
            lines += [indent + line.strip() for line in told[1:]]
    return "\n".join(lines[1:])
