"""Every process that the product starts, started in one way: its own code runs, and no other.

A folder of images or a project may hold a ``PIL`` or a ``json.py``. Python would import it when it
lies where the user stands (the first entry of ``sys.path``) or where ``PYTHONPATH`` points.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, NoReturn

HOME = Path(__file__).resolve().parents[1]
_PROJECT_FILE = "project.toml"
_Stream = int | IO[bytes] | None


def make_command(module: str, *arguments: str) -> tuple[str, ...]:
    """Return the command line that runs a Python module, wherever it is started."""
    return (sys.executable, "-P", "-m", module, *arguments)


def start_process(
    command: Sequence[str],
    more: Mapping[str, str] | None = None,
    *,
    stdin: _Stream = subprocess.DEVNULL,
    stdout: _Stream = None,
    stderr: _Stream = None,
    own_session: bool = False,
) -> subprocess.Popen[bytes]:
    """Start one of the product's processes.

    It starts in the product's own folder, so paths among the arguments have to be absolute.

    Parameters
    ----------
    command : sequence of str
        As `make_command` returns it.
    more : mapping of str to str, optional
        Variables of its environment, added to this process's.
    stdin, stdout, stderr
        As `subprocess.Popen` takes them.
    own_session : bool
        Whether it gets its own session and process group, so that Ctrl-C does not reach it.

    Raises
    ------
    OSError
        When it cannot be started.
    """
    return subprocess.Popen(
        command,
        cwd=HOME,
        env={**clean_environment(), **(more or {})},
        stdin=stdin,
        stdout=stdout,
        stderr=stderr,
        start_new_session=own_session,
    )


def become_process(command: Sequence[str], more: Mapping[str, str] | None = None) -> NoReturn:
    """Turn this process into another, as `start_process` would start it.

    Streamlit reads ``.streamlit/config.toml`` of the folder it starts in: the product's own.
    """
    os.chdir(HOME)
    os.execve(command[0], list(command), {**clean_environment(), **(more or {})})  # noqa: S606


def clean_environment(environment: Mapping[str, str] = os.environ) -> dict[str, str]:
    """Return the environment for a process of the product.

    Its ``PYTHONPATH`` begins with the product's own folder. Entries stay that a person may need,
    such as packages of a cluster; those go that are relative, lie in a project, or are where this
    process stands.
    """
    entries = environment.get("PYTHONPATH", "").split(os.pathsep)
    paths = [str(HOME), *(entry for entry in entries if _is_safe(entry))]
    dropped = ("PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONHOME")
    kept = {name: value for name, value in environment.items() if name not in dropped}
    return {**kept, "PYTHONPATH": os.pathsep.join(dict.fromkeys(paths)), "PYTHONSAFEPATH": "1"}


def forget_working_folder() -> None:
    """Take the folder that the user stands in off ``sys.path``, unless the product lies there."""
    sys.path[:] = [
        entry for entry in sys.path if _is_safe(entry) or Path(entry or ".").resolve() == HOME
    ]


def _is_safe(entry: str) -> bool:
    """Whether a folder that modules are searched in is nobody's data."""
    path = Path(entry)
    if not entry or not path.is_absolute():
        return False
    folder = path.resolve()
    if folder == Path.cwd().resolve():
        return False
    return not any((above / _PROJECT_FILE).exists() for above in (folder, *folder.parents))
