"""The parts of the docs that the code writes: `make docs` puts them in, the tests compare."""

from __future__ import annotations

from dataclasses import fields

import click

from labeller.cli import cli
from labeller.config import Settings

WIDTH = 88


def commands() -> str:
    """Return every command with its help, in the order in which a project needs them."""
    parts = []
    for name in cli.list_commands(click.Context(cli)):
        command = cli.commands[name]
        parent = cli.make_context("labeller", [name, "--help"], terminal_width=WIDTH)
        context = click.Context(command, info_name=name, parent=parent, terminal_width=WIDTH)
        lines = [line.rstrip() for line in command.get_help(context).splitlines()]
        parts.append(f"## `labeller {name}`\n\n```text\n" + "\n".join(lines) + "\n```\n")
    return "\n".join(parts)


def settings() -> str:
    """Return the table of the settings of ``project.toml``."""
    lines = ["| Setting | Default | What it is |", "|---|---|---|"]
    for field in fields(Settings):
        default = field.default
        text = str(default).lower() if isinstance(default, bool) else str(default)
        shown = f"`{text}`" if text else "empty"
        lines.append(f"| `{field.name}` | {shown} | {field.metadata['help']} |")
    return "\n".join(lines)
