"""What an import will do with its sources: decided by a first look, before anything is stored."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from labeller.errors import ClassError
from labeller.file_kinds import KNOWN
from labeller.progress import Progress, Silent
from labeller.project import Project
from labeller.services.class_names import (
    choose_spellings,
    class_ids,
    class_name,
    describe_spellings,
)
from labeller.services.classes import check_names
from labeller.services.folder_rule import FolderDecision, decide_folders, natural_order
from labeller.services.import_sources import (
    Labels,
    Source,
    Survey,
    SurveyStopped,
    Tick,
    open_source,
    shown,
)

NAMED = 12  # names in one sentence
_ADVICE = {
    "videos": "save their frames as images to import them",
    "archives": "import each by itself",
    "tables": "import each by itself, or apply it with labeller label",
    "sheets": "save each as CSV UTF-8, then import that",
}


@dataclass(frozen=True, slots=True)
class SourcePlan:
    """What a first look saw in one source, and what its folders mean (None where it has none)."""

    source: str
    survey: Survey
    decision: FolderDecision | None


@dataclass(frozen=True, slots=True)
class ImportPlan:
    """What an import will do with its sources.

    `words` are those for classes with how many images came with each, `spellings` the class that
    each is, and `new_classes` are to be made.
    """

    sources: tuple[SourcePlan, ...]
    words: Mapping[str, int]
    spellings: Mapping[str, str]
    new_classes: tuple[str, ...]

    @property
    def files(self) -> int:
        """How many files may be images."""
        return sum(plan.survey.files for plan in self.sources)

    def describe(self) -> list[str]:
        """Say in sentences what was decided and why, and what is passed over."""
        lines = [line for plan in self.sources for line in describe_source(plan)]
        return [*lines, *describe_words(self.words, self.spellings)]

    def find_class(self, word: str) -> str:
        """Return the name of the class that a word means."""
        return self.spellings.get(word) or class_name(word)


def preview_import(
    project: Project,
    sources: Sequence[Path],
    labels: Labels = "auto",
    progress: Progress | None = None,
) -> ImportPlan:
    """Look at sources as an import does, and store nothing.

    Parameters and errors are those of :func:`~labeller.services.importing.import_sources`.
    """
    told = progress or Silent()
    with project.store.read() as unit:
        classes = list(class_ids(unit))
    opened = [
        open_source(
            path, project.root, project.root, 0, classes=classes, any_labels=labels == "folders"
        )
        for path in sources
    ]
    return plan_import(opened, classes, labels, told)


def plan_import(
    sources: Sequence[Source], classes: Sequence[str], labels: Labels, progress: Progress
) -> ImportPlan:
    """Look at sources and decide what their names mean.

    Parameters
    ----------
    sources : sequence of Source
    classes : sequence of str
        Names that mean a class of the project, those of merged classes too.
    labels : {"auto", "folders", "none"}
    progress : Progress
        Told how many files there are so far.
    """
    counted = 0

    def tick(files: int) -> None:
        progress.update("count", counted + files, None)
        progress.check()

    plans: list[SourcePlan] = []
    for source in sources:
        plans.append(look_at_source(source, classes, labels, tick))
        counted += plans[-1].survey.files
    words = Counter[str]()
    for plan in plans:
        words.update(count_words(plan, labels))
    spellings = choose_spellings(words, classes)
    make = labels == "folders" or not classes
    new = _new_classes(plans, spellings, labels, frozenset(classes)) if make else ()
    return ImportPlan(tuple(plans), words, spellings, new)


def look_at_source(
    source: Source, classes: Sequence[str], labels: Labels, tick: Tick
) -> SourcePlan:
    """Look at one source and decide what its folders mean."""
    try:
        survey = source.survey(tick)
    except SurveyStopped:
        survey = Survey(cut=True)
    decision = None
    if survey.folders:
        damaged = frozenset(survey.damaged)
        decision = decide_folders(survey.folders, classes, labels, damaged)
    return SourcePlan(source.shown, survey, decision)


def count_words(plan: SourcePlan, labels: Labels) -> Counter[str]:
    """Return the words for classes in a source, as they are written, with their images."""
    found = Counter[str]()
    if labels != "none":
        found.update(plan.survey.labels)
    for folder in plan.decision.folders if plan.decision else ():
        if folder.label is not None:
            found[folder.label] += folder.images
    return found


def _new_classes(
    plans: Sequence[SourcePlan],
    spellings: Mapping[str, str],
    labels: Labels,
    classes: frozenset[str],
) -> tuple[str, ...]:
    """Return the classes to make: those of folders in order of name, of tables as they come."""
    order: dict[str, None] = {}
    for plan in plans:
        names = [spellings[word] for word in count_words(plan, labels)]
        if plan.decision is not None:
            names.sort(key=natural_order)
        order |= dict.fromkeys(name for name in names if name not in classes)
    return tuple(name for name in order if _can_be(name))


def _can_be(name: str) -> bool:
    try:
        return check_names([name]) == [name]
    except ClassError:  # too long, or with a line break: its images come in without it
        return False


def describe_words(words: Mapping[str, int], spellings: Mapping[str, str]) -> Iterator[str]:
    """Say which words were taken for a class that is written otherwise.

    A word in another Unicode form alone is no matter, as every name that comes from a Mac is, but
    where the same name came in two.
    """
    forms = Counter(map(class_name, words))
    told = {
        word: number
        for word, number in words.items()
        if class_name(word) != spellings[word] or forms[class_name(word)] > 1
    }
    if text := describe_spellings(told, {word: spellings[word] for word in told}):
        yield text


def describe_source(plan: SourcePlan) -> Iterator[str]:
    """Say what was seen in a source and what its folders mean."""
    survey, decision = plan.survey, plan.decision
    if not survey.files:
        yield f"{plan.source}: holds no image. Known are {KNOWN}."
    if decision is not None:
        yield from describe_decision(plan.source, decision)
    if survey.passed:
        yield f"{plan.source}: passed over are " + "; ".join(_passed(survey)) + "."
    yield from survey.notes


def describe_decision(source: str, decision: FolderDecision) -> Iterator[str]:
    """Say which labels and splits folders give, and why; nothing where there are no folders."""
    if decision.taken:
        number = len(decision.classes)
        yield (
            f"{source}: {number:,} {'class' if number == 1 else 'classes'} from folder names "
            f"({_counts(decision.classes)}), {_images(decision.unlabelled)} without a class: "
            f"{decision.reason}."
        )
        if without := list(_without(decision)):
            yield f"{source}: without a class are " + "; ".join(without) + "."
    elif any(folder.folder for folder in decision.folders):
        option = f" {decision.option[0].upper()}{decision.option[1:]}." if decision.option else ""
        yield f"{source}: no labels from folder names: {decision.reason}.{option}"
    if decision.splits:
        yield f"{source}: splits from folder names: {_counts(decision.splits)}." + _unmeasured(
            decision
        )


def _unmeasured(decision: FolderDecision) -> str:
    """Say that no image is left to measure a model with."""
    splits = dict(decision.splits)
    if "audit" in splits or sum(splits.values()) < decision.images:
        return ""
    return (
        " None is for the audit set (test), which measures the model: import images outside of "
        "these folders for it."
    )


def _without(decision: FolderDecision) -> Iterator[str]:
    """List the folders that are no class by the reason."""
    reasons: dict[str, Counter[str]] = {}
    for folder in decision.folders:
        if folder.why:
            name = "/".join(map(shown, folder.folder)) or "images in no folder"
            reasons.setdefault(folder.why, Counter())[name] += folder.images
    for why, names in reasons.items():
        more = "; --labels folders makes them classes" if why == "no class of the project" else ""
        yield f"{_counts(list(names.items()))} ({why}{more})"


def _passed(survey: Survey) -> Iterator[str]:
    for kind, number in sorted(survey.passed.items()):
        advice = f": {_ADVICE[kind]}" if kind in _ADVICE else ""
        first = f"{survey.first[kind]}{' and others' if number > 1 else ''}"
        yield f"{kind} {number:,} ({first}{advice})"


def _counts(names: Sequence[tuple[str, int]]) -> str:
    more = len(names) - NAMED
    return ", ".join(f"{shown(name)} {number:,}" for name, number in names[:NAMED]) + (
        f" and {more:,} more" if more > 0 else ""
    )


def _images(number: int) -> str:
    return "1 image" if number == 1 else f"{number:,} images"
