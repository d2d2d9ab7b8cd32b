"""The server that shows these pages, as Streamlit was told to start it."""

from __future__ import annotations

from functools import cache

import streamlit as st
from streamlit import config

from labeller.errors import LabellerError
from labeller.gate import sign_in
from labeller.gate.server import Server, describe_server
from labeller.project import Project


@cache
def running_server() -> Server:
    """Return the server; its port is known once it listens."""
    return describe_server(
        config.get_option("server.address"),
        int(config.get_option("server.port")),
        bool(config.get_option("server.sslCertFile")),
        base_path(),
    )


def base_path() -> str:
    """Return the path that all pages lie under, with a slash before it; empty for none."""
    path = str(config.get_option("server.baseUrlPath") or "").strip("/")
    return f"/{path}" if path else ""


def is_signed_in() -> bool:
    """Whether the browser that draws this page brought a sign-in."""
    try:
        cookie = sign_in.find_cookie(st.context.cookies.to_dict())
        return bool(cookie) and sign_in.check_cookie(cookie)
    except OSError:
        return False  # the middleware says why


def check_sign_in(project: Project) -> None:
    """Refuse a project that asks for a sign-in to a browser that came in without one.

    Raises
    ------
    LabellerError
        With what to do.
    """
    if project.settings.login == "always" and not is_signed_in():
        raise LabellerError(
            f"{project.name}: asks for a sign-in. Run `labeller login`, open the link that it "
            f"prints, and open the project again."
        )
