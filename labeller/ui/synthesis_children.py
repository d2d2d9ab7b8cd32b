"""The children of a run: a grid, verdicts for many at once, and one beside its parent."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import streamlit as st

from labeller.errors import ImageError, LabellerError
from labeller.project import Project
from labeller.services import checking, child_verdicts, labelling, recent, synthesis, thumbnails
from labeller.services.checking import Pair
from labeller.services.synthesis import RunView
from labeller.ui import address, keys, opened, session, view
from labeller.ui import synthesis_view as words
from labeller.ui.grid import Tile, grid
from labeller.ui.text import escape_markdown
from store.errors import StoreError
from store.records import ItemRecord
from store.records_made import ChildVerdict, SyntheticRecord
from strategies.synthesis import strategy_called

PAGE = 60
TILE = 128  # pixels
FILTERS = {"": "All", "none": "Unjudged", "keep": "Kept", "drop": "Dropped"}
_RESET = "synthesis_children_reset"
_SMALL = 96


def pictures(chosen: RunView) -> bool:
    """Whether a run makes pictures; else mixtures of embeddings."""
    return strategy_called(chosen.run.strategy).pictures


def show(project: Project, chosen: RunView) -> None:
    """Draw the children; a fragment, so that choosing never draws the page anew."""
    if not chosen.run.made:
        st.caption("Nothing is made yet.")
    elif pictures(chosen):
        key = f"synthesis_grid_{chosen.run.id}"
        st.fragment(_grid, key=key)(str(project.root), chosen.run.id, key)
        st.fragment(_opened, key=opened.DIALOG)(str(project.root), key)
    else:
        _mixtures(project, chosen)


def _mixtures(project: Project, chosen: RunView) -> None:
    """List mixtures: there is nothing to look at."""
    found = synthesis.children(project, chosen.run.id, limit=500)
    with project.store.read() as unit:
        names = {one.id: one.name for one in unit.classes.all(archived=True)}
        items = unit.items.many([i for one in found for i in _owners(one)])
    st.dataframe(
        [
            {
                "Class": names.get(one.class_id, "?"),
                "Mostly of": _name(items, one.parent_id),
                "Share": float(one.plan["parameters"]["weight"]),
                "With": _name(items, int(one.plan["parameters"]["partner"])),
            }
            for one in found
        ],
        hide_index=True,
        height=320,
        key=f"synthesis_mixtures_{chosen.run.id}",
        column_config={"Share": st.column_config.NumberColumn(format="percent")},
    )
    if chosen.run.made > len(found):
        st.caption(f"The first {len(found):,} of {chosen.run.made:,}.")


def _owners(one: SyntheticRecord) -> tuple[int, int]:
    return one.parent_id, int(one.plan["parameters"]["partner"])


def _name(items: Mapping[int, ItemRecord], item_id: int) -> str:
    return labelling.item_name(items[item_id]) if item_id in items else "?"


def _grid(root: str, run_id: int, key: str) -> None:
    project = recent.opened(root)
    session.show_toasts()
    with project.store.read() as unit:
        counts = unit.synthetic.counts(run_id)
    numbers = {"": sum(counts.values())} | counts
    address.begin_part("page")
    address.choice("verdict", f"synthesis_verdict_{run_id}", FILTERS, "")
    chosen = st.pills(
        "Verdict",
        list(FILTERS),
        required=True,
        format_func=lambda name: f"{FILTERS[name]} {numbers[name]:,}",
        key=f"synthesis_verdict_{run_id}",
        label_visibility="collapsed",
    )
    chosen = chosen or ""
    total = numbers[chosen]
    top = st.container(
        horizontal=True, vertical_alignment="center", gap="small", key="lb_actions_children"
    )
    if not total:
        st.caption("None of its items is so judged.")
        with top:
            _actions(project, ())
        _listen()
        address.write()
        return
    found = _page(project, run_id, chosen, total)
    with project.store.read() as unit:
        pairs = checking.pairs(unit, found)
    selected = grid(
        project,
        session.annotator(),
        [_tile(project, pair) for pair in pairs],
        key=key,
        reset=st.session_state.get(_RESET, 0),
        pixels=TILE,
    )
    with top:
        _actions(project, selected)
    _listen()
    address.write()


def _opened(root: str, key: str) -> None:
    """Draw the dialog of the child that was opened, until it is closed."""
    project = recent.opened(root)
    child_id = opened.in_grid(key)
    if child_id is None:
        return
    with project.store.read() as unit:
        child = unit.synthetic.get(child_id)
        pair = checking.pairs(unit, [child])[0] if child else None
    if pair is None:
        opened.close()
        return
    title = words.recipe_title(pair.child.recipe)
    st.dialog(title, width="large", on_dismiss=opened.close)(_pair)(project, pair)


def _page(project: Project, run_id: int, chosen: str, total: int) -> list[SyntheticRecord]:
    """Draw the pages and return the children of the one that is open."""
    pages = -(-total // PAGE)
    key = f"synthesis_page_{run_id}_{chosen}_{pages}"
    address.number("page", key, 1, pages)
    number = st.pagination(pages, key=key) if pages > 1 else 1
    wanted: ChildVerdict | str | None = chosen or None
    found = synthesis.children(project, run_id, wanted, limit=number * PAGE)  # type: ignore[arg-type]
    return found[(number - 1) * PAGE :]


def _tile(project: Project, pair: Pair) -> Tile:
    """Turn a child into a thumbnail: its recipe, and its verdict if there is one."""
    child = pair.child
    title = words.recipe_title(child.recipe)
    judged = words.VERDICT_TITLES[child.verdict] if child.verdict else None
    return Tile(
        id=child.id,
        name=f"{pair.class_.name} · {title}: {words.told(child.plan['parameters'])}",
        image=checking.image_url(project, child),
        width=child.width or 0,
        height=child.height or 0,
        label=None if judged else title,
        colour=pair.class_.colour,
        note=f"{judged} · {title}" if judged else None,
    )


def _actions(project: Project, selected: Sequence[int]) -> None:
    """Offer verdicts for the selected children; the row is always there: nothing jumps."""
    st.markdown(f"**{len(selected)}** selected" if selected else ":gray[Nothing selected]")
    for text, icon, verdict in (
        (keys.badge("Keep", "accept"), "check", "keep"),
        (keys.badge("Drop", "reject"), "close", "drop"),
        ("Unjudge", "remove_done", None),
    ):
        st.button(
            text,
            icon=f":material/{icon}:",
            key=f"synthesis_judge_{verdict}",
            disabled=not selected,
            on_click=_judge,
            args=(project, tuple(selected), verdict),
        )
    _steps(project)


def _steps(project: Project) -> None:
    """Offer to take the last verdicts back, all of one step, and to give them again."""
    undo, redo = child_verdicts.next_steps(project)
    for word, step, take in (
        ("Undo", undo, child_verdicts.undo),
        ("Redo", redo, child_verdicts.redo),
    ):
        st.button(
            f"{word}: {step.text}" if step else word,
            icon=f":material/{word.lower()}:",
            key=f"synthesis_{word.lower()}",
            disabled=step is None,
            help=f"By {escape_markdown(step.by)}." if step else None,
            on_click=_take,
            args=(project, take),
        )


def _listen() -> None:
    """Let keys do the same as the buttons."""
    buttons = {
        "accept": "synthesis_judge_keep",
        "reject": "synthesis_judge_drop",
        "undo": "synthesis_undo",
        "redo": "synthesis_redo",
    }
    keys.listen("children", buttons)


def _take(project: Project, take: Callable[[Project, str], int]) -> None:
    try:
        left = take(project, session.annotator())
    except (LabellerError, StoreError) as error:
        session.toast_later(escape_markdown(str(error)), ":material/error:")
    else:
        if left:
            text = f"{view.count(left, 'item')} judged anew since: left as they are."
            session.toast_later(text, ":material/info:")


def _judge(project: Project, ids: Sequence[int], verdict: ChildVerdict | None) -> None:
    """Store verdicts and clear the selection."""
    try:
        count = child_verdicts.judge(project, ids, verdict, session.annotator())
    except (LabellerError, StoreError) as error:
        session.toast_later(escape_markdown(str(error)), ":material/error:")
    else:
        text = f"{view.count(count, 'item')} {words.VERDICT_TITLES[verdict]}."
        session.toast_later(text, ":material/check_circle:")
    st.session_state[_RESET] = st.session_state.get(_RESET, 0) + 1


def _pair(project: Project, pair: Pair) -> None:
    """Draw a child beside its parent, with how it was made."""
    child, parent = pair.child, pair.parent
    left, right = st.columns(2, gap="medium")
    with left:
        st.markdown("**Parent**")
        _image(
            lambda: thumbnails.thumbnail(project, parent, "card"),
            "parent",
            max(parent.width, parent.height),
        )
        st.caption(escape_markdown(labelling.item_name(parent)))
    with right:
        st.markdown("**Synthetic item**")
        _image(
            lambda: synthesis.picture(project, child, "card"),
            "child",
            max(child.width or 0, child.height or 0),
        )
        st.caption(escape_markdown(words.told(child.plan["parameters"]) or "no parameters"))
    by = f" by {escape_markdown(child.verdict_by)}" if child.verdict_by else ""
    st.markdown(
        f"Class **{escape_markdown(pair.class_.name)}** · "
        f"{words.VERDICT_TITLES[child.verdict]}{by} · seed {child.plan['seed']} · "
        f"{child.width or 0:,} × {child.height or 0:,}"
    )


def _image(find: Callable[[], tuple[Path, str]], which: str, side: int) -> None:
    """Draw a picture, or why it cannot be shown."""
    try:
        path, _ = find()
        with st.container(key=f"lb_{which}_small" if side < _SMALL else f"lb_{which}_image"):
            st.image(str(path), width="stretch")
    except (ImageError, LabellerError, OSError) as error:
        st.error(f"It cannot be shown: {escape_markdown(str(error))}", icon=":material/error:")
