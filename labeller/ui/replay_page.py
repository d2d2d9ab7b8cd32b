"""The replay page: which strategy would have taught the model most, on labels that are known."""

from __future__ import annotations

import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import streamlit as st

from labeller.errors import ReplayError
from labeller.project import Project
from labeller.services import replay_files, replays, rounds
from labeller.services.replay_files import Past
from labeller.services.replays import Labelled, Plan
from labeller.ui import address, attempts, plots, session, view
from labeller.ui.text import escape_markdown
from store.records import JobRecord

_PLACE = "replay"
VERDICTS = {
    "better": "better than random",
    "worse": "worse than random",
    "no difference shown": "no difference shown",
    "one seed says nothing": "one seed says nothing",
    "no spread to judge by": "no spread to judge by",
}


def show(project: Project) -> None:
    """Draw the page."""
    st.title("Replay")
    st.markdown(
        "Which strategy would have taught the model most? Your labels answer in your place; "
        "nothing is asked, and the queue stays as it is."
    )
    found = replays.labelled(project)
    done = replays.past(project)
    with project.store.read() as unit:
        active = next((job for job in unit.jobs.active(replays.KIND)), None)
    try:
        replays.check_labels(found)
    except ReplayError as error:
        _empty(str(error))
    else:
        _form(project, found, active)
        stopped = replays.unfinished(project) if active is None else None
        if stopped is not None:
            _stopped(project, stopped)
    if done:
        _results(done)
    elif active is None:
        st.caption("No replay has finished yet.")


def _empty(why: str) -> None:
    """Say what is needed, and where to get it."""
    with st.container(border=True):
        st.markdown(f"**Nothing to replay yet.** {escape_markdown(why)}")
        st.page_link("pages/label.py", label="Label images", icon=":material/ads_click:")


def _form(project: Project, found: Labelled, active: JobRecord | None) -> None:
    """Let the person choose what to replay, and say how long it takes."""
    first = replays.suggested(found)
    with st.container(border=True, key="lb_replay"):
        names = st.multiselect(
            "Strategies",
            rounds.offered(project),
            default=list(first.strategies),
            format_func=view.strategy_title,
            key=f"replay_strategies_{project.id}",
            help="Random is always among them: without it no curve means anything.",
        )
        columns = st.columns(3)
        budget = columns[0].number_input(
            "Budget",
            min_value=3,
            max_value=found.pool,
            value=first.budget,
            step=first.batch,
            key=f"replay_budget_{project.id}",
            help=f"Labels at the end; {found.pool:,} images can be picked.",
        )
        batch = columns[1].number_input(
            "Labels per step",
            min_value=2,
            max_value=found.pool - 1,
            value=first.batch,
            key=f"replay_step_{project.id}",
            help="After each step a model is trained and measured. The first step is random.",
        )
        seeds = columns[2].number_input(
            "Seeds",
            min_value=1,
            max_value=replays.MOST_SEEDS,
            value=first.seeds,
            key=f"replay_seeds_{project.id}",
            help="How often each strategy is run. Fewer than 5 mislead.",
        )
        try:
            plan = replays.checked(names, int(budget), int(batch), int(seeds))
            text = _outlook(project, found, plan)
        except ReplayError as error:
            plan, text = None, escape_markdown(str(error))
        st.caption(text)
        _button(project, plan, active)


def _outlook(project: Project, found: Labelled, plan: Plan) -> str:
    """Say how much work a plan is."""
    length = view.seconds(replays.seconds_per_step(project) * plan.steps)
    audit = sum(found.audit.values())
    measured = (
        f"{audit:,} audit labels"
        if not found.drawn
        else (
            f"{audit + found.drawn:,} held-out labels (a quarter of each class"
            + (", and the audit set)" if audit else ")")
        )
    )
    return (
        f"{view.count(plan.steps, 'model')} to train, about {length}. "
        f"Picked from {found.pool:,} labels, measured on {measured}."
    )


def _button(project: Project, plan: Plan | None, active: JobRecord | None) -> None:
    """Offer to start; the side bar shows how far it is, and Cancel."""
    st.button(
        "Start the replay" if active is None else "A replay is on",
        key="replay_start",
        type="primary",
        icon=":material/replay:",
        disabled=active is not None or plan is None,
        on_click=_start,
        args=(project, plan),
    )
    if active is not None:
        st.caption(
            "How far it is and Cancel are in the side bar. You can label and retrain meanwhile."
        )
    attempts.show_error(_PLACE)


def _start(project: Project, plan: Plan) -> None:
    with attempts.attempt(_PLACE):
        replays.start(project, plan)
        session.toast_later("The replay has started.", ":material/replay:")


def _stopped(project: Project, folder: Path) -> None:
    """Offer to go on with a replay that was stopped."""
    with st.container(border=True):
        st.markdown("**The last replay was stopped.** Its finished runs are kept.")
        with st.container(horizontal=True):
            st.button(
                "Go on with it",
                key=f"replay_resume_{folder.name}",
                icon=":material/play_arrow:",
                on_click=attempts.tried,
                args=(_PLACE, lambda: replays.resume(project, folder)),
            )
            st.button(
                "Discard it",
                key=f"replay_discard_{folder.name}",
                icon=":material/delete:",
                type="tertiary",
                on_click=attempts.tried,
                args=(_PLACE, lambda: replays.discard(project, folder)),
            )


def _results(done: list[Past]) -> None:
    """Show one finished replay; the newest unless another is chosen."""
    now = time.time()
    st.subheader("Result")
    by_name = {past.folder.name: past for past in done}
    titles = {name: heading(past, now) for name, past in by_name.items()}
    name = done[0].folder.name
    if len(done) > 1:
        key = f"replay_chosen_{name}_{len(done)}"
        address.choice("replay", key, by_name, name)
        name = st.selectbox(
            "Replay",
            list(by_name),
            format_func=lambda key: titles.get(key, key),
            key=key,
        )
    else:
        st.caption(titles[name])
    chosen = by_name[name]
    result = chosen.result
    dark = st.context.theme.type == "dark"
    st.plotly_chart(
        plots.replay_curves(result, dark),
        theme="streamlit",
        config=plots.CONFIG,
        key=f"replay_curves_{chosen.folder.name}_{dark}",
        alt="Accuracy on held-out images against labels, a curve for each strategy",
    )
    if result["seeds"] > 1:
        st.caption("Lines: mean over the seeds. Bands: 95 % interval of the mean, by t.")
    _table(chosen)
    with st.container(border=True):
        st.markdown("**How far to trust this**")
        told = [*result["bias"], *result["notes"]]
        st.markdown("\n".join(f"- {escape_markdown(text)}" for text in told))
    _downloads(chosen)


def heading(past: Past, now: float) -> str:
    """Name a replay: when, what, and how much."""
    result = past.result
    names = ", ".join(view.strategy_title(row["strategy"]) for row in result["strategies"])
    return (
        f"{view.ago(result['finished_at'], now)} · {result['budget']:,} labels by "
        f"{result['batch']:,} · {view.count(result['seeds'], 'seed')} · {names}"
    )


def _table(past: Past) -> None:
    st.dataframe(
        [row_of(row) for row in past.result["strategies"]],
        hide_index=True,
        height="auto",
        key=f"replay_table_{past.folder.name}",
        column_config={
            "Rank": st.column_config.NumberColumn(width="small"),
            "Mean accuracy": st.column_config.TextColumn(
                help="Over the budget: the area under the curve."
            ),
            "Labels to random's final": st.column_config.TextColumn(
                help="Labels after which the mean curve reaches random's last accuracy."
            ),
            "Against random": st.column_config.TextColumn(
                help="Points of mean accuracy, seed by seed, with the 95 % interval."
            ),
        },
    )


def row_of(row: Mapping[str, Any]) -> dict[str, Any]:
    """Return a strategy's row of the table."""
    reached = row["labels_to_random_final"]
    return {
        "Rank": row["rank"],
        "Strategy": view.strategy_title(row["strategy"]),
        "Mean accuracy": view.percent(row["area"]),
        "Final accuracy": view.percent(row["final"]),
        "Labels to random's final": "not reached" if reached is None else f"{reached:,.0f}",
        "Against random": difference(row),
        "Verdict": VERDICTS.get(row["verdict"], "–"),
    }


def difference(row: Mapping[str, Any]) -> str:
    """Write the difference from random in points, with its interval."""
    if row["difference"] is None:
        return "–"
    text = f"{100 * row['difference']:+.1f}"
    if row["difference_interval"] is not None:
        low, high = (100 * bound for bound in row["difference_interval"])
        text += f" ({low:+.1f} to {high:+.1f})"
    return text.replace("-", "−")


def _downloads(past: Past) -> None:
    """Offer the files of a replay."""
    files = {
        replay_files.CURVES: ("Curves (CSV)", "text/csv"),
        replay_files.SUMMARY: ("Table (CSV)", "text/csv"),
        replay_files.PICTURE: ("Picture (PNG)", "image/png"),
    }
    with st.container(horizontal=True):
        for name, (title, mime) in files.items():
            file = past.folder / name
            if file.is_file():
                st.download_button(
                    title,
                    file.read_bytes,
                    file_name=f"replay-{past.folder.name}-{name}",
                    mime=mime,
                    icon=":material/download:",
                    key=f"replay_{past.folder.name}_{name}",
                    on_click="ignore",
                )
