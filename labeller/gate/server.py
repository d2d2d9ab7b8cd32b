"""How a server is reached: the address it listens on, who signs in, which hosts it answers to.

None of it is read from a folder that somebody else may have made: a project can ask for a sign-in,
never do without one.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import dataclass
from socket import gethostname
from typing import Literal, cast, get_args

from labeller.errors import ConfigError
from labeller.gate import sign_in
from labeller.gate.hosts import (
    EVERY_ADDRESS,
    AllowedHosts,
    Host,
    allowed_hosts,
    is_loopback_address,
)
from labeller.services import recent
from labeller.state import state_folder

LoginMode = Literal["auto", "always", "never"]
LOGIN = "LABELLER_LOGIN"
HOSTS = "LABELLER_ALLOWED_HOSTS"


@dataclass(frozen=True, slots=True)
class Server:
    """A server as it was started.

    Attributes
    ----------
    address : str or None
        What it listens on; None: on every address of the machine.
    port : int
        Where.
    login : {"auto", "always", "never"}
        Whether browsers have to sign in: in `auto` those that do not come over loopback, or to a
        server that hears more than loopback.
    hosts : AllowedHosts
        What it answers to.
    secure : bool
        Whether it speaks TLS by itself.
    base : str
        Path that all its pages lie under, with a slash before it and none behind; empty for none.
    """

    address: str | None
    port: int
    login: LoginMode
    hosts: AllowedHosts
    secure: bool = False
    base: str = ""

    @property
    def is_local(self) -> bool:
        """Whether it hears this machine alone."""
        return is_loopback_address(self.address)

    def needs_sign_in(self, foreign: bool) -> bool:
        """Whether a browser has to be signed in; `foreign`: its request came from elsewhere."""
        if any(project.settings.login == "always" for project in recent.list_open()):
            return True
        if self.login == "auto":
            return foreign or not self.is_local
        return self.login == "always"

    def addresses_of(self, path: str) -> list[str]:
        """Return the addresses under which a person reaches a path of this server."""
        names = ["localhost"]
        if not self.is_local:
            every = self.address is None or self.address in EVERY_ADDRESS
            names = ["localhost", gethostname()] if every else [str(self.address)]
        scheme = "https" if self.secure else "http"
        shown = [f"[{name}]" if ":" in name else name for name in names]
        return [f"{scheme}://{name}:{self.port}{self.base}{path}" for name in shown]


def describe_server(
    address: str | None,
    port: int,
    secure: bool = False,
    base: str = "",
    environment: Mapping[str, str] = os.environ,
) -> Server:
    """Return the server that listens on an address, with what the environment says about it.

    Raises
    ------
    ConfigError
        When ``LABELLER_LOGIN`` or ``LABELLER_ALLOWED_HOSTS`` says what cannot be.
    """
    login = environment.get(LOGIN, "auto") or "auto"
    if login not in get_args(LoginMode):
        choices = ", ".join(get_args(LoginMode))
        raise ConfigError(f"{LOGIN}: {login!r} is none of {choices}.")
    named = [name.strip() for name in environment.get(HOSTS, "").split(",") if name.strip()]
    for name in named:
        _check_name(name)
    return Server(
        address, port, cast("LoginMode", login), allowed_hosts(address, named), secure, base
    )


def _check_name(name: str) -> None:
    if name != "*" and (":" in name or "/" in name or name.removeprefix("*.").count("*")):
        raise ConfigError(
            f"{HOSTS}: {name!r} is no host. Write names without port, such as labels.example.org "
            f"or *.example.org, with commas between them."
        )


def warn_of_open_server(server: Server) -> str | None:
    """Return a warning where everybody on the network gets in; None where nobody does."""
    if server.login != "never" or server.is_local:
        return None
    return (
        "Nobody has to sign in here: everybody who can reach this server can read, label and "
        "delete in every project of this account. Start it with LABELLER_LOGIN=auto."
    )


def is_foreign(peer: str | None, own: str | None, host: Host, forwarded: bool) -> bool:
    """Whether a request came from elsewhere than this machine, as far as it shows.

    Parameters
    ----------
    peer, own : str or None
        Addresses of both ends of the connection.
    host : Host
        Whom the request calls this server.
    forwarded : bool
        Whether a proxy says that it passes the request on.
    """
    ends_here = all(end is None or is_loopback_address(end) for end in (peer, own))
    return forwarded or not ends_here or not host.is_loopback


def describe_way_in(server: Server) -> str:
    """Return what a server prints as it starts: a link to sign in with, or that nobody has to."""
    warning = warn_of_open_server(server)
    if warning is not None:
        return f"\n  WARNING: {warning}\n\n"
    if not server.needs_sign_in(foreign=False):
        return ""
    try:
        code = sign_in.make_code()
    except OSError as error:
        return (
            f"\n  Nobody can sign in: {state_folder()} cannot be written "
            f"({error.strerror or error}). Set LABELLER_STATE to a folder of yours.\n\n"
        )
    links = "\n  or ".join(server.addresses_of(f"/sign-in?code={code}"))
    return f"\n  Sign in with this link; it works once, within a day:\n  {links}\n\n"
