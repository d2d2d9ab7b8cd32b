"""Images, uploads and requests that would take the memory, the disk or the files of everybody."""

from __future__ import annotations

import asyncio
import hashlib
import os
import socket
import subprocess
import sys
import threading
import time
import zipfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import httpx
import psutil
import pytest
import uvicorn
from click.testing import CliRunner
from fastapi.testclient import TestClient
from PIL import Image, ImageFile

from labeller import tokens
from labeller.api import limits, patience
from labeller.api.app import create_api
from labeller.cli import cli
from labeller.decode_memory import estimate_bytes
from labeller.decode_room import ROOM, SPARE
from labeller.errors import ImageError, ImportSourceError
from labeller.imaging import FORMATS
from labeller.project import (
    Project,
    change_settings,
    create_project,
    is_readable_by_others,
    open_project,
)
from labeller.services import decoding, import_run, prediction_images, thumbnails, uploading
from labeller.services.importing import import_sources
from store.records import ItemRecord, NewItem
from tests.browser import RunningApp, start_app
from tests.faults import hostile_images
from tests.labeller.pictures import colours, encoded, folder_of

MB = 1_000_000
BUDGET_MB = 700
needs_proc = pytest.mark.skipif(not Path("/proc/self/status").exists(), reason="Linux tells peaks")


@pytest.fixture(autouse=True)
def own_state(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LABELLER_STATE", str(tmp_path / "state"))
    monkeypatch.delenv("LABELLER_PROJECT", raising=False)
    decoding.close_decoders()  # those of other tests have their state


@pytest.fixture
def project(tmp_path: Path) -> Project:
    return create_project(
        tmp_path / "p", ["a"], start_workers=False, decode_memory_mb=BUDGET_MB, workers=1
    )


def add_item(project: Project, name: str, data: bytes) -> ItemRecord:
    """Have an image in a project as if it had come in when more memory was allowed."""
    path = project.root / "images" / name
    path.write_bytes(data)
    with Image.open(path, formats=FORMATS) as image:
        (width, height), format_ = image.size, image.format or ""
    new = NewItem(
        sha256=hashlib.sha256(data).hexdigest(),
        path=f"images/{name}",
        copied=True,
        width=width,
        height=height,
        format=format_,
        bytes=len(data),
        group=name,
        split="train",
    )
    with project.store.write() as unit:
        (number,) = unit.items.add([new])
        return unit.items.many([number])[number]


def peak_of(process: int) -> int:
    """Return the most memory that a process had, in bytes."""
    lines = Path(f"/proc/{process}/status").read_text(encoding="ascii").splitlines()
    (line,) = [line for line in lines if line.startswith("VmHWM")]
    return int(line.split()[1]) * 1024


# ------------------------------------------------------------------ decoding


@contextmanager
def served(project: Project, tmp_path: Path) -> Iterator[tuple[RunningApp, httpx.Client]]:
    app = start_app(project.root, tmp_path / "server")
    headers = {"Authorization": f"Bearer {tokens.make(project, 'ann')}"}
    try:
        base = f"http://localhost:{app.port}/api/v1"
        with httpx.Client(base_url=base, headers=headers, timeout=120) as client:
            yield app, client
    finally:
        app.stop()


def show_all(project: Project, kinds: dict[str, bytes], tmp_path: Path) -> dict[str, list[int]]:
    """Ask a server for images, all at once, and for its health meanwhile; return the answers."""
    items = {name: add_item(project, name, data).id for name, data in kinds.items()}
    answers: dict[str, list[int]] = {name: [] for name in kinds}
    with served(project, tmp_path) as (app, client):
        assert app.process is not None
        server = psutil.Process(app.process.pid)
        before, most = peak_of(server.pid), [0]

        def ask(name: str) -> None:
            for size in ("thumb", "full"):
                answer = client.get(f"/items/{items[name]}/image", params={"size": size})
                answers[name].append(answer.status_code)
                if answer.status_code != 200:
                    assert answer.json()["detail"].strip()

        threads = [threading.Thread(target=ask, args=(name,)) for name in kinds]
        for thread in threads:
            thread.start()
        while any(thread.is_alive() for thread in threads):
            assert client.get("/health").status_code == 200
            for child in server.children(recursive=True):
                try:
                    most[0] = max(most[0], peak_of(child.pid))
                except (OSError, ValueError):
                    continue
            time.sleep(0.02)
        assert peak_of(server.pid) - before < 250 * MB
        assert most[0] < BUDGET_MB * MB + 300 * MB
    return answers


@needs_proc
def test_small_files_of_many_pixels_take_the_server_nothing(
    project: Project, tmp_path: Path
) -> None:
    kinds = {
        "rgb.png": hostile_images.png(11_000),
        "palette.png": hostile_images.png(10_000, 3),
        "deep.png": hostile_images.png(6_000, 2, 16),
        "photo.jpg": encoded(colours(900, 600), "JPEG"),
    }
    answers = show_all(project, kinds, tmp_path)
    assert answers["rgb.png"][0] == 200  # 605 MB
    assert answers["deep.png"] == [410, 410]  # 1,188 MB
    assert answers["photo.jpg"] == [200, 200]
    assert {one for some in answers.values() for one in some} <= {200, 410, 503}


@needs_proc
@pytest.mark.faults
def test_bombs_of_every_kind_take_the_server_nothing(project: Project, tmp_path: Path) -> None:
    kinds = {
        name.replace("-", "_") + ".img": make(9_000) for name, make in hostile_images.KINDS.items()
    }
    answers = show_all(project, kinds, tmp_path)
    assert {one for some in answers.values() for one in some} <= {200, 410, 503}
    assert sum(one == 200 for some in answers.values() for one in some) > len(kinds) // 2


PEAK = """
import sys, warnings
from pathlib import Path
import numpy
from labeller import imaging, stretching, perceptual_hash
warnings.simplefilter("ignore")
def peak():
    (line,) = [l for l in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in l]
    return int(line.split()[1]) * 1024
for way in ({"max_side": 256}, {"cover": 224}, {}):
    Path("/proc/self/clear_refs").write_text("5")
    before = peak()
    try:
        imaging.open_rgb(sys.argv[1], 10**9, **way)
    except imaging.ImageError:
        pass
    print(peak() - before)
"""


@needs_proc
@pytest.mark.parametrize("kind", hostile_images.KINDS)
def test_the_header_tells_how_much_memory_decoding_takes(kind: str, tmp_path: Path) -> None:
    file = tmp_path / "image"
    file.write_bytes(hostile_images.KINDS[kind](2_000))
    ran = subprocess.run(
        [sys.executable, "-c", PEAK, str(file)],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    for taken, side in zip(ran.stdout.split(), (256, 224, None), strict=True):
        with Image.open(file, formats=FORMATS) as image:
            size = image.size
            if side is not None:
                image.draft(None, (side, side))
            told = estimate_bytes(image, size, shrinks=side is not None)
        texts = 100 * MB if kind in ("png-text", "png-profile") else 0  # Pillow's own limits
        assert int(taken) <= told * 1.05 + 4 * MB + texts


CONFINED = """
import sys
from labeller import decode_memory, decode_room, imaging
decode_room.SPARE = 50_000_000
decode_room.confine_process(100_000_000)
imaging.estimate_bytes = lambda *_, **__: 0
try:
    imaging.open_rgb(sys.argv[1], 10**9)
except imaging.ImageError as error:
    print(error.reason, error.mend)
"""


@needs_proc
def test_a_header_that_lies_meets_the_limit_of_the_process(tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(hostile_images.png(9_000))
    ran = subprocess.run(
        [sys.executable, "-c", CONFINED, str(tmp_path / "a.png")],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=True,
    )
    assert "does not fit into the memory that decoding may take" in ran.stdout
    assert "decode_memory_mb" in ran.stdout
    assert SPARE < 2 << 30


@pytest.fixture
def no_decoding(monkeypatch: pytest.MonkeyPatch) -> None:
    """Have this process, which stands for the server's, unable to decode."""

    def refuse(_: ImageFile.ImageFile) -> None:
        raise AssertionError("the server decodes")

    monkeypatch.setattr(ImageFile.ImageFile, "load", refuse)


def test_the_server_decodes_nothing_itself(
    project: Project, tmp_path: Path, no_decoding: None
) -> None:
    items = [
        add_item(project, "plain.png", hostile_images.png(300)),
        add_item(project, "deep.png", hostile_images.png(300, 2, 16)),
        add_item(project, "photo.jpg", encoded(colours(2_000, 900), "JPEG")),
        add_item(project, "a.tif", encoded(colours(300, 200), "TIFF")),
    ]
    headers = {"Authorization": f"Bearer {tokens.make(project, 'ann')}"}
    with TestClient(create_api(), headers=headers) as client:
        for item in items:
            for size in ("thumb", "card", "full"):
                answer = client.get(f"/items/{item.id}/image?size={size}")
                assert answer.status_code == 200, answer.text
    data = encoded(colours(700, 500), "PNG")
    (tmp_path / "b.png").write_bytes(data)
    with zipfile.ZipFile(tmp_path / "c.zip", "w") as archive:
        archive.writestr("b.png", data)
    for name, entry in (("b.png", None), ("c.zip", "b.png")):
        place = prediction_images.Place(tmp_path / name, entry, len(data))
        made = prediction_images.picture(project, tmp_path / "pictures", name, place, "thumb")
        with Image.open(made) as image:
            assert image.size == (256, 183)


def decoders() -> list[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return [one for one in children if "decode_worker" in " ".join(one.cmdline())]


def test_a_process_that_dies_takes_nothing_along(project: Project) -> None:
    for number in range(3):
        item = add_item(project, f"{number}.tif", encoded(colours(300, 200 + number), "TIFF"))
        path, _ = thumbnails.thumbnail(project, item, "thumb")
        assert thumbnails.is_whole(path)
        killed = decoders()
        assert killed
        for process in killed:
            process.kill()
    decoding.close_decoders()
    assert not list(project.thumbnails.rglob(".*"))


def test_an_image_that_needs_more_than_the_budget_says_so(project: Project) -> None:
    item = add_item(project, "a.png", hostile_images.png(3_000, 2, 16))  # 297 MB
    project = change_settings(project, decode_memory_mb=200)
    with pytest.raises(ImageError, match="GB of memory to decode, more than the") as why:
        thumbnails.thumbnail(project, item, "thumb")
    assert "decode_memory_mb" in why.value.mend
    assert thumbnails.thumbnail(change_settings(project, decode_memory_mb=400), item, "thumb")


def test_what_finds_no_room_is_asked_again_later(
    project: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    item = add_item(project, "a.png", hostile_images.png(6_000))  # 180 MB: two slots of five
    monkeypatch.setattr(decoding, "PATIENCE", 0.3)
    headers = {"Authorization": f"Bearer {tokens.make(project, 'ann')}"}
    ROOM.limit(BUDGET_MB)
    with TestClient(create_api(), headers=headers) as client:
        with ROOM.taken(600 * MB, "another"):
            refused = client.get(f"/items/{item.id}/image?size=thumb")
        assert refused.status_code == 503
        assert "other large images" in refused.json()["detail"]
        assert int(refused.headers["Retry-After"]) > 0
        assert client.get(f"/items/{item.id}/image?size=thumb").status_code == 200
    ROOM.limit(0)


# ------------------------------------------------------------------ requests


@pytest.fixture
def port(project: Project) -> Iterator[int]:
    """The port of the API as it is served."""
    config = uvicorn.Config(create_api(), port=0, log_level="critical", lifespan="off")
    server = uvicorn.Server(config)
    thread = threading.Thread(target=server.run, daemon=True)
    thread.start()
    while not server.started:
        thread.join(0.01)
    yield server.servers[0].sockets[0].getsockname()[1]
    server.should_exit = server.force_exit = True
    thread.join(10)


@pytest.fixture
def token(project: Project) -> str:
    return tokens.make(project, "ann")


def begin(port: int, token: str, path: str, *headers: str, body: bytes = b"") -> socket.socket:
    """Send the head of a request, and perhaps a part of its body."""
    connection = socket.create_connection(("127.0.0.1", port), timeout=30)
    lines = [f"POST {path} HTTP/1.1", "Host: localhost", f"Authorization: Bearer {token}", *headers]
    connection.sendall("\r\n".join([*lines, "", ""]).encode() + body)
    return connection


def answer_of(connection: socket.socket) -> bytes:
    """Return what comes until the server ends the connection."""
    data = b""
    with closing(connection):
        while piece := connection.recv(65_536):
            data += piece
    return data


FORM = "Content-Type: multipart/form-data; boundary=b"
PART = b'--b\r\nContent-Disposition: form-data; name="images"; filename="a.png"\r\n\r\n'


def test_half_sent_requests_end_and_keep_nobody_out(
    port: int, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "IDLE_SECONDS", 2.0)
    length = "Content-Length: 90000"
    stalled = [begin(port, token, "/predict", FORM, length, body=PART) for _ in range(20)]
    stalled.append(begin(port, token, "/items", FORM, length, body=PART))
    json_ = "Content-Type: application/json"
    stalled.append(begin(port, token, "/labels", json_, length, body=b'{"session": "'))
    time.sleep(0.3)
    whole = PART + b"x\r\n--b--\r\n"
    asked = begin(
        port, token, "/predict", FORM, "Connection: close", f"Content-Length: {len(whole)}",
        body=whole,
    )  # fmt: skip
    assert b" 409 " in answer_of(asked).splitlines()[0]  # there is no model yet: it had its turn
    for connection in stalled:
        answer = answer_of(connection)
        assert b" 408 " in answer.splitlines()[0]
        assert b"did not come on" in answer


def test_a_body_that_trickles_ends_too(
    port: int, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(patience, "GRACE_SECONDS", 0.5)
    monkeypatch.setattr(patience, "LEAST_RATE", 1_000_000)
    connection = begin(port, token, "/items", FORM, "Content-Length: 90000", body=PART)
    trickling = threading.Event()

    def trickle() -> None:
        while not trickling.wait(0.05):
            try:
                connection.sendall(b"x")
            except OSError:
                return

    thread = threading.Thread(target=trickle)
    thread.start()
    try:
        assert b" 408 " in connection.recv(65_536)
    finally:
        trickling.set()
        thread.join()
        connection.close()


def test_an_upload_that_says_two_lengths_is_no_way_around_the_limit(
    port: int, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_UPLOAD_BYTES", 1_000)
    body = PART + b"x" * 4_000 + b"\r\n--b--\r\n"
    pieces = b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
    chunked = ("Transfer-Encoding: chunked", "Connection: close")
    for lengths in ((), ("Content-Length: 200",), ("Content-Length: 999",)):
        asked = begin(port, token, "/items", FORM, *lengths, *chunked, body=pieces)
        assert int(answer_of(asked).split()[1]) in (400, 411, 413)
    said = begin(port, token, "/items", FORM, f"Content-Length: {len(body)}", "Connection: close")
    assert b" 413 " in answer_of(said).splitlines()[0]


def test_what_sends_more_than_it_said_is_ended(token: str) -> None:
    """As a server would pass it on that does not count itself."""
    scope = {
        "type": "http",
        "method": "POST",
        "path": "/items",
        "raw_path": b"/items",
        "query_string": b"",
        "root_path": "",
        "headers": [
            (b"content-length", b"100"),
            (b"content-type", b"multipart/form-data; boundary=b"),
            (b"authorization", f"Bearer {token}".encode()),
        ],
    }
    pieces, sent = iter([PART, *[b"x" * 1_000] * 1_000]), []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": next(pieces), "more_body": True}

    async def send(message: Any) -> None:
        sent.append(message)

    asyncio.run(create_api()(scope, receive, send))
    assert sent[0]["status"] == 413
    assert next(pieces), "the rest was not read"


def test_all_uploads_together_have_a_limit(
    project: Project, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(limits, "MOST_RECEIVED_BYTES", 50_000)
    headers = {"Authorization": f"Bearer {token}"}
    with TestClient(create_api(), headers=headers) as client:
        large = client.post("/items", files=[("images", ("a.png", bytes(60_000)))])
        assert large.status_code == 503
        assert int(large.headers["Retry-After"]) > 0
        data = encoded(colours(40, 40), "PNG")
        small = client.post("/items", files=[("images", ("a.png", data))])
        assert small.status_code == 202, "what was refused is not counted any more"


def test_what_waits_for_its_import_has_a_limit(
    project: Project, token: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encoded(colours(40, 40), "PNG")
    monkeypatch.setattr(uploading, "MOST_WAITING_BYTES", 2 * len(data))
    monkeypatch.setattr("labeller.services.watching.ensure", lambda _project: None)
    headers = {"Authorization": f"Bearer {token}"}
    with TestClient(create_api(), headers=headers) as client:
        answers = [client.post("/items", files=[("images", (f"{n}.png", data))]) for n in range(3)]
    assert [answer.status_code for answer in answers] == [202, 202, 507]
    assert "wait for their import" in answers[2].json()["detail"]
    assert len(list((project.root / "arrivals").rglob("*.png"))) == 2


@pytest.mark.parametrize("path", ["/items", "/predict"])
def test_a_disk_that_is_nearly_full_is_said_before_anything_is_read(
    project: Project, token: str, path: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=1_000))
    with TestClient(create_api(), headers={"Authorization": f"Bearer {token}"}) as client:
        answer = client.post(path, files=[("images", ("a.png", b"x"))])
    assert answer.status_code == 507
    assert "Free some space" in answer.json()["detail"]


# --------------------------------------------------------------------- files


def run_with_few_files(script: str, *arguments: str, files: int = 64) -> str:
    limited = f"import resource; resource.setrlimit(resource.RLIMIT_NOFILE, ({files}, {files}))\n"
    ran = subprocess.run(
        [sys.executable, "-c", limited + script, *arguments],
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        check=False,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout


OPEN_ALL = """
import os, sys
from labeller import imaging, project
from labeller.errors import LabellerError
opened = project.open_project(sys.argv[1])
opened.store.close()
held = []
try:
    while True:
        held.append(os.open(os.devnull, os.O_RDONLY))
except OSError:
    pass
try:
    imaging.open_rgb(sys.argv[2], 10**9)
except LabellerError as error:
    print(type(error).__name__, error, error.mend)
try:
    with opened.store.read() as unit:
        unit.items.count()
except Exception as error:
    print(error)
"""


def test_too_many_open_files_are_said(project: Project, tmp_path: Path) -> None:
    (tmp_path / "a.png").write_bytes(encoded(colours(), "PNG"))
    said = run_with_few_files(OPEN_ALL, str(project.root), str(tmp_path / "a.png")).splitlines()
    assert said[0].startswith("TooManyOpenFiles too many files are open")
    assert all("ulimit -n" in line for line in said)
    assert len(said) == 2


IMPORT_WITH_NO_FILE_LEFT = """
import resource
from labeller.services import import_worker
examine = import_worker._examined
def late(request, config):
    resource.setrlimit(resource.RLIMIT_NOFILE, (3, 3))
    return examine(request, config)
import_worker._examined = late
import_worker.main()
"""


def test_an_import_takes_no_image_for_damaged_where_files_run_out(
    project: Project, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source = folder_of(tmp_path / "photos", 5)
    with monkeypatch.context() as patch:
        command = (sys.executable, "-c", IMPORT_WITH_NO_FILE_LEFT)
        patch.setattr(import_run, "COMMAND", command)
        with pytest.raises(ImportSourceError, match="ulimit -n"):
            import_sources(project, [source])
    report = import_sources(project, [source])
    assert (report.added, report.failed) == (5, 0)


def test_the_server_raises_its_limit_of_open_files(project: Project, tmp_path: Path) -> None:
    resource: Any = pytest.importorskip("resource")
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    in_use = psutil.Process().num_fds()  # of the tests before
    resource.setrlimit(resource.RLIMIT_NOFILE, (max(1_024, in_use + 256), hard))
    try:
        with served(project, tmp_path) as (app, _):
            assert app.process is not None
            got = psutil.Process(app.process.pid).rlimit(psutil.RLIMIT_NOFILE)
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, (soft, hard))
    assert got[0] == min(65_536, hard)


# --------------------------------------------------------------- permissions


def modes(folder: Path) -> dict[str, int]:
    return {path.name: path.stat().st_mode & 0o777 for path in [folder, *folder.iterdir()]}


@pytest.mark.parametrize("umask", [0o000, 0o022, 0o002])
@pytest.mark.parametrize("there", [False, True])
def test_a_new_project_is_private(tmp_path: Path, umask: int, there: bool) -> None:
    old = os.umask(umask)
    try:
        if there:
            (tmp_path / "mine").mkdir()
        project = create_project(tmp_path / "mine", ["a"])
        change_settings(project, batch=7)
        with project.store.write() as unit:
            unit.budget.set_total(5)
            found = modes(project.root)
    finally:
        os.umask(old)
    files = {"project.toml", "secret.key", "labeller.db", "labeller.db-wal", "labeller.db-shm"}
    assert files <= set(found)
    for name, mode in found.items():
        assert mode == (0o600 if name in files else 0o700), name


def test_a_project_that_is_shared_stays_shared_and_says_so(tmp_path: Path) -> None:
    project = create_project(tmp_path / "ours", ["a"])
    assert not is_readable_by_others(project)
    project.root.chmod(0o770)
    (project.root / "project.toml").chmod(0o660)
    project = change_settings(open_project(project.root), batch=9)
    assert modes(project.root)["project.toml"] == 0o660
    assert is_readable_by_others(project)
    ran = CliRunner().invoke(cli, ["status", str(project.root)])
    assert "other accounts can enter the folder" in ran.output
