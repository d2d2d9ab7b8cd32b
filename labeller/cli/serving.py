"""Commands that serve: run (the web app), worker (jobs), token (the API)."""

from __future__ import annotations

import logging
import os
import signal
import threading
import time
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING

import click

from labeller.cli.output import emit, example, json_option, note, project_argument
from labeller.cli.projects import person
from labeller.cli.signals import handled
from labeller.cli.trust import agree
from labeller.errors import StrangerError
from labeller.processes import HOME, become_process, make_command

if TYPE_CHECKING:
    from labeller.tokens import Scope, TokenNote

JOB_WAIT_SECONDS = 60.0  # for a busy database: nobody waits for a job as for a page


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
@click.option(
    "--login",
    type=click.Choice(["auto", "always", "never"]),
    help="Who signs in: those who come from elsewhere than localhost (auto), everybody, nobody.",
)
@click.option(
    "--allow-host",
    "hosts",
    metavar="NAME",
    multiple=True,
    help="A name that the server answers to, besides its own; may be given again.",
)
@click.option("--trust", is_flag=True, help="Agree to what PROJECT of somebody else asks for.")
@click.option("--headless", is_flag=True, help="Do not open a browser.")
def run_command(
    project: Path | None,
    address: str,
    port: int,
    login: str | None,
    hosts: tuple[str, ...],
    trust: bool,
    headless: bool,
) -> None:
    """Open the workbench in the browser.

    It shows PROJECT, or the start page when none is given.
    """
    from labeller.gate.server import HOSTS, LOGIN, describe_server

    if project is not None and trust:
        agree(project.expanduser().absolute(), yes=True)
    shown = {} if project is None else {"LABELLER_PROJECT": str(_openable(project))}
    app = HOME / "app.py"
    if not app.is_file():
        raise click.ClickException(
            f"{app}: is not there. Install from a checkout with `make env`, which keeps it."
        )
    more = {LOGIN: login} if login else {}
    if hosts:
        more[HOSTS] = ",".join([*filter(None, [os.environ.get(HOSTS)]), *hosts])
    describe_server(address, port, environment={**os.environ, **more})  # says what is wrong with it
    arguments = [str(app), f"--server.address={address}", f"--server.port={port}"]
    arguments += ["--server.showEmailPrompt=false"]
    arguments += ["--server.headless=true"] if headless else []
    become_process(make_command("streamlit", "run", *arguments), {**shown, **more})


def _openable(project: Path) -> Path:
    """Return the folder of a project that opens, or that a page can ask about."""
    from labeller.project import open_project

    try:
        return open_project(project).root
    except StrangerError as error:
        note(f"{error} Or decide in the browser.")
        return error.folder


@click.command("login", epilog=example("labeller login"))
@click.option(
    "--address", metavar="URL", default="http://localhost:8501", show_default=True, help="Of it."
)
@click.option("--end-all", is_flag=True, help="Sign every browser out instead.")
@json_option
def login_command(address: str, end_all: bool, as_json: bool) -> None:
    """Print a link that signs one browser in, once, within a day.

    For the servers that this account runs on this machine. Browsers stay signed in for 30 days.
    """
    from labeller.gate import sign_in
    from labeller.state import state_folder

    try:
        if end_all:
            sign_in.end_all()
            emit({"ended": True}, as_json, "Every browser is signed out.")
            return
        link = f"{address.rstrip('/')}/sign-in?code={sign_in.make_code()}"
    except OSError as error:
        raise click.ClickException(
            f"{state_folder()}: cannot be written ({error.strerror or error}). "
            f"Set LABELLER_STATE to a folder of yours."
        ) from error
    emit({"link": link}, as_json, link)


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
    from labeller.services import leftovers, retention, watching
    from store.plain import wait_longer

    logging.getLogger("labeller").setLevel(logging.INFO)
    if job is not None:
        wait_longer(JOB_WAIT_SECONDS)
        opened = open_project(project)
        leftovers.remove_leftovers(opened)
        jobs.run(opened, job)
        for text in retention.remove_outdated(opened):
            note(f"Deleted, as the settings say: {text}.")
        return
    opened = open_project(project)
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
@click.option(
    "--scope",
    type=click.Choice(["read", "label", "all"]),
    default="all",
    show_default=True,
    help="What may be done with it: see, label too, or everything.",
)
@click.option("--list", "listing", is_flag=True, help="List the tokens made so far instead.")
@click.option("--revoke", metavar="ID", help="End a token of the list instead.")
@click.option("--new-key", is_flag=True, help="End all tokens instead, by a new signing key.")
@json_option
def token_command(
    project: Path,
    annotator: str | None,
    scope: Scope,
    listing: bool,
    revoke: str | None,
    new_key: bool,
    as_json: bool,
) -> None:
    """Print a token for the API at /api/v1.

    It is good for the hours set in project.toml, and can be renewed for the days set there.
    Requests carry it in the header "Authorization: Bearer TOKEN".
    """
    from labeller import tokens
    from labeller.project import open_project, replace_secret

    if sum([listing, revoke is not None, new_key]) > 1:
        raise click.UsageError("--list, --revoke and --new-key are three things. Do one at a time.")
    opened = open_project(project)
    if new_key:
        replace_secret(opened.root)
        emit({"new_key": True}, as_json, f"All tokens of {opened.name} are ended.")
    elif revoke is not None:
        tokens.revoke(opened, revoke)
        emit({"revoked": revoke}, as_json, f"Token {revoke} is ended.")
    elif listing:
        notes = tokens.list_tokens(opened)
        rows = {"tokens": [asdict(note) for note in notes]}
        emit(rows, as_json, "\n".join(map(_token_line, notes)) or "No tokens for scripts yet.")
    else:
        name = annotator or person()
        token = tokens.make(opened, name, scope=scope)
        hours = opened.settings.token_hours
        facts = {"token": token, "annotator": name, "hours": hours, "scope": scope}
        emit(facts, as_json, token)


def _token_line(note: TokenNote) -> str:
    """Say one token on a line."""
    over = note.expires_at < time.time()
    ended = "revoked" if note.revoked_at is not None else "expired" if over else "good until"
    moment = time.strftime("%Y-%m-%d %H:%M", time.localtime(note.expires_at))
    return f"{note.id}  {note.scope:5}  {note.annotator}  {ended} {moment}"
