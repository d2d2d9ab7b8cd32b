"""The command that agrees to what somebody else's project asks for."""

from __future__ import annotations

from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labeller.cli.output import emit, example, json_option, note, project_argument

if TYPE_CHECKING:
    from labeller.trust import Wish


@click.command("trust", epilog=example("labeller trust birds"))
@project_argument
@click.option("--yes", is_flag=True, help="Agree without being asked.")
@json_option
def trust_command(project: Path, yes: bool, as_json: bool) -> None:
    """Show what PROJECT, made by somebody else, asks for, and agree to it.

    Nothing that acts outside its folder is done before: no folder is watched, no database server
    asked, no weights fetched, no waiting job done.
    """
    folder = project.expanduser().absolute()
    wishes = agree(folder, yes)
    facts = {"project": folder, "wishes": [asdict(wish) for wish in wishes]}
    emit(facts, as_json, f"{folder} is trusted.")


def agree(folder: Path, yes: bool) -> list[Wish]:
    """List what a project asks for and note that the person agrees, after asking unless `yes`."""
    from labeller import config, trust
    from labeller.project import own_database

    settings = config.load_settings(folder, {})
    wishes = trust.list_wishes(folder, settings, own_database(folder, settings))
    for wish in wishes:
        note(f"{wish.name}: {wish.value}\n    {wish.effect}")
    if wishes and not yes:
        click.confirm("Agree to all of that?", abort=True, err=True)
    trust.trust_project(folder, settings.id)
    return wishes
