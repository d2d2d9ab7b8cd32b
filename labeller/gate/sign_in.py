"""One-time links and the cookie that they are exchanged for.

Both are this user's alone: what they are checked against lies in the user's state folder, which
nobody else can read. So a server need not run to make a link for it, and a restart keeps everybody
signed in.
"""

from __future__ import annotations

import hashlib
import os
import secrets
import time
from collections.abc import Mapping
from pathlib import Path

from itsdangerous import BadData, URLSafeTimedSerializer

from labeller.state import state_folder
from store.durable import write_whole
from store.scratch import begin_scratch

CODE_SECONDS = 24 * 3600.0
COOKIE_SECONDS = 30 * 24 * 3600
COOKIE = "labeller_login_"
_CODES = "sign-in"
_ENDED = "signed-out"
_KEY = "sign-in.key"
_SALT = "labeller-sign-in-v1"
_KEY_BYTES = 32


def make_code(seconds: float = CODE_SECONDS) -> str:
    """Return a fresh code that signs one browser in, once.

    Parameters
    ----------
    seconds : float
        How long it is good for.

    Raises
    ------
    OSError
        When the state folder cannot be written.
    """
    code = secrets.token_urlsafe(32)
    folder = _private_folder(_CODES)
    _forget_old(folder)
    write_whole(folder / _digest(code), f"{time.time() + seconds:.0f}", 0o600)
    return code


def use_code(code: str) -> bool:
    """Whether a code is good; it is not any more afterwards."""
    file = state_folder() / _CODES / _digest(code)
    try:
        until = float(file.read_text(encoding="ascii"))
        file.unlink()  # of two that come at once, one finds nothing to delete
    except (OSError, ValueError):
        return False
    return time.time() < until


def make_cookie() -> str:
    """Return the value of a cookie for a browser that is let in."""
    return str(_serializer().dumps(secrets.token_hex(8)))


def check_cookie(value: str) -> bool:
    """Whether a cookie lets its browser in."""
    number = _number(value)
    return number is not None and not (state_folder() / _ENDED / _digest(number)).exists()


def find_cookie(cookies: Mapping[str, str]) -> str:
    """Return the sign-in among a browser's cookies; empty when it has none."""
    if not any(name.startswith(COOKIE) for name in cookies):
        return ""  # no key is made for it
    return cookies.get(cookie_name(), "")


def end_cookie(value: str) -> None:
    """Sign one browser out: its cookie is not good any more, whoever kept a copy.

    Raises
    ------
    OSError
        When the state folder cannot be written.
    """
    number = _number(value)
    if number is None:
        return
    folder = _private_folder(_ENDED)
    _forget_old(folder)
    write_whole(folder / _digest(number), f"{time.time() + COOKIE_SECONDS:.0f}", 0o600)


def _number(value: str) -> str | None:
    """Return what a cookie that is signed and not too old holds: its number."""
    try:
        number = _serializer().loads(value, max_age=COOKIE_SECONDS)
    except BadData:
        return None
    return number if isinstance(number, str) else None


def cookie_name() -> str:
    """Return the cookie's name; servers of several users on one host each have their own."""
    return f"{COOKIE}{hashlib.sha256(_key()).hexdigest()[:8]}"


def end_all() -> None:
    """Sign every browser out, and have the codes that wait forgotten."""
    write_whole(_private_folder("") / _KEY, secrets.token_bytes(_KEY_BYTES), 0o600)
    for file in (state_folder() / _CODES).glob("*"):
        file.unlink(missing_ok=True)


def _serializer() -> URLSafeTimedSerializer:
    return URLSafeTimedSerializer(_key().hex(), salt=_SALT)


def _key() -> bytes:
    """Return the key that signs cookies, made on first use."""
    file = state_folder() / _KEY
    try:
        key = file.read_bytes()
    except FileNotFoundError:
        key = b""
    if len(key) >= _KEY_BYTES:
        return key
    key = secrets.token_bytes(_KEY_BYTES)
    scratch = begin_scratch(_private_folder("") / _KEY)
    write_whole(scratch, key, 0o600)
    try:
        if file.exists():  # cut short: no cookie is signed by it
            scratch.replace(file)
        else:
            os.link(scratch, file)  # of two servers that start at once, one wins
    except FileExistsError:
        return file.read_bytes()
    finally:
        scratch.unlink(missing_ok=True)
    return key


def _private_folder(name: str) -> Path:
    folder = state_folder() / name
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    if name:
        folder.chmod(0o700)  # whoever made it, and under whatever umask
    return folder


def _forget_old(folder: Path) -> None:
    for file in folder.glob("*"):
        try:
            over = float(file.read_text(encoding="ascii")) < time.time()
        except (OSError, ValueError):
            over = not file.name.startswith(".")
        if over:
            file.unlink(missing_ok=True)


def _digest(code: str) -> str:
    """Return the name of a code's file: who reads the folder's names learns no code."""
    return hashlib.sha256(code.encode("utf-8", "surrogatepass")).hexdigest()
