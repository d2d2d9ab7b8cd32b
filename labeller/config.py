"""Settings of a project: ``project.toml``, overridden by ``LABELLER_*`` in the environment."""

from __future__ import annotations

import math
import os
import tomllib
from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from pathlib import Path
from typing import Any, Literal, get_args

from labeller.errors import ConfigError
from labeller.text_files import TextError, read_text

FILE = "project.toml"
PRICES = ("label_price", "synthetic_price")
SMALLEST_PRICE = 0.001  # amounts are kept in whole thousandths
LARGEST_PRICE = 1e9
_LARGEST = 2**63  # of the numbers that a database keeps

ResizeMethod = Literal["squish", "crop", "pad"]


def _setting(
    default: Any,
    text: str,
    *,
    low: float | None = None,
    high: float | None = None,
    choices: tuple[str, ...] = (),
) -> Any:
    about = {"help": text, "low": low, "high": high, "choices": choices}
    return field(default=default, metadata=about)


@dataclass(frozen=True, slots=True)
class Settings:
    """Every setting of ``project.toml``; its variable is ``LABELLER_`` + the name in capitals."""

    id: str = _setting("", "Identity of the project, made by `init`; never changed.")
    name: str = _setting("", "Name on screen; the folder's name when empty.")
    database: str = _setting(
        "", "SQLAlchemy URL of the database; empty for the SQLite file labeller.db in the project."
    )
    seed: int = _setting(0, "Seed of everything random.", low=0)
    label_price: float = _setting(
        1.0, "What one label costs of the budget: 0, or 0.001 and more.", low=0, high=LARGEST_PRICE
    )
    synthetic_price: float = _setting(
        1.0,
        "What one synthetic item costs of the budget: 0, or 0.001 and more.",
        low=0,
        high=LARGEST_PRICE,
    )
    audit_share: float = _setting(
        0.1,
        "Share of the items, and of every queue, that belongs to the audit set.",
        low=0,
        high=0.9,
    )
    valid_share: float = _setting(
        0.2,
        "Share of the other labelled items that validates instead of training.",
        low=0,
        high=0.9,
    )
    split_method: str = _setting(
        "hash",
        "How a new image gets its split: `hash`, by the hash of its group alone, or `stratified`: "
        "where it comes with a label, so that each split has its share of each class, which small "
        "sets need.",
    )
    strategy: str = _setting("auto", "Strategy that the sidebar and `round` begin with.")
    mixture: str = _setting(
        "margin=70+typiclust=20+random=10",
        "Parts of the strategy `mixture`, with their shares of a batch.",
    )
    distinct_distance: float = _setting(
        0.3,
        "No two images of a batch are closer than this while others are left: the distance between "
        "embeddings of length one, 0 to 2. Of images that the leak guard found alike one is asked "
        "about, and the others come last. 0 switches both off.",
        low=0,
        high=2,
    )
    leak_distance: float = _setting(
        0.35,
        "Images whose embeddings of length one are closer than this, or that look the same, share "
        "a split, so that few near-duplicates of training images measure a model; 0 switches it "
        "off.",
        low=0,
        high=1,
    )
    batch: int = _setting(100, "Labels to ask for in one round.", low=1, high=100_000)
    backbone: str = _setting(
        "efficientnet_lite0",
        "Backbone whose features the model learns from: `efficientnet_lite0`, which is packaged, "
        "`torchvision/NAME` or `timm/NAME`.",
    )
    resize_method: ResizeMethod = _setting(  # noqa: RUF009 - as the others; the type is an alias
        "squish",
        "How images become the squares that a backbone takes: `squish` (all of the image, "
        "proportions not kept), `crop` (the square in the middle; fine-tuning trains on random "
        "parts of it) or `pad` (all of it, proportions kept, grey around). Another one has all "
        "features computed anew.",
        choices=get_args(ResizeMethod),
    )
    training: str = _setting(
        "auto",
        "How to train: `auto`, `features` (head on cached features), `fine_tune` (new layer, then "
        "the whole backbone) or `progressive` (new layer, last blocks, the whole backbone).",
    )
    class_weights: str = _setting(
        "none",
        "What rare classes count in training: `none` (every example the same) or `balanced` "
        "(every class the same).",
    )
    label_smoothing: float = _setting(
        0.0,
        "Share of every training label that is spread over all classes, against overconfidence.",
        low=0,
        high=0.5,
    )
    keep: str = _setting(
        "last",
        "Weights to keep: `last`, of the last epoch, or `best`, of the epoch with the lowest "
        "validation loss.",
    )
    patience: int = _setting(
        0,
        "Epochs without a lower validation loss after which training stops and keeps the best "
        "weights; 0 trains to the end.",
        low=0,
        high=1_000,
    )
    training_examples: int = _setting(
        0,
        "About how many examples a training looks at, in whole passes over labels and synthetic "
        "items: at least one pass for a head, two for a whole backbone; 0 for the usual: 12 passes "
        "and at least 6,400 for a head, 20,000 in 4 to 30 passes after a first one for a whole "
        "backbone.",
        low=0,
        high=1_000_000_000,
    )
    mirror: bool = _setting(
        False,
        "Fine-tuning mirrors half of the images it looks at: only where a mirrored picture is of "
        "the same class.",
    )
    committee: int = _setting(
        1,
        "Models trained with different seeds, whose opinions strategies ask for; with 1 they ask "
        "for those of its dropout passes.",
        low=1,
        high=20,
    )
    soft_voting: bool = _setting(
        False, "Predict by the mean of the committee's probabilities, not by its first model alone."
    )
    train_on_generated: bool = _setting(
        False,
        "Train on the generated labels of accepted runs too, those of the training split; they "
        "never validate, calibrate or measure a model.",
    )
    device: str = _setting("auto", "Where to train: `auto`, `cpu` or `cuda`.")
    second_opinions: float = _setting(
        0.0,
        "Share of the labelled items that the queue puts to another annotator too, blind, so that "
        "their agreement is known; the first label stays the one that counts.",
        low=0,
        high=1,
    )
    lease_seconds: int = _setting(
        120, "How long an item stays with a page that fell silent.", low=5, high=86_400
    )
    key_interval_ms: int = _setting(
        150, "Shortest time between two labels by a held key.", low=0, high=5_000
    )
    token_hours: float = _setting(
        12.0, "How long an API token is good for.", low=0.01, high=24 * 366
    )
    token_days: float = _setting(
        30.0,
        "How long an API token can be renewed, counted from when it was first made.",
        low=0.01,
        high=24 * 366,
    )
    thumbnail_pixels: int = _setting(256, "Longest side of thumbnails.", low=32, high=1_024)
    card_pixels: int = _setting(
        1_600,
        "Longest side of the image on the labelling card before zooming in.",
        low=256,
        high=8_192,
    )
    max_image_pixels: int = _setting(
        300_000_000, "Images with more pixels than this are left out of an import.", low=1_000
    )
    decode_memory_mb: int = _setting(
        0,
        "Memory in MB that all images being decoded at one time may take; what needs more alone is "
        "left out. 0 for a quarter of the machine's, from 1 to 8 GiB.",
        low=0,
        high=1_000_000,
    )
    workers: int = _setting(
        0, "Processes for decoding images; 0 for one per core.", low=0, high=256
    )
    login: str = _setting(
        "auto",
        "Whether browsers have to sign in to see this project: `auto`, as the server does, or "
        "`always`, even on the server's own machine. A server asks everybody who does not come "
        "over localhost; LABELLER_LOGIN is auto, always or never for all of its projects.",
        choices=("auto", "always"),
    )
    watch_folder: str = _setting(
        "",
        "Folder whose new images are imported by themselves while the app or a worker runs; "
        "empty for none.",
    )
    models_kept: int = _setting(
        0,
        "Models whose files are kept: the newest, besides the one in use and those that streams go "
        "by; 0 for all. Figures of the others stay.",
        low=0,
        high=1_000_000,
    )
    exports_days: float = _setting(
        0.0,
        "Days after which what was exported into the folder `exports` of the project is deleted; 0 "
        "keeps it.",
        low=0,
        high=100_000,
    )
    logs_days: float = _setting(
        90.0, "Days after which the logs of jobs are deleted; 0 keeps them.", low=0, high=100_000
    )
    start_workers: bool = _setting(
        True, "Start job processes on this machine; false when `labeller worker` runs elsewhere."
    )


def load_settings(root: Path, environment: Mapping[str, str] = os.environ) -> Settings:
    """Read a project's settings.

    Parameters
    ----------
    root : Path
        The project folder.
    environment : mapping of str to str
        Where ``LABELLER_*`` overrides are looked up.

    Returns
    -------
    Settings

    Raises
    ------
    ConfigError
        When the file is missing or unreadable, or names an unknown setting or an impossible value.
    """
    path = root / FILE
    try:
        values = tomllib.loads(read_text(path))
    except OSError as error:
        raise ConfigError(f"{path}: cannot be read ({error.strerror or error}).") from error
    except TextError as error:
        raise ConfigError(f"{path}: {error}. Save the file as UTF-8.") from error
    except tomllib.TOMLDecodeError as error:
        raise ConfigError(
            f"{path}: is not valid TOML ({error}). Mend or restore the file."
        ) from error
    known = {f.name: f for f in fields(Settings)}
    for name in values:
        if name not in known:
            raise ConfigError(
                f"{path}: unknown setting {name!r}. Known settings: {', '.join(known)}."
            )
    merged = {name: _checked(str(path), name, value) for name, value in values.items()}
    for name in known:
        variable = f"LABELLER_{name.upper()}"
        if name not in ("id", "login") and variable in environment:
            merged[name] = _checked(variable, name, _parsed(variable, name, environment[variable]))
    return Settings(**merged)


def changed(settings: Settings, **values: Any) -> dict[str, Any]:
    """Return the checked TOML table of `settings` with `values` put in, defaults left out."""
    table = {f.name: getattr(settings, f.name) for f in fields(Settings)}
    table.update({name: _checked("settings", name, value) for name, value in values.items()})
    defaults = Settings()
    return {name: value for name, value in table.items() if value != getattr(defaults, name)}


def to_toml(table: Mapping[str, Any], text: str = "") -> str:
    """Write a flat table as TOML, into the text that was there.

    Parameters
    ----------
    table : mapping of str to values
        All settings that are to be in it.
    text : str
        TOML, whose comments and order stay.

    Returns
    -------
    str
        A setting that was not there comes last, with its help as a comment.
    """
    import tomlkit  # a fortieth of a second that most commands can do without

    helps = {f.name: f.metadata["help"] for f in fields(Settings)}
    document = tomlkit.parse(text)
    before: dict[str, Any] = document.unwrap()
    for name in before.keys() - table.keys():
        del document[name]
    for name, value in table.items():
        if name not in before:
            document.add(tomlkit.comment(helps[name]))
            document.add(name, value)
        elif (type(before[name]), before[name]) != (type(value), value):
            document[name] = value
    written = tomlkit.dumps(document)
    for name in helps.keys() - table.keys():
        written = written.replace(f"# {helps[name]}\n", "")
    return written


def _parsed(variable: str, name: str, text: str) -> Any:
    """Turn an environment variable's text into the type of its setting."""
    default = getattr(Settings(), name)
    if isinstance(default, bool):
        if text.lower() in ("1", "true", "yes", "on"):
            return True
        if text.lower() in ("0", "false", "no", "off"):
            return False
        raise ConfigError(f"{variable}: {text!r} is neither true nor false.")
    try:
        return type(default)(text)
    except ValueError as error:
        raise ConfigError(f"{variable}: {text!r} is not a number.") from error


def _checked(where: str, name: str, value: Any) -> Any:
    """Return `value` if it may be used for the setting `name`."""
    default = getattr(Settings(), name)
    if isinstance(default, float) and isinstance(value, int) and not isinstance(value, bool):
        value = float(value) if abs(value) < _LARGEST else math.inf
    if type(value) is not type(default):
        raise ConfigError(
            f"{where}: {name} must be {type(default).__name__}, not {type(value).__name__}."
        )
    meta = next(f.metadata for f in fields(Settings) if f.name == name)
    if meta["choices"] and value not in meta["choices"]:
        raise ConfigError(f"{where}: {name} = {value!r} is none of {', '.join(meta['choices'])}.")
    low, high = meta["low"], meta["high"]
    if isinstance(value, float) and not math.isfinite(value):
        raise ConfigError(f"{where}: {name} = {value} is no number that can be used.")
    if name in PRICES and 0 < value < SMALLEST_PRICE:
        raise ConfigError(
            f"{where}: {name} = {value} is less than the smallest price, {SMALLEST_PRICE}. "
            f"0 is for nothing."
        )
    if type(value) is int and abs(value) >= _LARGEST:
        raise ConfigError(f"{where}: {name} has more digits than can be kept.")
    if (low is not None and not value >= low) or (high is not None and not value <= high):
        raise ConfigError(f"{where}: {name} = {value} is out of range ({low} to {high}).")
    return value
