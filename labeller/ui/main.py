"""Every page begins here: page set-up, navigation and the side bar."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from labeller.errors import LabellerError
from labeller.gate.server import warn_of_open_server
from labeller.project import Project
from labeller.services import watching
from labeller.ui import address, opened, session, sidebar
from labeller.ui.running import running_server
from labeller.ui.text import escape_markdown
from store.errors import StoreError

HERE = Path(__file__).parent
ABOUT = "An active-learning workbench for labelling images: your labels, where they teach the most."
# Pages without a section have their own place in the bar; the others share a menu.
SECTIONS = {
    "": {
        "label": ("Label", "ads_click"),
        "images": ("Images", "photo_library"),
        "review": ("Review", "rule"),
        "rounds": ("Rounds", "trending_up"),
        "evaluation": ("Evaluation", "fact_check"),
    },
    "Strategies": {
        "stream": ("Stream", "stream"),
        "synthesis": ("Synthesis", "auto_awesome"),
        "replay": ("Replay", "replay"),
    },
    "Project": {
        "predict": ("Predict", "batch_prediction"),
        "models": ("Models", "deployed_code"),
        "classes": ("Classes", "sell"),
        "export": ("Export", "download"),
        "settings": ("Settings", "tune"),
    },
}
# What a project that can only be read shows.
READ_ONLY = ("images", "rounds", "evaluation", "models", "export")
PAGES = {name: page for pages in SECTIONS.values() for name, page in pages.items()}
FIRST = "label"
PRODUCT = "Labeller"


def show() -> None:
    """Draw the page that the address names: without a project, always the start page."""
    st.set_page_config(
        page_title=PRODUCT,
        # An icon of our own: Streamlit would fetch a Material one from a network.
        page_icon=str(HERE / "icon.svg"),
        layout="wide",
        menu_items={"About": ABOUT},
    )
    st.logo(str(HERE / "logo.svg"), size="large", icon_image=str(HERE / "icon.svg"))
    if warning := warn_of_open_server(running_server()):
        st.error(warning, icon=":material/lock_open:")
    project = session.current_project()
    address.watch_steps(project.id if project else "")
    if project is None:
        address.leave()
        _navigation_without_project().run()
        return
    if project.is_read_only:
        _show_read_only(project)
        return
    watching.ensure(project)
    pages = {
        name: st.Page(
            _file(name),
            title=title,
            icon=f":material/{icon}:",
            default=name == FIRST,
            # The first page's address is "/": its own name is left to the alias.
            url_path="first" if name == FIRST else name,
        )
        for name, (title, icon) in PAGES.items()
    }
    alias = st.Page(_file(FIRST), title=PAGES[FIRST][0], url_path=FIRST, visibility="hidden")
    shown = {title: [pages[name] for name in names] for title, names in SECTIONS.items()}
    shown[""].append(alias)
    chosen = st.navigation(shown, position="top")
    target = session.pop_target()
    if target:
        st.switch_page(pages[target])
    name = FIRST if chosen is alias else chosen.url_path or FIRST
    st.set_page_config(page_title=f"{chosen.title} · {project.name} · {PRODUCT}")
    opened.turn_to(name)
    address.turn_to(project.id, name)
    sidebar.show(project, toasts=name != FIRST)
    _run(chosen)
    address.write(whole=True)


def _run(page: st.Page) -> None:
    """Draw a page; what it cannot read or write is said in its place."""
    try:
        page.run()
    except (LabellerError, StoreError) as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")


def _show_read_only(project: Project) -> None:
    """Draw the pages that change nothing; every other address shows the first of them."""
    hidden = [name for name in PAGES if name not in READ_ONLY]
    pages = [
        st.Page(
            _file(name),
            title=PAGES[name][0],
            icon=f":material/{PAGES[name][1]}:",
            default=name == READ_ONLY[0],
            url_path="first" if name == READ_ONLY[0] else name,
        )
        for name in READ_ONLY
    ]
    others = [
        st.Page(_file(READ_ONLY[0]), title=PAGES[READ_ONLY[0]][0], url_path=n, visibility="hidden")
        for n in (*hidden, READ_ONLY[0])
    ]
    chosen = st.navigation([*pages, *others], position="top")
    name = chosen.url_path if chosen.url_path in READ_ONLY else READ_ONLY[0]
    st.set_page_config(page_title=f"{chosen.title} · {project.name} · {PRODUCT}")
    opened.turn_to(name)
    address.turn_to(project.id, name)
    sidebar.show_read_only(project)
    st.warning(escape_markdown(project.store.read_only), icon=":material/lock:")
    _run(chosen)
    address.write(whole=True)


def _navigation_without_project() -> st.Page:
    """Let every address show the start page; a link to a project that is gone ends there."""
    st.set_page_config(page_title=f"Projects · {PRODUCT}")
    first = st.Page(_file("start"), title="Projects", default=True)
    others = [
        st.Page(_file("start"), title="Projects", url_path=name, visibility="hidden")
        for name in PAGES
    ]
    return st.navigation([first, *others], position="hidden")


def _file(name: str) -> Path:
    return HERE / "pages" / f"{name}.py"


show()
