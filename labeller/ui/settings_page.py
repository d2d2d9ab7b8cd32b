"""The settings page: the budget with its ledger, and a form made from `config.Settings`."""

from __future__ import annotations

import os
import time
from dataclasses import fields
from html import escape
from typing import Any, get_args

import streamlit as st

from labeller import tokens
from labeller.config import FILE, ResizeMethod, Settings
from labeller.errors import LabellerError
from labeller.project import Project, change_settings, is_readable_by_others
from labeller.services import budget
from labeller.services.backbone_names import KNOWN
from labeller.services.budget import amount
from labeller.ui import backbone_change, backup_panel, mixture_editor, session, view
from labeller.ui.running import base_path, is_signed_in
from labeller.ui.text import escape_markdown
from store.errors import StoreError
from store.records_budget import LedgerRecord
from strategies import registry

GROUPS: dict[str, tuple[str, ...]] = {
    "Project": ("name", "label_price", "synthetic_price"),
    "Rounds": (
        "strategy",
        "batch",
        "distinct_distance",
        "resize_method",
        "training",
        "class_weights",
        "label_smoothing",
        "keep",
        "patience",
        "training_examples",
        "mirror",
        "committee",
        "soft_voting",
        "train_on_generated",
        "device",
        "backbone",
        "seed",
    ),
    "Splits": ("audit_share", "valid_share", "split_method", "leak_distance"),
    "Labelling": ("second_opinions", "key_interval_ms", "lease_seconds"),
    "Images": ("watch_folder", "card_pixels", "thumbnail_pixels", "max_image_pixels"),
    "Machine": ("workers", "decode_memory_mb", "start_workers"),
    "Keeping": ("models_kept", "exports_days", "logs_days"),
    "Access": ("login", "token_hours", "token_days"),
}
FIXED = ("id", "database")
ELSEWHERE = (mixture_editor.SETTING,)  # settings with an editor of their own
NOTES = {
    "Splits": "Shares hold for images imported from now on: an image keeps the split it has, so "
    "that what was audited stays audited.",
    "Project": "Prices count for labels given and synthetic items made from now on.",
}
LEDGER = {"set": "Budget set", "spend": "Label", "refund": "Undo"}
_LEDGER_ROWS = 200


def choices(name: str) -> tuple[str, ...] | None:
    """Return the values that a setting can have, when they are few."""
    return {
        "strategy": registry.names("pool"),
        "training": ("auto", "features", "fine_tune", "progressive"),
        "class_weights": ("none", "balanced"),
        "keep": ("last", "best"),
        "split_method": ("hash", "stratified"),
        "device": ("auto", "cpu", "cuda"),
        "login": ("auto", "always"),
        "resize_method": get_args(ResizeMethod),
        backbone_change.SETTING: tuple(KNOWN),
    }.get(name)


def title(name: str) -> str:
    """Return a setting's name as people read it."""
    text = name.replace("_", " ")
    return f"{text[:1].upper()}{text[1:]}".replace(" ms", " (ms)").replace(" mb", " (MB)")


def groups() -> dict[str, tuple[str, ...]]:
    """Return every setting that can be changed, by group; ones nobody grouped come last."""
    grouped = {name for names in GROUPS.values() for name in names}
    done = {*grouped, *FIXED, *ELSEWHERE}
    rest = tuple(f.name for f in fields(Settings) if f.name not in done)
    return GROUPS | ({"Other": rest} if rest else {})


def show(project: Project) -> None:
    """Draw the page."""
    st.title("Settings")
    left, right = st.columns(2, gap="medium")
    with left:
        _budget(project)
    listed = list(groups().items())
    for number, (name, names) in enumerate(listed):
        with right if number < 3 else left:
            _group(project, name, names)
            if name == "Rounds":
                mixture_editor.show(project)
    with right:
        _token(project)
        backup_panel.show(project)
        if is_signed_in():
            _sign_out()
    st.caption(
        f"Kept in {escape_markdown(str(project.root / FILE))} · project {project.id[:8]} · "
        f"{escape_markdown(project.store.dialect)}"
    )
    if is_readable_by_others(project):
        st.caption(
            "Other accounts of this machine can enter the project's folder. Unless they should: "
            "`chmod 700` it."
        )


def _budget(project: Project) -> None:
    """Set the budget; below it, where it went."""
    now = budget.meter(project)
    with st.container(border=True):
        st.subheader("Budget")
        with st.form("budget", border=False):
            total = st.number_input(
                "Total",
                min_value=0.0,
                value=max(now.spent, 1000.0) if now.total is None else now.total,
                step=100.0,
                format="%g",
                key=f"budget_total_{now.total}",
                help="What is spent is part of it.",
            )
            unlimited = st.toggle(
                "No limit", value=now.total is None, key=f"budget_unlimited_{now.total}"
            )
            st.caption(view.meter(now, project.settings.label_price).text)
            if st.form_submit_button("Save", icon=":material/check:"):
                _set_total(project, None if unlimited else total)
        with st.expander("Ledger", icon=":material/receipt_long:"):
            _ledger(project)


def _set_total(project: Project, total: float | None) -> None:
    try:
        budget.set_total(project, total)
    except (LabellerError, StoreError) as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    text = "No limit from now on." if total is None else f"The budget is {amount(total)} now."
    session.toast_later(text, ":material/check_circle:")
    st.rerun()


def _ledger(project: Project) -> None:
    """List what was set, spent and given back."""
    lines = budget.ledger(project, _LEDGER_ROWS)
    if not lines:
        st.caption("Nothing spent yet.")
        return
    rows = [ledger_row(line) for line in lines]
    st.dataframe(rows, hide_index=True, height="auto" if len(rows) < 8 else 300, key="ledger")
    if len(lines) == _LEDGER_ROWS:
        st.caption(f"The latest {_LEDGER_ROWS} lines.")


def ledger_row(line: LedgerRecord) -> dict[str, str]:
    """Return a line of the ledger: what it was for, and how much; a limit may be none at all."""
    limit = line.note if line.kind == "set" else None
    bought = None if line.kind == "set" else line.note
    return {
        "When": time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(line.at)),
        "What": bought or LEDGER[line.kind],
        "Amount": limit or amount(line.amount),
    }


def _group(project: Project, name: str, names: tuple[str, ...]) -> None:
    """Draw one group of settings as a form; what cannot be used is said there."""
    with st.container(border=True):
        st.subheader(name)
        if note := NOTES.get(name):
            st.caption(note)
        with st.form(f"settings_{name}", border=False):
            values = {each: _field(project.settings, each) for each in names}
            if st.form_submit_button("Save", icon=":material/check:"):
                _save(project, values)
        if backbone_change.SETTING in names:
            backbone_change.ask(project, _write)


def _field(settings: Settings, name: str) -> Any:
    """Draw one setting as the widget that fits its type."""
    meta = next(f.metadata for f in fields(Settings) if f.name == name)
    value, help_text = getattr(settings, name), meta["help"]
    forced = f"LABELLER_{name.upper()}" in os.environ
    if forced:
        help_text += f" Set by the environment variable LABELLER_{name.upper()}."
    common: dict[str, Any] = {
        "help": escape_markdown(help_text),
        "key": f"setting_{name}",
        "disabled": forced,
    }
    if isinstance(value, bool):
        return st.toggle(title(name), value=value, **common)
    if options := choices(name):
        listed = list(options) if value in options else [*options, value]
        shown = {"strategy": view.strategy_title, backbone_change.SETTING: backbone_change.shown}
        return st.selectbox(
            title(name),
            listed,
            index=listed.index(value),
            format_func=shown.get(name, str),
            accept_new_options=name == backbone_change.SETTING,
            **common,
        )
    if isinstance(value, int):
        return st.number_input(title(name), meta["low"], meta["high"], value, step=1, **common)
    if isinstance(value, float):
        low, high = meta["low"], meta["high"]
        return st.number_input(
            title(name),
            None if low is None else float(low),
            None if high is None else float(high),
            value,
            step=0.05 if high is not None and high <= 2 else 1.0,
            format="%g",
            **common,
        )
    return st.text_input(title(name), value=value, **common)


def _save(project: Project, values: dict[str, Any]) -> None:
    """Write what was changed; an error leaves the file as it was."""
    now = project.settings
    changes = {
        name: value
        for name, value in values.items()
        if value != getattr(now, name) and f"LABELLER_{name.upper()}" not in os.environ
    }
    if not changes:
        st.caption("Nothing was changed.")
        return
    try:
        held = backbone_change.held(project, changes)
    except LabellerError as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    if not held:
        _write(project, changes)


def _write(project: Project, changes: dict[str, Any]) -> None:
    """Write changed settings and begin the page anew."""
    try:
        change_settings(project, **changes)
    except (LabellerError, OSError) as error:
        st.error(escape_markdown(str(error)), icon=":material/error:")
        return
    session.toast_later(f"Saved: {', '.join(map(title, changes))}.", ":material/check_circle:")
    st.rerun()


def _sign_out() -> None:
    """Offer to end this browser's sign-in."""
    with st.container(border=True):
        st.subheader("Signed in")
        st.caption("This browser stays signed in for 30 days. Sign out where others use it too.")
        st.html(f'<a class="lb-sign-out" href="{escape(base_path())}/sign-out">Sign out</a>')


def _token(project: Project) -> None:
    """Make a token for scripts."""
    with st.container(border=True):
        st.subheader("API")
        st.markdown(
            f"Scripts can claim, label and start rounds: see [the API]({base_path()}/api/v1/docs)."
        )
        scope = st.selectbox(
            "What a token may do",
            sorted(tokens.SCOPES),
            format_func=lambda name: f"{name}: {tokens.SCOPES[name]}",
            key="token_scope",
        )
        if st.button("Make a token", icon=":material/key:", key="make_token"):
            st.code(
                tokens.make(project, session.annotator(), "api", scope),
                language=None,
                wrap_lines=True,
            )
            st.caption(
                f"Good for {project.settings.token_hours:g} hours, in the name of "
                f"{escape_markdown(session.annotator())}. Keep it to yourself."
            )
        _list_tokens(project)


def _list_tokens(project: Project) -> None:
    """List the tokens that are good, each with a button that ends it."""
    now = time.time()
    notes = [
        note
        for note in tokens.list_tokens(project)
        if note.revoked_at is None and note.expires_at > now
    ]
    if notes:
        st.caption(f"{view.count(len(notes), 'token')} can be used now:")
    for note in notes:
        about, end = st.columns([5, 1], vertical_alignment="center")
        until = time.strftime("%Y-%m-%d %H:%M", time.localtime(note.expires_at))
        about.markdown(
            f"`{note.id}` {note.scope} · {escape_markdown(note.annotator)} · until {until}"
        )
        if end.button("End", key=f"end_token_{note.id}", help="It stops working at once."):
            tokens.revoke(project, note.id)
            session.toast_later(f"Token {note.id} is ended.", ":material/key_off:")
            st.rerun()
