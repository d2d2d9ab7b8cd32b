"""The workbench: ``streamlit run app.py`` serves the pages and, under /api/v1, the API."""

from __future__ import annotations

# ruff: noqa: E402 - ``python -m streamlit`` searches the folder it stands in for what follows
from labeller.processes import forget_working_folder

forget_working_folder()

import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import streamlit as st
from starlette.middleware import Middleware
from starlette.routing import Mount
from streamlit.runtime.pages_manager import PagesManager

from labeller import jobs
from labeller.api.app import create_api
from labeller.api.patience import Patience
from labeller.errors import LabellerError
from labeller.gate.middleware import Gate
from labeller.gate.server import describe_server, describe_way_in
from labeller.open_files import raise_open_files
from labeller.services import decoding, recent, watching
from labeller.ui.first_view import FirstView
from labeller.ui.running import base_path, running_server
from store.errors import StoreError


@asynccontextmanager
async def lifespan(_app: st.App) -> AsyncIterator[None]:
    """Say how to sign in, and open the project that LABELLER_PROJECT names.

    Its errors show before the first page.
    """
    raise_open_files()
    decoding.warm_decoders()
    if folder := os.environ.get("LABELLER_PROJECT"):
        try:
            project = recent.opened(folder)
            jobs.reap(project)
            watching.ensure(project)
        except (LabellerError, StoreError) as error:
            sys.stderr.write(f"{error}\n")
    sys.stderr.write(describe_way_in(running_server()))
    yield


try:
    describe_server(None, 0)  # later there would be a traceback around what it says
except LabellerError as error:
    sys.exit(str(error))


# Else a first visit to, say, /images would run pages/images.py alone, without main.py around it.
PagesManager.uses_pages_directory = False
app = st.App(
    "labeller/ui/main.py",
    routes=[Mount(f"{base_path()}/api/v1", create_api())],
    middleware=[Middleware(Patience), Middleware(Gate, running_server), Middleware(FirstView)],
    lifespan=lifespan,
)
