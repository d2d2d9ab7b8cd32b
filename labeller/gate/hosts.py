"""Which ``Host`` a request may name, and which ``Origin`` it may come from.

A foreign page whose name is made to point at this machine (DNS rebinding) sends its own name as
``Host``; another page in the same browser sends its own ``Origin``.
"""

from __future__ import annotations

import ipaddress
import socket
from collections.abc import Sequence
from dataclasses import dataclass
from urllib.parse import urlsplit

EVERY_ADDRESS = ("", "0.0.0.0", "::")  # noqa: S104 - compared, not bound to
_STANDARD_PORTS = {"http": 80, "https": 443, "ws": 80, "wss": 443}


@dataclass(frozen=True, slots=True)
class Host:
    """A host as a header names it: lower case, without brackets and without a final dot."""

    name: str
    port: int | None = None

    @property
    def is_loopback(self) -> bool:
        """Whether only this machine means itself by it."""
        if self.name == "localhost" or self.name.endswith(".localhost"):
            return True
        address = parse_address(self.name)
        return address is not None and address.is_loopback

    @property
    def is_address(self) -> bool:
        """Whether it is a number, which no foreign name server can point elsewhere."""
        return parse_address(self.name) is not None


def parse_address(name: str) -> ipaddress.IPv4Address | ipaddress.IPv6Address | None:
    """Return the IP address that a text is, None for any other; IPv4 in IPv6 becomes IPv4."""
    try:
        address = ipaddress.ip_address(name.partition("%")[0])
    except ValueError:
        return None
    return getattr(address, "ipv4_mapped", None) or address


def parse_host(header: str) -> Host | None:
    """Return the host that a header names; None when it names none."""
    if not header or header != header.strip() or any(sign in header for sign in "/\\@?#, "):
        return None
    try:
        parts = urlsplit(f"//{header}")
        name, port = parts.hostname, parts.port
    except ValueError:
        return None
    return Host(name.removesuffix("."), port) if name else None


def parse_origin(header: str) -> Host | None:
    """Return the host of an ``Origin``, with the port that its scheme stands for."""
    scheme, separator, rest = header.partition("://")
    host = parse_host(rest) if separator else None
    if host is None:
        return None
    return Host(host.name, host.port or _STANDARD_PORTS.get(scheme.lower()))


def is_loopback_address(address: str | None) -> bool:
    """Whether a server that listens on `address` hears this machine alone; None: on all."""
    if not address:
        return False
    host = parse_host(f"[{address}]" if ":" in address else address)
    return host is not None and host.is_loopback


def own_names(address: str | None) -> frozenset[str]:
    """Return the names by which a server that listens on `address` may be called.

    Loopback names and bare IP addresses go without saying.
    """
    if is_loopback_address(address):
        return frozenset()
    names = {socket.gethostname(), socket.getfqdn(), address or ""} - set(EVERY_ADDRESS)
    return frozenset(name.lower().removesuffix(".") for name in names if name)


@dataclass(frozen=True, slots=True)
class AllowedHosts:
    """The hosts that a server answers to.

    `names` are exact; one that begins with ``*.`` stands for every name that ends so, ``*`` for
    all. `addresses` says whether bare IP addresses other than loopback's are answered.
    """

    names: frozenset[str]
    addresses: bool

    def allows(self, host: Host) -> bool:
        """Whether a request may name this host."""
        if host.is_loopback or (self.addresses and host.is_address):
            return True
        return self.lists(host)

    def lists(self, host: Host) -> bool:
        """Whether the person named this host."""
        name = host.name
        suffixes = (entry[1:] for entry in self.names if entry.startswith("*."))
        return "*" in self.names or name in self.names or name.endswith(tuple(suffixes))

    def allows_origin(self, origin: Host, host: Host, scheme: str) -> bool:
        """Whether a page of `origin` may act on the server that it calls `host`."""
        port = host.port or _STANDARD_PORTS.get(scheme)
        if origin.name != host.name:
            # A proxy that calls this server by another name. Pages on other ports of a named host
            # may be another person's.
            listed = "*" not in self.names and self.lists(origin)
            return listed and origin.port in (80, 443, port)
        # A proxy that takes TLS off leaves the host's name, and no port of its own.
        return origin.port == port or (host.port is None and origin.port in (80, 443))


def allowed_hosts(address: str | None, named: Sequence[str]) -> AllowedHosts:
    """Return the hosts that a server on `address` answers to, `named` by the person included."""
    names = {name.strip().lower().removesuffix(".") for name in named if name.strip()}
    return AllowedHosts(own_names(address) | names, not is_loopback_address(address))
