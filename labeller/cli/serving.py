"""Commands that serve: run (the web app), worker (jobs), token (the API)."""

from __future__ import annotations

import ipaddress
import logging
import signal
import threading
from pathlib import Path

import click

from labeller.cli.output import emit, example, json_option, note, project_argument
from labeller.cli.projects import person
from labeller.cli.signals import handled
from labeller.processes import HOME, become_process, make_command


@click.command("run", epilog=example("labeller run birds"))
@click.argument("project", required=False, type=click.Path(file_okay=False, path_type=Path))
@click.option(
    "--address", metavar="NAME", default="localhost", show_default=True, help="Where to listen."
)
@click.option(
    "--port",
    metavar="N",
    default=8501,
    show_default=True,
    type=click.IntRange(1, 65535),
    help="Its port.",
)
@click.option("--headless", is_flag=True, help="Do not open a browser.")
def run_command(project: Path | None, address: str, port: int, headless: bool) -> None:
    """Open the workbench in the browser.

    It shows PROJECT, or the start page when none is given.
    """
    from labeller.project import open_project

    shown = {} if project is None else {"LABELLER_PROJECT": str(open_project(project).root)}
    app = HOME / "app.py"
    if not app.is_file():
        raise click.ClickException(
            f"{app}: is not there. Install from a checkout with `make env`, which keeps it."
        )
    if not _local(address):
        note(f"Everybody who can reach {address}:{port} can use this machine's projects.")
    arguments = [str(app), f"--server.address={address}", f"--server.port={port}"]
    arguments += ["--server.showEmailPrompt=false"]
    arguments += ["--server.headless=true"] if headless else []
    become_process(make_command("streamlit", "run", *arguments), shown)


def _local(address: str) -> bool:
    """Whether only this machine can reach `address`."""
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return address == "localhost"


@click.command("worker", epilog=example("labeller worker birds --once"))
@project_argument
@click.option("--once", is_flag=True, help="End when no job waits.")
@click.option("--kinds", metavar="K,K", help="Kinds of jobs to take; all if left out.")
@click.option("--job", type=int, hidden=True, help="Do this job in this process.")
@json_option
def worker_command(
    project: Path, once: bool, kinds: str | None, job: int | None, as_json: bool
) -> None:
    """Do the jobs that wait, each in its own process.

    For a machine with a GPU that shares the project folder and the database. Set start_workers =
    false in project.toml when only such workers should train.
    """
    from labeller import jobs
    from labeller.project import open_project
    from labeller.services import watching

    logging.getLogger("labeller").setLevel(logging.INFO)
    opened = open_project(project)
    if job is not None:
        jobs.run(opened, job)
        return
    stop = threading.Event()
    chosen = [kind.strip() for kind in kinds.split(",") if kind.strip()] if kinds else None
    if not once:
        watching.ensure(opened)
        note(f"Waiting for jobs of {opened.root}; Ctrl-C ends.")
    with handled(lambda *_: stop.set(), signal.SIGTERM, signal.SIGINT):
        count = jobs.serve(opened, once=once, kinds=chosen, stop=stop)
    emit({"project": opened.root, "jobs": count}, as_json, f"{count} jobs run.")


@click.command("token", epilog=example("labeller token birds --annotator ann"))
@project_argument
@click.option("--annotator", metavar="NAME", help="Whose labels come with it; you if left out.")
@json_option
def token_command(project: Path, annotator: str | None, as_json: bool) -> None:
    """Print a token for the API at /api/v1.

    It is good for the hours set in project.toml. Requests carry it in the header
    "Authorization: Bearer TOKEN".
    """
    from labeller import tokens
    from labeller.project import open_project

    opened = open_project(project)
    name = annotator or person()
    token = tokens.make(opened, name)
    hours = opened.settings.token_hours
    emit({"token": token, "annotator": name, "hours": hours}, as_json, token)
