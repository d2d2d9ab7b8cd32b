"""Group and split that an import brings for images that are in the project already.

They are taken as those of new images are, for a whole group at once: what belongs together, or
looks alike, stays in one split. They are not taken where that would spoil a measurement:

- an image that a model has learned from does not join the audit set;
- an audit image that has measured a model does not leave it;
- an image beside the audit set, which looks like one of its images, is in no other split;
- a group that a person gave stays, and so does the split of a group that is joined;
- what somebody is labelling at this moment is not moved into or out of the audit set.

Each row that was not taken is told with its reason.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field

from labeller.services.import_sources import Candidate
from store.records import ImportProblem, ItemRecord, Split
from store.store import Unit

NAMED = 3
# The group of an image that nobody grouped: its own hash, or that of what it looks like.
_BY_ITSELF = re.compile(r"[0-9a-f]{64}(\+.*)?")


@dataclass(frozen=True, slots=True)
class Wish:
    """What a row says of an image that is in: the group's name as it is by now, and the split."""

    candidate: Candidate
    item: ItemRecord
    group: str | None

    @property
    def split(self) -> Split | None:
        """The split, if the row names one."""
        return self.candidate.split


@dataclass(slots=True)
class _Facts:
    """What is known of the groups that wishes touch, and of their items."""

    members: dict[str, list[ItemRecord]]
    labelled_at: dict[int, float]
    generated: set[int]
    held: set[int]
    last_model: float
    beside_audit: dict[int, str] = field(default_factory=dict)


class KnownImages:
    """Applies what an import says of known images; its numbers are those of the whole import."""

    def __init__(self) -> None:
        self._said: dict[str, tuple[str, Split | None, str | None]] = {}  # by hash: the first row
        self._given: dict[str, tuple[Split, str]] = {}  # by group: its split, by which row
        self.moved = 0
        self.kept: list[str] = []

    def first_row(self, sha256: str, candidate: Candidate) -> ImportProblem | None:
        """Note what a row says of an image; when a row before said otherwise, that one counts."""
        if candidate.split is None and candidate.group is None:
            return None
        shown, split, group = self._said.get(sha256, (candidate.shown, None, None))
        self._said[sha256] = shown, split or candidate.split, group or candidate.group
        wrong = [
            f"{what} {old}, not {new}"
            for what, old, new in (
                ("split", split, candidate.split),
                ("group", group, candidate.group),
            )
            if new is not None and old is not None and new != old
        ]
        if not wrong:
            return None
        same = "" if shown == candidate.shown else f" by {shown}, which is the same image,"
        return ImportProblem(
            candidate.shown,
            f"it was given another place before,{same} and the first counts: {'; '.join(wrong)}",
            "Decide for one of them; the same image in two splits would leak.",
        )

    def settle(
        self, unit: Unit, wishes: Sequence[Wish], splits: dict[str, Split]
    ) -> list[ImportProblem]:
        """Give known images their group and split; return what was not taken, and why.

        Parameters
        ----------
        unit : Unit
            Of the transaction of a batch.
        wishes : sequence of Wish
        splits : dict of str to Split
            Splits of groups that have a name; those that change are changed.
        """
        wishes = [one for one in wishes if not _granted(one)]
        if not wishes:
            return []
        facts = _facts(unit, wishes)
        moves: dict[str, tuple[str, Split]] = {}
        told = []
        for one in wishes:
            group, split = moves.get(one.item.group, (one.item.group, one.item.split))
            answer = self._answer(one, group, split, splits, facts)
            if isinstance(answer, str):
                self.kept.append(one.candidate.shown)
                told.append(ImportProblem(one.candidate.shown, answer, ""))
            elif answer != (group, split):
                for before, after in list(moves.items()):
                    if after[0] == group:
                        moves[before] = answer
                moves[one.item.group] = answer
                if not _BY_ITSELF.fullmatch(answer[0]):
                    splits[answer[0]] = answer[1]
        self.moved += unit.regroupings.assign(moves)
        return told

    def _answer(
        self, wish: Wish, group: str, split: Split, splits: Mapping[str, Split], facts: _Facts
    ) -> tuple[str, Split] | str:
        """Return where the whole group of a known image goes, or why it stays."""
        name = wish.group or group
        if name != group and not _BY_ITSELF.fullmatch(group):
            return f"it is in the group {group} already, not {name}"
        joined = splits.get(name) if name != group else None
        wanted = joined or wish.split or split
        if wish.split is not None and wanted != wish.split:
            return f"its group {name} is in the split {wanted} already, not {wish.split}"
        if (given := self._given.get(group)) and given[0] != wanted:
            return (
                f"it belongs together with {given[1]}, or looks like it, which is in the split "
                f"{given[0]} by this import, not {wanted}"
            )
        for member in facts.members.get(wish.item.group, ()):
            if reason := _objection(member, split, wanted, facts):
                own = member.id == wish.item.id
                return reason if own else f"{member.path}, which is of its group: {reason}"
        if wish.split is not None:
            self._given[name] = wanted, wish.candidate.shown
        return name, wanted

    def notes(self) -> Iterator[str]:
        """Say how many known images have another place, and how many keep theirs."""
        if self.moved:
            yield (
                f"{self.moved:,} image{' that was' if self.moved == 1 else 's that were'} known "
                "already got the group and split that came along."
            )
        if self.kept:
            named = ", ".join(self.kept[:NAMED]) + (", …" if len(self.kept) > NAMED else "")
            yield (
                f"{len(self.kept):,} known image{'' if len(self.kept) == 1 else 's'} kept "
                f"{'its' if len(self.kept) == 1 else 'their'} group and split ({named}): see the "
                "reasons above."
            )


def _granted(wish: Wish) -> bool:
    """Whether an image is where it is wanted."""
    return wish.group in (None, wish.item.group) and wish.split in (None, wish.item.split)


def _objection(item: ItemRecord, before: Split, after: Split, facts: _Facts) -> str | None:
    """Return why an item may not change its split."""
    if before == after:
        return None
    at = facts.labelled_at.get(item.id)
    seen = at is not None and at <= facts.last_model
    if after == "audit" and (seen or (item.id in facts.generated and facts.last_model)):
        return (
            f"a model has learned from it in the split {before}, so that it cannot measure one in "
            "the audit set"
        )
    if before == "audit" and seen:
        return f"it has measured a model in the audit set, so that it stays there, not in {after}"
    if item.id in facts.held and "audit" in (before, after):
        return f"somebody is labelling it at the moment, so that it stays in the split {before}"
    if before == "unused" and after != "audit" and item.id in facts.beside_audit:
        return (
            f"it looks like {facts.beside_audit[item.id]} of the audit set, so that a model that "
            f"learns from it in the split {after} could not be measured"
        )
    return None


def _facts(unit: Unit, wishes: Sequence[Wish]) -> _Facts:
    members = unit.items.of_groups(sorted({one.item.group for one in wishes}))
    ids = [item.id for some in members.values() for item in some]
    unused = [item.id for some in members.values() for item in some if item.split == "unused"]
    return _Facts(
        members=members,
        labelled_at=unit.labels.times(ids),
        generated=set(unit.generated_labels.of(ids)),
        held=unit.queue.held(ids),
        last_model=max((model.created_at for model in unit.models.all()), default=0.0),
        beside_audit=_beside_audit(unit, unused),
    )


def _beside_audit(unit: Unit, ids: Sequence[int]) -> dict[int, str]:
    """Return, of items that look like one of the audit set, the path of that."""
    if not ids:
        return {}
    links = unit.leaks.links_of(ids)
    others = unit.items.many([i for one in links for i in (one.item_id, one.other_id)])
    found: dict[int, str] = {}
    for one in links:
        for item, other in ((one.item_id, one.other_id), (one.other_id, one.item_id)):
            if others[other].split == "audit":
                found.setdefault(item, others[other].path)
    return found
