"""Which path holds which image: kept while an import sees them, whatever was renamed."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from labeller.project import Project
from labeller.services.originals import NAMED, list_replaced, stamp_of
from store.records import ImportProblem, ItemRecord, KnownPath, Stamp
from store.store import Unit

Place = Callable[[], tuple[str, bool]]  # moves a copy in where there is one, and says where it is


@dataclass(frozen=True, slots=True)
class Sighting:
    """A file that was read: the path it has, as the store knows it, and whose bytes it holds.

    `stamp` is None for a name in an archive. `place` gives its item a path of its own.
    """

    path: str
    stamp: Stamp | None
    item_id: int
    place: Place


class Places:
    """Keeps what each path holds, so that every item has a path that does hold its bytes.

    Files may have changed their names in a circle, and be seen in any order: what an import has not
    come to yet is settled by a later batch, or at the end.
    """

    def __init__(self, project: Project) -> None:
        self._project = project
        self._homeless: dict[int, str] = {}  # items whose path holds another, none found for them
        self.moved = 0
        self.replaced: list[str] = []
        self.copies: list[tuple[str, str]] = []
        self.lost: list[str] = []

    def settle(self, unit: Unit, seen: Sequence[Sighting], added: frozenset[int]) -> None:
        """Keep what a batch of paths holds, and move the items whose path holds another.

        Parameters
        ----------
        unit : Unit
            Of the transaction in which the items were `added`, those that are new.
        seen : sequence of Sighting
        added : frozenset of int
        """
        now = {one.path: one for one in seen}
        before = unit.paths.many(list(now))
        owners = unit.paths.owners(list(now))
        notes = [KnownPath(one.path, one.item_id, one.stamp) for one in now.values()]
        unit.paths.note([one for one in notes if before.get(one.path) != one])
        self._note_replaced(now, before, owners, added)
        records = unit.items.many(sorted({one.item_id for one in seen} - added))
        moved = self._move(unit, seen, records)
        self._rehouse(unit)
        # What was added may have a name that cannot be stored: a copy of it is in, it was not seen.
        records = unit.items.many(sorted({one.item_id for one in seen} | added))
        self._keep_own(unit, [records[item_id] for item_id in sorted(added | moved)])
        new = [
            one
            for one in now.values()
            if (last := before.get(one.path)) is None or last.item_id != one.item_id
        ]
        self._note_copies(unit, new, records)

    def _keep_own(self, unit: Unit, placed: Sequence[ItemRecord]) -> None:
        """Keep what was just written into the project itself."""
        own = [record for record in placed if record.copied]
        unit.paths.note(
            [KnownPath(r.path, r.id, stamp_of(self._project.file(r.path))) for r in own]
        )

    def _note_copies(
        self, unit: Unit, new: Sequence[Sighting], records: Mapping[int, ItemRecord]
    ) -> None:
        """Note which new names are second ones; a copied item's first is where it came from."""
        fresh = {one.path for one in new}
        first = {item_id: one.path for item_id, one in records.items() if not one.copied}
        names = unit.paths.of_items([one.id for one in records.values() if one.copied])
        for item_id, some in names.items():
            for one in some:
                if os.path.isabs(one.path) and one.path not in fresh:  # noqa: PTH117
                    first.setdefault(item_id, one.path)
        for sighting in new:
            own = first.setdefault(sighting.item_id, sighting.path)
            if own != sighting.path:
                self.copies.append((sighting.path, own))

    def _note_replaced(
        self,
        now: Mapping[str, Sighting],
        before: Mapping[str, KnownPath],
        owners: Mapping[int, str],
        added: frozenset[int],
    ) -> None:
        """Note the paths that hold another image than before, and whose items these were."""
        replaced = {path for path, last in before.items() if last.item_id != now[path].item_id}
        for item_id, path in owners.items():
            if item_id in added or item_id == now[path].item_id:
                continue
            last = before.get(path)
            if last is None:  # imported by a version that kept no stamps
                replaced.add(path)
            if last is None or last.item_id == item_id:
                self._homeless[item_id] = path
        self.replaced += sorted(replaced)

    def _move(
        self, unit: Unit, seen: Sequence[Sighting], records: Mapping[int, ItemRecord]
    ) -> frozenset[int]:
        """Give known items that were seen a path of theirs, where the one they have is not."""
        holders = unit.paths.many([record.path for record in records.values()])
        done: set[int] = set()
        for one in seen:
            record = records.get(one.item_id)
            if record is None or record.id in done:
                continue
            holder = holders.get(record.path)
            stays = holder is None or holder.item_id == record.id
            if stays and self._project.file(record.path).exists():
                continue
            unit.items.relocate(record.id, *one.place())
            self._homeless.pop(record.id, None)
            done.add(record.id)
        self.moved += len(done)
        return frozenset(done)

    def _rehouse(self, unit: Unit) -> None:
        """Give items whose path was taken another one of their names, if that is as it was."""
        for item_id, names in unit.paths.of_items(list(self._homeless)).items():
            for one in names:
                path = self._project.file(one.path)
                if one.stamp is not None and one.stamp == stamp_of(path):
                    unit.items.relocate(item_id, one.path, not os.path.isabs(one.path))  # noqa: PTH117
                    del self._homeless[item_id]
                    self.moved += 1
                    break

    def finish(self) -> list[ImportProblem]:
        """Look once more for items without a path; return those whose bytes are nowhere."""
        replaced = list_replaced(self._project, sorted(self._homeless))
        self.moved += len(self._homeless) - len(replaced)
        self._homeless.clear()
        self.lost = sorted(replaced.values())
        return [
            ImportProblem(
                path,
                "it holds another image now, and the one that was imported from here is nowhere "
                "any more: that one keeps its label, and takes no part in training and exports",
                "Put the old file back, under any name, and import it.",
            )
            for path in self.lost
        ]

    def notes(self) -> Iterator[str]:
        """Say what was found of renamed, replaced and doubled files."""
        if self.replaced:
            yield (
                f"{_files(len(self.replaced))} another image than at the last import "
                f"({_first(self.replaced)}). Labels stay with the image that was labelled."
            )
        if self.moved:
            yield f"{self.moved:,} images that had been moved were found again."
        if self.lost:
            number = len(self.lost)
            yield (
                f"{number:,} image{' is' if number == 1 else 's are'} nowhere any more, because "
                f"{'its file holds' if number == 1 else 'their files hold'} another now "
                f"({_first(self.lost)}). Put the old file back, under any name, and import it."
            )
        if self.copies:
            pairs = [f"{path} of {own}" for path, own in self.copies]
            yield (
                f"{len(pairs):,} file{' is a copy' if len(pairs) == 1 else 's are copies'}, byte "
                f"for byte, of an image under another name ({_first(pairs)}). Each image is in "
                "once, and both its names are known."
            )


def _files(number: int) -> str:
    return f"{number:,} file{' holds' if number == 1 else 's hold'}"


def _first(names: Sequence[str]) -> str:
    return ", ".join(names[:NAMED]) + (", …" if len(names) > NAMED else "")
