"""The real app in a process of its own, and a browser to drive it: shared by all browser tests."""

from __future__ import annotations

import contextlib
import os
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Playwright, expect, sync_playwright

ROOT = Path(__file__).resolve().parent.parent
FLAGS = (
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
)
PATIENCE = 30_000  # milliseconds: a page under load is late, not wrong
_lent: list[Browser] = []


@dataclass
class RunningApp:
    """A workbench that listens on `url`; `kill` and `start` again keep the port."""

    project: Path | None
    port: int
    log: Path
    environment: dict[str, str] = field(default_factory=dict)
    process: subprocess.Popen[bytes] | None = None

    @property
    def url(self) -> str:
        return f"http://localhost:{self.port}"

    def page(self, name: str) -> str:
        """Return the address of one page, "label" for the labelling card."""
        return f"{self.url}/{name}"

    def start(self, seconds: float = 180) -> None:
        """Start the server and wait until it answers."""
        command = [sys.executable, "-m", "streamlit", "run", "app.py"]
        command += ["--server.port", str(self.port), "--server.headless", "true"]
        with self.log.open("ab") as log:
            self.process = subprocess.Popen(
                command,
                cwd=ROOT,
                env=self.environment,
                stdout=log,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )
        end = time.monotonic() + seconds
        while time.monotonic() < end:
            if self.process.poll() is not None:
                raise RuntimeError(f"the app ended at once:\n{self.log.read_text()[-4000:]}")
            try:
                with urllib.request.urlopen(f"{self.url}/api/v1/health", timeout=2):
                    return
            except (urllib.error.URLError, OSError):
                time.sleep(0.1)
        self.kill()
        raise RuntimeError(f"the app did not answer:\n{self.log.read_text()[-4000:]}")

    def kill(self, how: int = signal.SIGKILL) -> None:
        """End the server at once, without a chance to tidy up; its jobs live on."""
        if self.process is None:
            return
        if self.process.poll() is None:
            os.kill(self.process.pid, how)
        self.process.wait(60)
        self.process = None

    def stop(self) -> None:
        """End the server as Ctrl+C would, by force if it does not."""
        if self.process is None:
            return
        try:
            self.kill(signal.SIGINT)
        except subprocess.TimeoutExpired:
            self.kill()


def start_app(
    project: Path | None, state: Path, environment: Mapping[str, str] | None = None
) -> RunningApp:
    """Start the workbench on a free port.

    Parameters
    ----------
    project : Path or None
        What ``LABELLER_PROJECT`` names; None for the start page.
    state : Path
        Folder for the list of recent projects and the server's log.
    environment : mapping of str to str, optional
        Further variables.
    """
    state.mkdir(parents=True, exist_ok=True)
    variables = {k: v for k, v in os.environ.items() if not k.startswith("LABELLER_")}
    variables |= {"LABELLER_STATE": str(state), "LABELLER_ANNOTATOR": "tester"}
    variables |= {"OMP_WAIT_POLICY": "passive", "OMP_NUM_THREADS": "2", **(environment or {})}
    if project is not None:
        variables["LABELLER_PROJECT"] = str(project)
    app = RunningApp(project, free_port(), state / "server.log", variables)
    app.start()
    return app


def free_port() -> int:
    """Return a port that nobody uses now.

    It is none of those that the system gives to outgoing connections, which could take it while
    the app starts.
    """
    while True:
        port = secrets.choice(range(20_000, 32_000))
        with socket.socket() as probe, contextlib.suppress(OSError):
            probe.bind(("127.0.0.1", port))
            return port


def chromium() -> str | None:
    """Return the installed Chromium, or None.

    Raises
    ------
    RuntimeError
        When there is none in a continuous integration, where no test may be left out.
    """
    path = os.pathsep.join([os.environ.get("PATH", ""), str(Path(sys.executable).parent)])
    found = shutil.which("chromium", path=path) or shutil.which("chromium-browser", path=path)
    if found is None and os.environ.get("CI"):
        raise RuntimeError("CI is set and there is no Chromium: `make browser` installs one.")
    return found


@contextmanager
def shared() -> Iterator[Browser]:
    """Lend the one headless Chromium of this process.

    Playwright's synchronous side can run only once in a thread, and while it runs nothing else may
    use asyncio there: fixtures take it for a module, not for the whole session.
    """
    if chromium() is None:
        pytest.skip("no Chromium on this machine")
    if _lent:
        yield _lent[0]
        return
    expect.set_options(timeout=PATIENCE)
    with sync_playwright() as playwright:
        _lent.append(launch(playwright))
        try:
            yield _lent[0]
        finally:
            _lent.pop().close()


def launch(playwright: Playwright, *flags: str) -> Browser:
    """Start headless Chromium."""
    return playwright.chromium.launch(executable_path=chromium(), args=[*FLAGS, *flags])
