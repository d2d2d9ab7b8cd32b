"""First screen: the demo, a new project from a folder, an existing one, recent ones."""

from __future__ import annotations

from labeller.ui import session, start

start.show(session.open_error())
