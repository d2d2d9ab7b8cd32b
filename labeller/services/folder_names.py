"""What folders are called that name no class: splits, cameras, dates, and plain names."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from labeller.services.class_names import class_key
from labeller.services.table_columns import SPLITS
from store.records import Split

Neutral = Literal["camera", "date", "plain", "unsorted"]

WHY: dict[Neutral, str] = {
    "camera": "named by a camera",
    "date": "a date",
    "plain": "a plain name",
    "unsorted": "not sorted yet",
}

# Beside the words of the column `split`, which tables and folders share.
_MORE_SPLITS: dict[str, Split] = {
    "training": "train",
    "dev": "valid",
    "development": "valid",
    "testing": "audit",
    "eval": "audit",
    "evaluation": "audit",
    "holdout": "audit",
    "hold-out": "audit",
}
_SET = re.compile(r"[ _-]*(?:set|split|data|images?|imgs?)$")
_UNSORTED = re.compile(r"(?:un(?:labell?ed|sorted|sup|annotated)|to[ _-]?(?:do|label|sort)|inbox)$")
_PLAIN = re.compile(
    r"(?:all[ _-]?)?(?:images?|imgs?|photos?|pictures?|pics?|fotos?|bilder|imagenes|imágenes|data|"
    r"dataset|files?|jpe?gs?|pngs?|tiffs?|camera(?:[ _-]?(?:roll|uploads?))?|dcim|private|"
    r"downloads?|uploads?|exports?|raw|originals?|new folder|untitled folder|neuer ordner|"
    r"nouveau dossier|nueva carpeta|nuova cartella|nova pasta|nieuwe map|新建文件夹|"
    r"新しいフォルダー?)"
    r"(?:[ _-]?copy)?[ _-]*\(?\d{0,3}\)?$"
)
# A camera's folder is three digits from 100 on and five signs (DCF, JEITA CP-3461), as 100CANON,
# 101_PANA, 102MSDCF; written small, only what is known from cameras counts.
_CAMERA = re.compile(r"[1-9]\d\d(?=[A-Z0-9_]*[A-Z_])[A-Z0-9_]{5}$")
_CAMERA_SMALL = re.compile(
    r"[1-9]\d\d_?(?:canon|eos\w*|msdcf|pana|fuji|nikon|d\d+\w*|nd\w+|olymp|pentx|ricoh|casio|"
    r"gopro|media|apple|cloud|sandk|sigma|leica|hasbl|recnx|recny|btcf|ek\d+|dji\w*|photo)$",
    re.IGNORECASE,
)
_SHOT = re.compile(
    r"(?:img|dsc[nf]?|_?dsc|pict|mvi|pxl|gopr|dji|vid|cimg|sam|imag|pano)[ _-]?\d{2,}", re.I
)
_YEAR = r"(?:19|20)\d\d"
_MONTH = r"(?:0?[1-9]|1[0-2])"
_DAY = r"(?:0?[1-9]|[12]\d|3[01])"
_MONTH_NAME = (
    r"(?:jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?|aug(?:ust)?|"
    r"sep(?:t(?:ember)?)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)"
)
_DATES = re.compile(
    rf"(?:{_YEAR}|{_YEAR}[-_. ]?(?:0[1-9]|1[0-2])|{_YEAR}[-_. ]{_MONTH}|{_YEAR}-?w\d\d|"
    rf"{_YEAR}(?:(?P<sep>[-_. ]){_MONTH}(?P=sep){_DAY}|(?:0[1-9]|1[0-2])(?:0[1-9]|[12]\d|3[01]))"
    rf"(?:[-_. t,].*)?|"
    rf"{_DAY}(?P<dot>[-_.]){_MONTH}(?P=dot){_YEAR}|{_MONTH}[-_.]{_YEAR}|"
    rf"(?:{_YEAR}[-_. ]+)?(?:{_DAY}[-_. ]+)?{_MONTH_NAME}[-_. ]+(?:{_DAY}[-_., ]+)?{_YEAR}|"
    rf"{_YEAR}[-_. ]+(?:{_MONTH}[-_. ]+)?{_MONTH_NAME}(?:[-_. ]+{_DAY})?)$"
)
# Within a folder of a date: months and days.
_WITHIN_DATE = re.compile(
    rf"(?:{_MONTH}|{_DAY}|(?:\d\d[-_. ]+)?{_MONTH_NAME}|{_MONTH}[-_.]{_DAY})$"
)


def split_named(name: str) -> Split | None:
    """Return the split that a folder's name means: ``train``, ``Valid``, ``test_set`` ..."""
    word = class_key(name)
    for form in (word, _SET.sub("", word)):
        split = SPLITS.get(form) or _MORE_SPLITS.get(form)
        if split:
            return split
    return None


def is_unsorted(name: str) -> bool:
    """Whether a folder's name says that its images have no class yet."""
    return _UNSORTED.match(class_key(name)) is not None


def find_neutral(parts: Sequence[str], place: int) -> Neutral | None:
    """Return why the name of a folder is nobody's idea of a class; None when it may be one.

    Parameters
    ----------
    parts : sequence of str
        The names of a folder's path.
    place : int
        Which of them is asked about.
    """
    name = parts[place].strip()
    word = class_key(name)
    if _CAMERA.match(name) or _CAMERA_SMALL.match(name) or _SHOT.match(word):
        return "camera"
    if _DATES.match(word):
        return "date"
    if place and _WITHIN_DATE.match(word) and find_neutral(parts, place - 1) == "date":
        return "date"
    if is_unsorted(name):
        return "unsorted"
    return "plain" if _PLAIN.match(word) else None
