"""Who gets in: hosts, origins, sign-in and tokens, on servers started as a person starts them."""

from __future__ import annotations

import os
import re
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from http.client import HTTPConnection, HTTPResponse
from pathlib import Path

import psutil
import pytest
from playwright.sync_api import expect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect

from labeller import tokens
from labeller.gate import sign_in as codes
from labeller.gate.hosts import Host, allowed_hosts, parse_origin
from labeller.project import Project, create_project
from tests import browser as browsers
from tests.browser import free_port
from tests.cards import queued_project

ROOT = Path(__file__).resolve().parents[2]
PAGES = (
    "/",
    "/settings",
    "/static/index.html",
    "/_stcore/health",
    "/_stcore/host-config",
    "/media/x.png",
    "/api/v1/health",
    "/api/v1/docs",
    "/api/v1/openapi.json",
    "/api/v1/status",
)


@dataclass(frozen=True)
class Door:
    """A server that runs, and the address of this machine that the network knows."""

    port: int
    log: Path
    state: Path

    def ask(
        self,
        path: str,
        headers: Mapping[str, str] | None = None,
        method: str = "GET",
        body: str | None = None,
        address: str = "127.0.0.1",
    ) -> tuple[int, HTTPResponse, str]:
        """Return status, answer and its text."""
        with closing(HTTPConnection(address, self.port, timeout=30)) as connection:
            connection.request(method, path, body, dict(headers or {}))
            answer = connection.getresponse()
            return answer.status, answer, answer.read().decode("utf-8", "replace")

    def status(self, path: str, **headers: str) -> int:
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        return self.ask(path, named)[0]

    def printed_code(self) -> str:
        """Return the code of the link that the server printed."""
        codes: set[str] = set(re.findall(r"/sign-in\?code=([\w-]+)", self.log.read_text()))
        assert len(codes) == 1
        return codes.pop()

    def websocket(self, **headers: str) -> int:
        """Return the status that a websocket's handshake gets: 101 when it is let in."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        origin = named.pop("Origin", None)
        try:
            with connect(
                f"ws://127.0.0.1:{self.port}/_stcore/stream",
                origin=origin,  # type: ignore[arg-type]
                additional_headers=named,
                subprotocols=["streamlit"],  # type: ignore[list-item]
                open_timeout=30,
            ):
                return 101
        except InvalidStatus as error:
            return error.response.status_code


@contextmanager
def serve(folder: Path, *arguments: str, command: str = "streamlit", **more: str) -> Iterator[Door]:
    """Start a server and wait until its port is open."""
    door = Door(free_port(), folder / "server.log", folder / "state")
    kept = {k: v for k, v in os.environ.items() if not k.startswith(("LABELLER_", "STREAMLIT_"))}
    environment = {**kept, "LABELLER_STATE": str(door.state), **more}
    if command == "streamlit":
        program = ["-m", "streamlit", "run", "app.py", "--server.headless=true"]
        program += [f"--server.port={door.port}"]
    else:
        program = ["-P", "-m", "labeller", "run", "--headless", f"--port={door.port}"]
    with door.log.open("wb") as log:
        process = subprocess.Popen(
            [sys.executable, *program, *arguments],
            cwd=ROOT,
            env=environment,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
        )
    try:
        _wait(door, process)
        yield door
    finally:
        with suppress(ProcessLookupError):  # it ended at once
            os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _wait(door: Door, process: subprocess.Popen[bytes]) -> None:
    end = time.monotonic() + 120
    while time.monotonic() < end and process.poll() is None:
        try:
            door.ask("/api/v1/health")
            return
        except OSError:
            time.sleep(0.1)
    raise RuntimeError(door.log.read_text()[-3_000:])


def own_address() -> str:
    """Return an address of this machine other than loopback's."""
    for addresses in psutil.net_if_addrs().values():
        for address in addresses:
            if address.family == socket.AF_INET and not address.address.startswith("127."):
                return address.address
    pytest.skip("this machine has no address but loopback's")


@pytest.fixture(scope="module")
def local(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    with serve(tmp_path_factory.mktemp("local")) as door:
        yield door


@pytest.fixture(scope="module")
def wide(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Door]:
    folder = tmp_path_factory.mktemp("wide")
    with serve(folder, "--server.address=0.0.0.0") as door:
        yield door


def test_on_loopback_the_page_opens_in_one_step(local: Door) -> None:
    assert local.status("/", Accept="text/html") == 200
    assert local.status("/api/v1/health") == 200
    assert "sign-in" not in local.log.read_text()
    port = local.port
    assert local.websocket(Origin=f"http://127.0.0.1:{port}") == 101
    for host in (f"localhost:{port}", f"LOCALHOST.:{port}", f"[::1]:{port}", "127.0.0.1"):
        assert local.status("/api/v1/health", Host=host) == 200, host


@pytest.mark.parametrize(
    "host",
    [
        "evil.example",
        "evil.example:8501",
        "localhost.evil.example",
        "127.0.0.1.evil.example",
        "localhost@evil.example",
        "evil.example/localhost",
        "localhost, evil.example",
        "192.0.2.77",
        "",
        "[::1",
        "localhost:port",
    ],
)
def test_a_foreign_host_is_refused_everywhere(local: Door, host: str) -> None:
    for path in PAGES:
        assert local.status(path, Host=host) in (400, 403), path


def test_a_foreign_host_gets_no_websocket(local: Door) -> None:
    evil = f"evil.example:{local.port}"
    assert local.websocket(Host=evil, Origin=f"http://{evil}") in (400, 403)


@pytest.mark.parametrize(
    "origin",
    ["http://evil.example", "null", "http://localhost:1", "https://localhost.evil.example", "x"],
)
def test_another_sites_page_can_do_nothing(local: Door, origin: str) -> None:
    for path in ("/api/v1/token", "/_stcore/upload_file/a/b", "/sign-in"):
        status, _, _ = local.ask(path, {"Origin": origin}, "POST", "")
        assert status == 403, path
    for path in PAGES:
        assert local.ask(path, {"Origin": origin})[0] == 403, path
    assert local.websocket(Origin=origin) == 403


def test_another_sites_page_can_read_and_frame_nothing(local: Door) -> None:
    cross = {"Sec_Fetch_Site": "cross-site"}
    assert local.status("/api/v1/health", **cross, Sec_Fetch_Mode="no-cors") == 403
    assert local.status("/", **cross, Sec_Fetch_Mode="navigate", Sec_Fetch_Dest="iframe") == 403
    same = {"Sec_Fetch_Site": "same-site"}  # another port of the same machine
    assert local.status("/media/x.png", **same, Sec_Fetch_Mode="no-cors") == 403
    step = {"Sec_Fetch_Mode": "navigate", "Sec_Fetch_Dest": "document"}
    assert local.status("/", **cross, **step) == 200  # a link on another page
    _, answer, _ = local.ask("/", {"Accept": "text/html"})
    assert answer.getheader("X-Frame-Options") == "SAMEORIGIN"


def test_a_proxy_makes_a_request_foreign(local: Door) -> None:
    for name in ("X-Forwarded-For", "Forwarded", "X-Real-IP"):
        assert local.ask("/", {name: "192.0.2.7"})[0] == 401


def test_beyond_loopback_nothing_answers_but_the_sign_in_page(wide: Door) -> None:
    for address in ("127.0.0.1", own_address()):
        for path in PAGES:
            status, _, text = wide.ask(path, {"Accept": "text/html"}, address=address)
            assert status == 401, path
            assert "Sign in" in text
        assert wide.ask("/sign-in", address=address)[0] == 200
    assert wide.websocket() == 403
    assert wide.ask("/api/v1/status", {"Authorization": "Bearer x"})[0] == 401
    assert wide.ask("/api/v1/health", {"Authorization": "Bearer x"})[0] == 401
    for cookie in ("labeller_login=x", "labeller_login_00000000=x.y.z", "=", "a"):
        assert wide.status("/", Cookie=cookie) == 401


def test_the_printed_link_signs_one_browser_in(wide: Door) -> None:
    link = f"/sign-in?code={wide.printed_code()}"
    assert wide.ask(link, method="HEAD")[0] == 200  # whoever only looks does not use it up
    status, answer, _ = wide.ask(link)
    assert (status, answer.getheader("Location")) == (303, "/")
    cookie = answer.getheader("Set-Cookie") or ""
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    pair = cookie.partition(";")[0]
    for path in ("/", "/api/v1/health", "/_stcore/health"):
        assert wide.status(path, Cookie=pair) == 200, path
    assert wide.websocket(Cookie=pair) == 101
    assert wide.websocket(Cookie=pair, Origin="http://evil.example") == 403
    assert wide.status("/", Cookie=pair, Host="evil.example") == 403
    assert wide.ask(link)[0] == 403  # once
    name, _, value = pair.partition("=")
    assert wide.status("/", Cookie=f"{name}={value[:-2]}xx") == 401


def test_a_link_made_later_works_by_form_until_all_are_ended(wide: Door) -> None:
    environment = {**os.environ, "LABELLER_STATE": str(wide.state)}
    login = [sys.executable, "-P", "-m", "labeller", "login"]

    def run(*arguments: str) -> str:
        return subprocess.run(
            [*login, *arguments], env=environment, check=True, capture_output=True, text=True
        ).stdout.strip()

    code = run().partition("code=")[2]
    form = {"Content-Type": "application/x-www-form-urlencoded"}
    assert wide.ask("/sign-in", form, "POST", "code=wrong")[0] == 403
    status, answer, _ = wide.ask("/sign-in", form, "POST", f"code={code}")
    assert status == 303
    pair = (answer.getheader("Set-Cookie") or "").partition(";")[0]
    assert wide.status("/", Cookie=pair) == 200
    waiting = run().partition("code=")[2]
    run("--end-all")
    assert wide.status("/", Cookie=pair) == 401
    assert wide.ask(f"/sign-in?code={waiting}")[0] == 403
    files = [wide.state / "sign-in.key", *(wide.state / "sign-in").iterdir()]
    assert all(file.stat().st_mode & 0o077 == 0 for file in files)


@pytest.fixture
def project(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Project:
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    return create_project(tmp_path / "birds", ["a", "b"])


def sign_in(door: Door, link: str = "/sign-in") -> str:
    """Use the printed link and return the cookie that it gives."""
    status, answer, _ = door.ask(f"{link}?code={door.printed_code()}")
    assert status == 303
    return (answer.getheader("Set-Cookie") or "").partition(";")[0]


def test_a_cookie_ends_with_all_that_hangs_on_it(tmp_path: Path, project: Project) -> None:
    page = {"Authorization": f"Bearer {tokens.make(project, 'ann', 'page')}"}
    script = {"Authorization": f"Bearer {tokens.make(project, 'ann')}"}
    shown = {"LABELLER_PROJECT": str(project.root), "LABELLER_LOGIN": "always"}
    with serve(tmp_path, **shown) as door:
        assert door.status("/api/v1/status", **page) == 401  # without its browser
        assert door.status("/api/v1/status", **script) == 200
        pair = sign_in(door)
        odd = f'a={{"x": 1}}; b c; {pair}; =; "'  # what other servers of this host may set
        for cookie in (pair, odd):
            assert door.status("/api/v1/status", **page, Cookie=cookie) == 200
        with connect(
            f"ws://127.0.0.1:{door.port}/_stcore/stream",
            additional_headers={"Cookie": pair},
            subprotocols=["streamlit"],  # type: ignore[list-item]
        ) as tab:
            assert door.status("/sign-out", Cookie=pair, Sec_Fetch_Site="cross-site") == 403
            assert door.status("/", Cookie=pair) == 200
            assert door.status("/sign-out", Cookie=pair) == 200
            tab.send(b"")
            with pytest.raises(ConnectionClosed) as closed:
                list(tab)
            assert closed.value.rcvd is not None
            assert closed.value.rcvd.reason == "signed out"
        assert door.status("/", Cookie=pair) == 401  # a copy of it too
        assert door.status("/api/v1/status", **page, Cookie=pair) == 401
        assert door.websocket(Cookie=pair) == 403


def test_under_a_base_path_all_lies_below_it(tmp_path: Path, project: Project) -> None:
    token = {"Authorization": f"Bearer {tokens.make(project, 'ann')}"}
    more = {"LABELLER_PROJECT": str(project.root), "LABELLER_LOGIN": "always"}
    with serve(tmp_path, "--server.baseUrlPath=/lab/", **more) as door:
        assert f":{door.port}/lab/sign-in?code=" in door.log.read_text()
        assert 'action="/lab/sign-in"' in door.ask("/lab/", {"Accept": "text/html"})[2]
        assert door.status("/lab/api/v1/health") == door.status("/lab/_stcore/health") == 401
        assert door.status("/lab/api/v1/status", **token) == 200
        link = f"/lab/sign-in?code={door.printed_code()}"
        _, answer, _ = door.ask(link)
        assert answer.getheader("Location") == "/lab/"
        cookie = answer.getheader("Set-Cookie") or ""
        assert "Path=/lab/" in cookie
        pair = cookie.partition(";")[0]
        for path in ("/lab/", "/lab/api/v1/health", "/lab/_stcore/health"):
            assert door.status(path, Cookie=pair) == 200, path


@pytest.mark.parametrize("base", ["/lab", pytest.param("", marks=pytest.mark.slow)])
def test_the_form_leads_into_pages_that_work_until_signed_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, base: str
) -> None:
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    project = queued_project(tmp_path / "animals", items=4, budget=10, side=64)
    arguments = ["--server.address=0.0.0.0", f"--server.baseUrlPath={base}"]
    with (
        browsers.shared() as chromium,
        serve(tmp_path, *arguments, LABELLER_PROJECT=str(project.root)) as door,
        closing(chromium.new_context()) as context,
    ):
        url = f"http://{own_address()}:{door.port}{base}"
        page, other = context.new_page(), context.new_page()
        page.goto(f"{url}/label")
        page.get_by_label("Code at the end of the link").fill("wrong")
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_role("alert")).to_contain_text("not good")
        page.get_by_label("Code at the end of the link").fill(door.printed_code())
        page.get_by_role("button", name="Sign in").click()
        expect(page.get_by_text("0000.jpg")).to_be_visible()
        page.keyboard.press("1")
        expect(page.get_by_text("1 of 4")).to_be_visible()
        expect(page.get_by_text("1 of 10 spent")).to_be_visible()
        other.goto(f"{url}/settings")
        other.get_by_role("link", name="Sign out").click()
        expect(other.get_by_role("status")).to_contain_text("signed out")
        page.keyboard.press("2")
        expect(page.get_by_text("Sign in at")).to_be_visible()
        page.goto(f"{url}/label")
        expect(page.get_by_role("button", name="Sign in")).to_be_visible()


def test_a_link_is_not_used_up_by_a_guess_nor_read_by_others(wide: Door) -> None:
    code = subprocess.run(
        [sys.executable, "-P", "-m", "labeller", "login"],
        env={**os.environ, "LABELLER_STATE": str(wide.state)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout.partition("code=")[2]
    link = f"/sign-in?code={code.strip()}"
    assert wide.ask(link, {"Sec-Purpose": "prefetch;prerender"})[0] == 503
    wrong = [wide.ask("/sign-in?code=x") for _ in range(32)]
    assert [wrong[0][0], wrong[-1][0]] == [403, 429]
    for _, answer, _ in wrong:
        assert answer.getheader("Cache-Control") == "no-store"
        assert "default-src 'none'" in (answer.getheader("Content-Security-Policy") or "")
    assert wide.ask(link)[0] == 303  # a good one works all the while


def test_of_many_who_use_a_code_at_once_one_gets_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path))
    for _ in range(20):
        code = codes.make_code()
        with ThreadPoolExecutor(8) as pool:
            assert sum(pool.map(codes.use_code, [code] * 8)) == 1


def test_a_state_folder_that_cannot_be_used_is_said(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    with serve(tmp_path, LABELLER_LOGIN="always") as door:
        assert "cannot be written" in door.log.read_text()
        status, _, text = door.ask("/", {"Cookie": "labeller_login_0=x"})
        assert status == 503
        assert "LABELLER_STATE" in text
        assert door.websocket(Cookie="labeller_login_0=x") == 403
        assert "Traceback" not in door.log.read_text()


@pytest.mark.parametrize("name", ["X-Forwarded-Proto", "X-Forwarded-Host", "Via", "True-Client-IP"])
def test_whatever_a_proxy_adds_makes_a_request_foreign(local: Door, name: str) -> None:
    assert local.ask("/", {name: "https"})[0] == 401


def test_at_home_no_state_folder_is_needed(tmp_path: Path) -> None:
    (tmp_path / "state").write_text("no folder")
    with serve(tmp_path) as door:
        for cookie in ("a=b", "labeller_login_0=x"):  # another server's of this machine
            assert door.status("/", Cookie=cookie) == 200
            assert door.websocket(Cookie=cookie) == 101
        assert "Traceback" not in door.log.read_text()


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_another_user_of_the_machine_gets_nothing() -> None:
    script = """
import os, sys, urllib.request, urllib.error
from pathlib import Path
try:  # before, as it loads modules that lie where the other may not read
    urllib.request.urlopen(sys.argv[1])
except urllib.error.HTTPError:
    os.setgroups([]); os.setgid(65534); os.setuid(65534)
for path in ("/", "/api/v1/health", "/api/v1/status", "/_stcore/host-config"):
    try:
        print(urllib.request.urlopen(sys.argv[1] + path).status)
    except urllib.error.HTTPError as error:
        print(error.code)
for file in map(Path, sys.argv[2:]):
    try:
        print(list(file.iterdir()) if file.is_dir() else file.read_bytes())
    except PermissionError:
        print("kept")
"""
    with (
        tempfile.TemporaryDirectory() as folder,  # those of pytest are closed to others as a whole
        serve(Path(folder), LABELLER_LOGIN="always") as door,
    ):
        Path(folder).chmod(0o755)
        project = create_project(Path(folder) / "birds", ["a"])
        project.root.chmod(0o755)
        sign_in(door)
        kept = [door.state / "sign-in", door.state / "sign-in.key", project.root / "secret.key"]
        url = f"http://127.0.0.1:{door.port}"
        said = subprocess.run(
            [sys.executable, "-c", script, url, *map(str, kept)],
            cwd="/",
            check=True,
            capture_output=True,
            text=True,
        ).stdout.split()
    assert said == ["401"] * 4 + ["kept"] * 3


def test_pages_of_other_ports_of_a_named_host_can_do_nothing() -> None:
    hosts = allowed_hosts("localhost", ["labels.example.org"])
    here = Host("localhost", 8501)

    def allows(origin: str) -> bool:
        found = parse_origin(origin)
        return found is not None and hosts.allows_origin(found, here, "http")

    assert allows("https://labels.example.org")
    assert allows("http://labels.example.org:8501")
    assert not allows("http://labels.example.org:9999")
    assert not allows("https://labels.example.org.evil.example")


def test_labeller_run_allows_named_hosts_and_tokens_need_no_cookie(
    tmp_path: Path, project: Project
) -> None:
    token = {"Authorization": f"Bearer {tokens.make(project, 'ann', scope='read')}"}
    arguments = [str(project.root), "--login=always", "--allow-host=labels.example.org"]
    with serve(tmp_path, *arguments, command="labeller") as door:
        assert door.status("/") == 401
        assert door.status("/api/v1/health") == 401
        assert door.status("/api/v1/status", **token) == 200
        named = {"Host": "labels.example.org"}
        assert door.status("/api/v1/status", **token, **named) == 200
        assert door.status("/api/v1/status", **token, Host="evil.example") == 403
        assert door.status("/sign-in", **named) == 200
        tls = {**named, "X-Forwarded-Proto": "https"}
        _, answer, _ = door.ask(f"/sign-in?code={door.printed_code()}", tls)
        assert "Secure" in (answer.getheader("Set-Cookie") or "")
        # The proxy took TLS off and passed the name on.
        origin = {**token, **named, "Origin": "https://labels.example.org"}
        assert door.ask("/api/v1/queue/claim", origin, "POST", "{}")[0] == 403  # by its scope
        assert "scope" in door.ask("/api/v1/queue/claim", origin, "POST", '{"session": "s"}')[2]


def test_a_project_that_asks_for_a_sign_in_gets_it_on_loopback(
    tmp_path: Path, project: Project
) -> None:
    with (project.root / "project.toml").open("a") as file:
        file.write('login = "always"\n')
    with serve(tmp_path, LABELLER_PROJECT=str(project.root)) as door:
        assert door.status("/") == 401
        assert door.websocket() == 403
        assert door.status(f"/sign-in?code={door.printed_code()}") == 303


@pytest.mark.parametrize(
    ("name", "value"),
    [("LABELLER_LOGIN", "Never"), ("LABELLER_LOGIN", "no"), ("LABELLER_ALLOWED_HOSTS", "a:80")],
)
def test_a_server_does_not_start_with_what_it_cannot_understand(
    tmp_path: Path, name: str, value: str
) -> None:
    with pytest.raises(RuntimeError, match=name) as said, serve(tmp_path, **{name: value}):
        pass
    assert value in str(said.value)
    assert "Traceback" not in str(said.value)


def test_never_is_said_loudly(tmp_path: Path) -> None:
    with serve(tmp_path, "--server.address=0.0.0.0", LABELLER_LOGIN="never") as door:
        assert door.status("/", Accept="text/html") == 200
        assert "WARNING: Nobody has to sign in here" in door.log.read_text()
        assert door.status("/", Host="evil.example") == 403
