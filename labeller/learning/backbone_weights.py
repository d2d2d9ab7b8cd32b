"""Find the weights of a backbone: put there by hand, cached by their library, or downloaded."""

from __future__ import annotations

import functools
import hashlib
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import huggingface_hub
import torch
from huggingface_hub.errors import EntryNotFoundError

from labeller.errors import BackboneError, WeightsError
from labeller.services.backbone_names import weights_folder
from store.durable import sync_file

HUB_FILES = ("model.safetensors", "pytorch_model.bin")
SUFFIXES = (".safetensors", ".pth", ".pt", ".bin")
PATIENCE = 10.0  # seconds that a silent network is waited for


@dataclass(frozen=True, slots=True)
class Source:
    """Where the weights of one backbone come from.

    `file` is what they are called in the folder for weights, without its ending; `url` is their
    address, `hub` the repository on the Hugging Face hub when they lie there.
    """

    backbone: str
    file: str
    url: str
    hub: str = ""

    @property
    def download_name(self) -> str:
        """Name under which the mend says to save them."""
        return self.file + Path(self.url).suffix


def locate(source: Source) -> Path:
    """Return the weights' file, downloaded into its library's cache when nothing else has it.

    Parameters
    ----------
    source : Source

    Raises
    ------
    WeightsError
        When it is nowhere and cannot be downloaded; the text says how to bring it.
    """
    for suffix in SUFFIXES:
        path = weights_folder() / (source.file + suffix)
        if path.is_file():
            return path
    try:
        return _from_hub(source) if source.hub else _from_url(source)
    except (OSError, RuntimeError, ValueError) as error:
        raise missing(source, str(getattr(error, "reason", None) or error)) from error


def missing(source: Source, reason: str) -> WeightsError:
    """Return the error for weights that are nowhere."""
    target = weights_folder() / source.download_name
    first_line = (reason.splitlines() or ["no reason given"])[0].rstrip(".")
    return WeightsError(
        f"{source.backbone}: its weights are neither in {target} nor in {_cache(source)}, and "
        f"cannot be downloaded ({first_line}). On a machine with network run: "
        f"curl -L -o {source.download_name} {source.url} and put the file into "
        f"{weights_folder()}."
    )


@functools.lru_cache(maxsize=64)
def _digest(path: Path, _size: int, _changed: int) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def digest(path: Path) -> str:
    """Return the SHA-256 of a file, computed again only when the file has changed.

    Raises
    ------
    BackboneError
        When it cannot be read.
    """
    try:
        found = path.stat()
        return _digest(path, found.st_size, found.st_mtime_ns)
    except OSError as error:
        raise BackboneError(
            f"{path}: the weights cannot be read ({error.strerror or error}). "
            "Mend its permissions, or delete it to have it fetched again."
        ) from error


def _cache(source: Source) -> str:
    """Say in which cache the weights would be."""
    if source.hub:
        return str(huggingface_hub.constants.HF_HUB_CACHE)
    return str(_checkpoint(source))


def _checkpoint(source: Source) -> Path:
    return Path(torch.hub.get_dir()) / "checkpoints" / Path(source.url).name


def _from_url(source: Source) -> Path:
    """Return the file of torch's hub; a download is checked by the hash in its name."""
    path = _checkpoint(source)
    if not path.is_file():
        _reach(source.url)
        path.parent.mkdir(parents=True, exist_ok=True)
        expected = torch.hub.HASH_REGEX.search(path.name)
        torch.hub.download_url_to_file(
            source.url, str(path), expected.group(1) if expected else None, progress=False
        )
        _sync(path)
    return path


def _from_hub(source: Source) -> Path:
    """Return the file of the Hugging Face cache, safetensors before others."""
    for name in HUB_FILES:
        cached = huggingface_hub.try_to_load_from_cache(source.hub, name)
        if isinstance(cached, str):
            return Path(cached)
    _reach(huggingface_hub.constants.ENDPOINT)  # else the hub's own tries take half a minute
    for name in HUB_FILES[:-1]:
        try:
            return _fetched(source.hub, name)
        except EntryNotFoundError:
            continue
    return _fetched(source.hub, HUB_FILES[-1])


def _fetched(hub: str, name: str) -> Path:
    """Return a file just downloaded, once it is on the disk: a name there counts as whole."""
    path = Path(huggingface_hub.hf_hub_download(hub, name))
    for one in {path, path.resolve()}:
        _sync(one)
    return path


def _sync(path: Path) -> None:
    sync_file(path)
    sync_file(path.parent)


def _reach(url: str) -> None:
    """Raise OSError soon when there is no way to an address: downloads would wait for long."""
    request = urllib.request.Request(url, method="HEAD")  # noqa: S310 (https, from the library)
    with urllib.request.urlopen(request, timeout=PATIENCE):  # noqa: S310
        pass
