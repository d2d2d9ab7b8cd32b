"""Splits drawn class by class, for sets so small that chance leaves a class out of one."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping

from labeller.config import Settings
from labeller.errors import ConfigError
from labeller.services.class_names import class_name
from labeller.services.splits import SPLITS, split_in_crowd, split_of
from store.records import Split
from store.store import Unit

METHODS = ("hash", "stratified")


class Strata:
    """Draws the split of new groups, and knows how many labels of each class the splits hold.

    With the setting ``split_method = "stratified"`` an image that comes with a label gets the split
    that its hash draws, unless that has its share of the class already: then the split that lacks
    most of the class. Without a label, and by the method ``hash``, the hash decides alone.
    """

    def __init__(self, settings: Settings) -> None:
        if settings.split_method not in METHODS:
            known = " or ".join(METHODS)
            raise ConfigError(
                f"split_method = {settings.split_method!r} is none: write {known} in project.toml."
            )
        self._shares = settings.audit_share, settings.valid_share
        self._by_class = settings.split_method == "stratified"
        self._held: dict[str, Counter[Split]] = {}

    def load(self, unit: Unit, class_ids: Mapping[str, int]) -> None:
        """Count the labels that there are, of classes not counted yet."""
        if not self._by_class:
            return
        for name, class_id in class_ids.items():
            if name not in self._held:
                self._held[name] = Counter(
                    {split: unit.items.page_count("labelled", class_id, split) for split in SPLITS}
                )

    def draw(self, group: str, label: str | None) -> Split:
        """Return the split of a new group, by its first image's label if it has one."""
        if label is None or not self._by_class:
            return split_of(group, *self._shares)
        return split_in_crowd(group, self._of(label), *self._shares)

    def count(self, label: str | None, split: Split, number: int = 1) -> None:
        """Note that a new image with a label came into a split, or left it (−1)."""
        if label is not None and self._by_class:
            self._of(label)[split] += number

    def _of(self, label: str) -> Counter[Split]:
        return self._held.setdefault(class_name(label), Counter())
