"""Which key labels which class: a class that is named like a key has it, whenever it came."""

from __future__ import annotations

import string
import unicodedata
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

# The card keeps Space, Enter, arrows and punctuation for its commands; digits and letters are free.
KEYS = (*"1234567890", *string.ascii_lowercase)
COMMANDS = {
    " ": "accepts the suggestion",
    "-": "skips",
    "!": "flags",
    "?": "shows the keys",
    "/": "finds a class",
    "+": "enlarges",
    "=": "enlarges",
}  # by key, what it does on the labelling card


@dataclass(frozen=True, slots=True)
class Held:
    """A class in use: its key, and whether a person chose that, a key of none included."""

    name: str
    key: str | None = None
    chosen: bool = False


def own_key(name: str) -> str | None:
    """Return the key that a class is named like; None when its name is no key.

    Capitals are typed with the key of the small letter; digits of other scripts, and wide signs,
    with the key of the digit or letter that they are.
    """
    if len(name) != 1:
        return None
    digit = unicodedata.digit(name, None)
    sign = str(digit) if digit is not None else unicodedata.normalize("NFKC", name).lower()
    return sign if sign in KEYS else None


def key_owners(names: Iterable[str]) -> dict[str, str]:
    """Return for each key the class that is named like it.

    Of several (``a`` and ``A``) it is the one that is written as the key, else the first.
    """
    owners: dict[str, str] = {}
    for name in names:
        key = own_key(name)
        if key is not None and (key not in owners or name == key):
            owners[key] = name
    return owners


def assign_keys(held: Sequence[Held]) -> dict[str, str | None]:
    """Return the key of each class.

    1. A key that a person chose stays.
    2. A class that is named like a key has it.
    3. Any other keeps the key it has, unless that is another class's by name; else it gets the
       first key, digits before letters, that is free and no other class is named like.

    Parameters
    ----------
    held : sequence of Held
        The classes in use in their order, new ones with no key.
    """
    chosen = {one.name: one.key for one in held if one.chosen}
    taken = {key for key in chosen.values() if key}
    owners = key_owners(one.name for one in held)
    for key, name in owners.items():
        if key not in taken and name not in chosen:
            chosen[name] = key
            taken.add(key)
    for one in held:
        if one.name not in chosen and one.key and one.key not in taken | owners.keys():
            chosen[one.name] = one.key
            taken.add(one.key)
    free = iter([key for key in KEYS if key not in taken and key not in owners])
    for one in held:
        if one.name not in chosen:
            chosen[one.name] = next(free, None)
    return chosen


def explain_key(name: str, key: str | None, others: Mapping[str, str | None]) -> str | None:
    """Say why a class has not the key that it is named like; None where there is nothing to say.

    Parameters
    ----------
    name, key : str
        Of the class.
    others : mapping of str to str or None
        The keys of the other classes in use, by name.
    """
    if name in COMMANDS:
        return f"The key {name} {COMMANDS[name]} on the labelling page, so it labels no class."
    own = own_key(name)
    if own is None and len(name) == 1 and name.isalpha():
        return f"Keys are the digits and the letters a to z: {name} is none of them."
    if own is None or own == key:
        return None
    holder = next((other for other, held in others.items() if held == own), None)
    return None if holder is None else f"The key {own} labels “{holder}”."
