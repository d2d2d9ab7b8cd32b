"""The command line: thin over the same services as the pages.

Nothing heavy is imported before a command needs it, so that ``labeller --help`` answers at once.
"""

from __future__ import annotations

import errno
import logging
import sys
from typing import Any

import click

from labeller.cli.backup import backup_command, restore_command
from labeller.cli.drift import drift_command
from labeller.cli.evaluation import evaluate_command
from labeller.cli.items import budget_command, items_command
from labeller.cli.leaks import leaks_command
from labeller.cli.models import models_command
from labeller.cli.output import note
from labeller.cli.predict import predict_command
from labeller.cli.projects import (
    demo_command,
    export_command,
    import_command,
    init_command,
    label_command,
)
from labeller.cli.propagate import propagate_command
from labeller.cli.recovery import recover_command
from labeller.cli.review import review_command
from labeller.cli.rounds import queue_command, round_command, status_command
from labeller.cli.serving import login_command, run_command, token_command, worker_command
from labeller.cli.signals import INTERRUPTED
from labeller.cli.simulate import simulate_command
from labeller.cli.snapshot import snapshot_command
from labeller.cli.strategies import strategies_command
from labeller.cli.stream import stream_command
from labeller.cli.synthesis import synthesise_command
from labeller.cli.trust import trust_command
from labeller.errors import ImageError, LabellerError, TooManyOpenFiles
from labeller.open_files import raise_open_files


class _Commands(click.Group):
    """A group whose expected errors become one clear line and exit code 1."""

    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except KeyboardInterrupt:
            note("Stopped.")
            ctx.exit(INTERRUPTED)
        except Exception as error:
            text = _expected(error)
            if text is None:
                raise
            raise click.ClickException(text) from error

    def list_commands(self, _ctx: click.Context) -> list[str]:
        """List the commands in the order in which a project needs them."""
        return list(self.commands)


def _expected(error: Exception) -> str | None:
    """Return the text of an error that is meant for the person, or None for a fault of ours."""
    if isinstance(error, ImageError):
        return f"{error} {error.mend}".strip()
    if isinstance(error, LabellerError):
        return str(error)
    if isinstance(error, OSError) and error.errno in (errno.EMFILE, errno.ENFILE):
        return f"{TooManyOpenFiles()}. {TooManyOpenFiles().mend}"
    if isinstance(error, OSError) and not isinstance(error, BrokenPipeError):
        return f"{error.filename}: {error.strerror}" if error.filename else str(error)
    from store.errors import StoreError
    from strategies.base import StrategyError

    return str(error) if isinstance(error, (StoreError, StrategyError)) else None


@click.group(cls=_Commands, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(package_name="labeller", message="%(prog)s %(version)s")
def cli() -> None:
    """Label images where labels teach the model most.

    Each command takes the project's folder first. With --json it prints exactly one JSON object on
    stdout; progress and errors go to stderr. The exit code is 0, or not 0 with the reason said.
    """
    raise_open_files()


for _command in (
    init_command,
    import_command,
    label_command,
    round_command,
    queue_command,
    stream_command,
    propagate_command,
    status_command,
    items_command,
    budget_command,
    review_command,
    evaluate_command,
    leaks_command,
    export_command,
    models_command,
    snapshot_command,
    predict_command,
    drift_command,
    recover_command,
    backup_command,
    restore_command,
    run_command,
    login_command,
    demo_command,
    worker_command,
    strategies_command,
    simulate_command,
    synthesise_command,
    token_command,
    trust_command,
):
    cli.add_command(_command)


def main() -> None:
    """Run the command line."""
    logging.basicConfig(
        level=logging.WARNING, stream=sys.stderr, format="%(asctime)s %(levelname)s %(message)s"
    )
    cli(prog_name="labeller")
