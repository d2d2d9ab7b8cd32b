"""The one rule by which folders are classes and splits: what it sees, what it decides, and why.

It reads the places and numbers of images alone, stores nothing, and is told before an import
begins. ``docs/data.md`` has an example of every layout.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import NamedTuple

from labeller.services.class_names import choose_spellings, class_key
from labeller.services.folder_names import WHY, find_neutral, is_unsorted, split_named
from labeller.services.import_sources import Labels, shown
from store.records import Split

Parts = tuple[str, ...]

MOST_UNASKED = 200  # class folders that are taken however few images each holds
FULL = 10  # images a folder, on average, by which more of them are classes too
NAMED = 12  # names in one sentence
TAKE = "--labels folders takes them as classes"
SPLIT_ORDER: tuple[Split, ...] = ("train", "valid", "audit", "unused")


@dataclass(frozen=True, slots=True)
class FolderMeaning:
    """What the images that lie directly in a folder are.

    `label` is the name of the folder that is their class, as it is written there; `why` says why
    there is none.
    """

    folder: Parts
    images: int
    label: str | None
    split: Split | None
    why: str


@dataclass(frozen=True, slots=True)
class FolderDecision:
    """What the folders of one source mean, and why.

    `classes` and `splits` come with their images; `unlabelled` is how many images get no class.
    `option` says how to have it otherwise. `folders` is every folder with images.
    """

    images: int
    taken: bool
    reason: str
    option: str
    classes: tuple[tuple[str, int], ...]
    splits: tuple[tuple[Split, int], ...]
    unlabelled: int
    folders: tuple[FolderMeaning, ...]


class _Place(NamedTuple):
    """A folder on its way to a meaning: `rest` are the names that may be its class."""

    parts: Parts
    images: int
    split: Split | None
    rest: Parts


class _Choice(NamedTuple):
    """The label of each place, whether labels are taken at all, why, and how to have it else."""

    labels: Mapping[Parts, str]
    taken: bool
    reason: str
    option: str = ""


def decide_folders(
    folders: Mapping[Parts, int],
    classes: Iterable[str],
    labels: Labels,
    damaged: frozenset[str] = frozenset(),
) -> FolderDecision:
    """Decide what the folders of a source mean.

    1. Folders around everything (a data set's own name, ``images``) are passed through.
    2. *Splits*: folders that are all called train, valid, test ... (at least two of them) are
       splits, over class folders or below them. A lone one says nothing and is passed through.
    3. Names of cameras, dates and plain names (``photos``) are no classes, unless the project has
       such a class or folders are labels by request.
    4. *Classes*: with ``"auto"``, in a project with classes, the deepest folder that is named like
       one of them; in one without, what is left of the names, where that is one name for each
       folder and they are at least two. With ``"folders"``, the first name that is left.

    Parameters
    ----------
    folders : mapping of tuple of str to int
        How many images lie directly in each folder, by its path below the source; ``()`` for those
        that lie in no folder.
    classes : iterable of str
        Names of the project's classes.
    labels : {"auto", "folders", "none"}
    damaged : frozenset of str
        Names that were not read right; never classes.
    """
    existing = list(classes)
    known = {class_key(name) for name in existing}
    places = _find_places(folders, known)
    if labels == "none":
        choice = _Choice({}, False, "no labels are wanted")
    elif labels == "folders":
        choice = _take_by_request(places, known, damaged)
    elif known:
        choice = _match_classes(places, known, damaged)
    else:
        choice = _find_classes(places, damaged)
    return _decide(places, choice, existing, damaged)


def _find_places(folders: Mapping[Parts, int], known: set[str]) -> list[_Place]:
    """Tell the splits from the other names of each folder's path."""
    filled = sorted((parts, number) for parts, number in folders.items() if number)
    around = len(_container([parts for parts, _ in filled]))
    paths = [parts[around:] for parts, _ in filled]
    over = _are_splits(paths, known)
    inner = [path[1:] for path in paths]
    below = not over and _are_splits(inner, known, mixed=False)
    told = len({split_named(path[0]) for path in (paths if over else inner) if path} - {None}) > 1
    places = []
    for (parts, number), rest in zip(filled, paths, strict=True):
        split = None
        if over and rest:
            split, rest = split_named(rest[0]), rest[1:]
        elif below and len(rest) > 1:
            split, rest = split_named(rest[1]), (rest[0], *rest[2:])
        places.append(_Place(parts, number, split if told else None, rest))
    return _unwrap(places, around) if over else places


def _container(paths: Sequence[Parts]) -> Parts:
    """Return the folder that all class folders lie in; images beside them do not matter."""
    prefix: Parts = ()
    while True:
        deeper = [parts for parts in paths if len(parts) > len(prefix)]
        heads = {parts[len(prefix)] for parts in deeper}
        if len(heads) != 1 or all(len(parts) == len(prefix) + 1 for parts in deeper):
            return prefix
        prefix = (*prefix, heads.pop())


def _are_splits(paths: Sequence[Parts], known: set[str], mixed: bool = True) -> bool:
    """Whether the folders at the head of paths are the splits of a data set.

    All are called like splits (or like what is not sorted yet); or, if that may be `mixed`, two
    splits with folders in them lie beside others.
    """
    names = {path[0] for path in paths if path}
    named = {name for name in names if split_named(name)}
    deep = {path[0] for path in paths if len(path) > 1}
    if not named or (not deep and {class_key(name) for name in names} <= known):
        return False
    if all(name in named or is_unsorted(name) for name in names):
        return True
    return mixed and named <= deep and len({split_named(name) for name in named}) > 1


def _unwrap(places: Sequence[_Place], around: int) -> list[_Place]:
    """Pass through folders around the classes of one split: ``train/all/cat``."""
    inside: dict[str, list[Parts]] = {}
    for place in places:
        if len(place.parts) > around:
            inside.setdefault(place.parts[around], []).append(place.rest)
    cut = {name: len(_container(rests)) for name, rests in inside.items()}
    return [
        place._replace(rest=place.rest[cut[place.parts[around]] :])
        if len(place.parts) > around
        else place
        for place in places
    ]


def _candidates(place: _Place, known: set[str], damaged: frozenset[str]) -> Iterator[str]:
    """Yield the names of a path that may be classes, the outermost first."""
    start = len(place.parts) - len(place.rest)
    for number, name in enumerate(place.rest):
        whole = (*place.parts[:start], *place.rest)
        if name in damaged or not class_key(name):
            continue
        if class_key(name) in known or find_neutral(whole, start + number) is None:
            yield name


def _match_classes(places: Sequence[_Place], known: set[str], damaged: frozenset[str]) -> _Choice:
    """Take the folders that are named like classes of the project."""
    labels = {}
    for place in places:
        # A class may also be the folder around everything, as where one class alone comes in.
        names = place.parts if place.split is None else place.rest
        fitting = [name for name in names if class_key(name) in known and name not in damaged]
        if fitting:
            labels[place.parts] = fitting[-1]
    if labels:
        return _Choice(labels, True, "they are named like classes of the project")
    outer = _distinct(n for place in places for n in list(_candidates(place, known, damaged))[:1])
    if not outer:
        return _nameless(places, damaged)
    return _Choice(
        {}, False, f"no folder is named like a class of the project ({_listed(outer)})", TAKE
    )


def _find_classes(places: Sequence[_Place], damaged: frozenset[str]) -> _Choice:
    """Take what looks like class folders, in a project that has no class yet."""
    left = {place.parts: list(_candidates(place, set(), damaged)) for place in places}
    names = _distinct(name for found in left.values() for name in found[:1])
    if not names:
        return _nameless(places, damaged)
    deep = next((parts for parts, found in left.items() if len(found) > 1), None)
    if deep is not None:
        return _Choice(
            {},
            False,
            f"folders lie within folders (as {shown('/'.join(deep))}), "
            "and either could be the class",
            f"--labels folders takes the outer ones as classes ({_listed(names)})",
        )
    if len(names) == 1:
        return _Choice({}, False, f"there is one folder alone, {_listed(names)}", TAKE)
    images = sum(place.images for place in places if left[place.parts])
    if len(names) > MOST_UNASKED and images < FULL * len(names):
        return _Choice(
            {},
            False,
            f"there are {len(names):,} folders with {images / len(names):.1f} images each, which "
            "may be one for each subject or burst instead of for each class",
            TAKE,
        )
    labels = {parts: found[0] for parts, found in left.items() if found}
    return _Choice(labels, True, "folders side by side with a name each are classes")


def _take_by_request(places: Sequence[_Place], known: set[str], damaged: frozenset[str]) -> _Choice:
    """Take the folders as labels whatever they are called, but for damaged names."""
    labels = {}
    for place in places:
        names = list(_candidates(place, known, damaged))
        fitting = [name for name in names if class_key(name) in known]
        plain = [name for name in place.rest[-1:] if name not in damaged and class_key(name)]
        if best := fitting[-1:] or names[:1] or plain:
            labels[place.parts] = best[0]
    if labels:
        return _Choice(labels, True, "folders are labels by request")
    return _nameless(places, damaged)


def _nameless(places: Sequence[_Place], damaged: frozenset[str]) -> _Choice:
    """Say why no folder can be a class."""
    if not any(place.parts for place in places):
        return _Choice({}, False, "no image lies in a folder")
    if any(name in damaged for place in places for name in place.rest):
        return _Choice({}, False, "the names of the folders are damaged")
    kinds: dict[str, list[str]] = {}
    for place in places:
        start = len(place.parts) - len(place.rest)
        for number, name in enumerate(place.rest):
            why = find_neutral((*place.parts[:start], *place.rest), start + number)
            if why is not None:
                kinds.setdefault(WHY[why], []).append(name)
    if not kinds:
        return _Choice({}, False, "the split folders hold no class folders")
    said = "; ".join(f"{_listed(_distinct(names))}: {why}" for why, names in kinds.items())
    return _Choice({}, False, f"no folder is named like a class ({said})", TAKE)


def _decide(
    places: Sequence[_Place], choice: _Choice, existing: Sequence[str], damaged: frozenset[str]
) -> FolderDecision:
    """Put it all together."""
    known = {class_key(name) for name in existing}
    words = Counter[str]()
    for place in places:
        if place.parts in choice.labels:
            words[choice.labels[place.parts]] += place.images
    spellings = choose_spellings(words, existing)
    listed: list[FolderMeaning] = []
    classes, splits = Counter[str](), Counter[Split]()
    for place in places:
        label = choice.labels.get(place.parts)
        if label is not None:
            classes[spellings[label]] += place.images
        if place.split is not None:
            splits[place.split] += place.images
        why = "" if label is not None else _why(place, choice, known, damaged)
        listed.append(FolderMeaning(place.parts, place.images, label, place.split, why))
    images = sum(place.images for place in places)
    return FolderDecision(
        images=images,
        taken=choice.taken,
        reason=choice.reason,
        option=choice.option,
        classes=tuple((name, classes[name]) for name in sorted(classes, key=natural_order)),
        splits=tuple((split, splits[split]) for split in SPLIT_ORDER if splits[split]),
        unlabelled=images - classes.total(),
        folders=tuple(listed),
    )


def _why(place: _Place, choice: _Choice, known: set[str], damaged: frozenset[str]) -> str:
    """Say why the images of one folder get no class."""
    if not choice.taken:
        return choice.reason
    if not place.rest:
        return "in no class folder"
    if any(name in damaged for name in place.rest):
        return "its name is damaged"
    if any(_candidates(place, known, damaged)):
        return "no class of the project"
    why = find_neutral(place.parts, len(place.parts) - 1)
    return WHY[why] if why else "no class"


def natural_order(name: str) -> tuple[object, ...]:
    """Order names as people do: c2 before c10, capitals beside small letters."""
    pieces: list[tuple[int, int, str]] = []
    digits = ""
    for c in [*name.casefold(), ""]:
        if c.isascii() and c.isdigit():
            digits += c
            continue
        if digits:
            pieces.append((0, int(digits), digits))
            digits = ""
        if c:
            pieces.append((1, 0, c))
    return (*pieces, (2, 0, name))


def _distinct(names: Iterable[str]) -> list[str]:
    """Return names once each, in the order of people."""
    return sorted({class_key(name): name for name in names}.values(), key=natural_order)


def _listed(names: Sequence[str]) -> str:
    more = len(names) - NAMED
    return ", ".join(map(shown, names[:NAMED])) + (f" and {more:,} more" if more > 0 else "")
