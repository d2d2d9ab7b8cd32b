"""Verdicts on synthetic items: for one or many at once, taken back and given again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from labeller.errors import SynthesisError
from labeller.project import Project
from labeller.services import change_log
from labeller.services.change_log import Logged
from store.records_made import ChildVerdict
from store.store import Unit

LOG = "child_verdicts"
WORDS = {"keep": "kept", "drop": "dropped", None: "unjudged"}
Said = tuple[str | None, str | None]  # verdict, and by whom


def judge(project: Project, ids: Sequence[int], verdict: ChildVerdict | None, by: str) -> int:
    """Give all of them a verdict, as one step that can be taken back.

    Parameters
    ----------
    project : Project
    ids : sequence of int
        Of synthetic items.
    verdict : {"keep", "drop"} or None
        None takes back what was said.
    by : str
        The annotator.

    Returns
    -------
    int
        How many of them there are.

    Raises
    ------
    SynthesisError
        When the annotator has no name.
    """
    name = _named(by)
    with project.store.write() as unit:
        before = _said(unit, ids)
        number = unit.synthetic.judge(ids, verdict, name)
        if number:
            text = f"{number:,} {WORDS[verdict]}"
            change_log.note(unit, LOG, name, text, _json(before), _json(_said(unit, ids)))
    return number


def judge_own(
    project: Project, ids: Sequence[int], verdict: ChildVerdict | None, by: str
) -> tuple[int, list[int]]:
    """Take verdicts back or give them again, but not over what somebody else has said since.

    Returns
    -------
    judged : int
        How many there were.
    others : list of int
        Those that somebody else has judged: they keep that verdict.
    """
    name = _named(by)
    with project.store.write() as unit:
        said = _said(unit, ids)
        others = [number for number, (_, who) in said.items() if who not in (None, name)]
        free = [number for number in said if number not in set(others)]
        return unit.synthetic.judge(free, verdict, name), others


def next_steps(project: Project) -> tuple[Logged | None, Logged | None]:
    """Return which step would be taken back, and which done again, next."""
    with project.store.read() as unit:
        return change_log.next_undo(unit, LOG), change_log.next_redo(unit, LOG)


def undo(project: Project, by: str) -> int:
    """Take the last step back; return how many others have judged anew, which keep that.

    Raises
    ------
    SynthesisError
        When there is nothing to take back, or all of it was judged anew.
    """
    with project.store.write() as unit:
        step = change_log.next_undo(unit, LOG)
        if step is None:
            raise SynthesisError("There is no verdict to take back.")
        left = _restore(unit, step.after, step.before)
        change_log.note_undo(unit, LOG, step.number, _named(by))
        return left


def redo(project: Project, by: str) -> int:
    """Do again what was taken back last; results and errors are those of :func:`undo`."""
    with project.store.write() as unit:
        step = change_log.next_redo(unit, LOG)
        if step is None:
            raise SynthesisError("There is no verdict to give again.")
        left = _restore(unit, step.before, step.after)
        change_log.note_redo(unit, LOG, step.number, _named(by))
        return left


def _restore(
    unit: Unit,
    expected: Mapping[str, Sequence[str | None]],
    wanted: Mapping[str, Sequence[str | None]],
) -> int:
    """Give items the verdicts wanted where they are as expected; return how many are not."""
    now = _said(unit, [int(number) for number in expected])
    groups: dict[Said, list[int]] = {}
    left = 0
    for number, said in now.items():
        if said != tuple(expected[str(number)]):
            left += 1
            continue
        verdict, who = wanted[str(number)]
        groups.setdefault((verdict, who), []).append(number)
    if now and left == len(now):
        raise SynthesisError("Somebody has judged these items anew since, so that stays as it is.")
    for (verdict, who), ids in groups.items():
        unit.synthetic.judge(ids, verdict, who or "")  # type: ignore[arg-type]
    return left


def _said(unit: Unit, ids: Sequence[int]) -> dict[int, Said]:
    return {one.id: (one.verdict, one.verdict_by) for one in unit.synthetic.many(ids).values()}


def _json(said: Mapping[int, Said]) -> dict[str, list[str | None]]:
    return {str(number): [verdict, who] for number, (verdict, who) in said.items()}


def _named(by: str) -> str:
    if not by.strip():
        raise SynthesisError("Say who judges: the annotator's name is empty.")
    return by.strip()
