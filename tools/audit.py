"""Look for known faults in the packages, and write the list of them: ``make audit``.

Advisories come from PyPI by way of pip-audit. Where they cannot be had, what can be said without a
network is checked instead, and what cannot is said.
"""

from __future__ import annotations

import base64
import hashlib
import json
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import Distribution, PackageNotFoundError, distribution
from pathlib import Path

from packaging.markers import Marker
from packaging.utils import canonicalize_name

ROOT = Path(__file__).resolve().parents[1]
LISTS = (ROOT / "requirements.txt", ROOT / "requirements-dev.txt")
BILL = ROOT / "build" / "sbom.cdx.json"
_PIN = re.compile(
    r"^(?P<name>[A-Za-z0-9._-]+)(\[[^\]]*\])?==(?P<version>[^\s;]+)\s*(;\s*(?P<marker>[^\\]+))?"
)
SECONDS = 900


@dataclass(frozen=True, slots=True)
class Pin:
    """One line of a list of requirements."""

    name: str
    version: str
    hashes: int


@dataclass(frozen=True, slots=True)
class Advice:
    """What advisories say: the faults known, and how many packages nothing could be learned of."""

    faults: tuple[str, ...]
    asked: int
    unknown: int
    reason: str = ""


def main() -> int:
    """Print what was found; return 1 when something must be done."""
    advice = ask_advisories(LISTS)
    faults = list(advice.faults)
    if advice.unknown or not advice.asked:
        which = f"{advice.unknown} of {advice.asked}" if advice.asked else "all"
        print(f"Advisories: of {which} packages nothing could be learned. {advice.reason}")
        print("Checked without a network instead; whether a fault is known is NOT known:")
        pins = [pin for path in LISTS for pin in read_pins(path)]
        problems = [*check_pins(pins), *check_installed(pins)]
        print(f"  {len(pins)} pins with hashes, installed as pinned, files as recorded")
        faults += problems
    else:
        print(f"Advisories: {advice.asked} packages asked about, {len(faults)} faults known.")
    for fault in faults:
        print(f"  {fault}")
    print(f"Bill of materials: {write_bill()} components in {BILL.relative_to(ROOT)} (CycloneDX)")
    return 1 if faults else 0


def ask_advisories(lists: tuple[Path, ...]) -> Advice:
    """Ask for advisories on every pinned package, by pip-audit."""
    command = [sys.executable, "-m", "pip_audit", "--disable-pip", "--require-hashes"]
    command += ["--format", "json", "--progress-spinner", "off", "--timeout", "10"]
    for path in lists:
        command += ["-r", str(path)]
    try:
        ended = subprocess.run(command, capture_output=True, text=True, timeout=SECONDS)
    except subprocess.TimeoutExpired:
        return Advice((), 0, 0, f"pip-audit did not end within {SECONDS} s.")
    return read_advice(ended.stdout, ended.stderr)


def read_advice(out: str, err: str) -> Advice:
    """Read what pip-audit printed."""
    try:
        told = json.loads(out)["dependencies"]
    except (ValueError, KeyError):
        last = next((line for line in reversed(err.splitlines()) if line.strip()), "")
        return Advice((), 0, 0, last.strip()[:300])
    skipped = [one["skip_reason"] for one in told if "skip_reason" in one]
    faults = tuple(
        f"{one['name']} {one['version']}: {fault['id']}, mended in "
        f"{', '.join(fault['fix_versions']) or 'no version yet'}"
        for one in told
        for fault in one.get("vulns", ())
    )
    return Advice(faults, len(told), len(skipped), skipped[0] if skipped else "")


def read_pins(path: Path) -> Iterator[Pin]:
    """Yield the pins of a list that hold on this machine.

    Raises
    ------
    ValueError
        When a line of it is no pin.
    """
    text = path.read_text(encoding="utf-8").replace("\\\n", " ")
    for line in text.splitlines():
        if not line.strip() or line.lstrip().startswith("#"):
            continue
        found = _PIN.match(line)
        if found is None:
            raise ValueError(f"{path.name}: {line[:80]!r} pins no version.")
        marker = (found["marker"] or "").split("--hash")[0].strip()
        if not marker or Marker(marker).evaluate():
            yield Pin(canonicalize_name(found["name"]), found["version"], line.count("--hash="))


def check_pins(pins: list[Pin]) -> Iterator[str]:
    """Say which pins have no hash, and which contradict each other."""
    versions: dict[str, set[str]] = {}
    for pin in pins:
        versions.setdefault(pin.name, set()).add(pin.version)
        if not pin.hashes:
            yield f"{pin.name} {pin.version}: is pinned without a hash. Run: make lock"
    for name, wanted in versions.items():
        if len(wanted) > 1:
            yield f"{name}: is pinned as {' and as '.join(sorted(wanted))}. Run: make lock"


def check_installed(pins: list[Pin]) -> Iterator[str]:
    """Say which packages are not installed as pinned, or hold other files than they came with."""
    for name, version in sorted({(pin.name, pin.version) for pin in pins}):
        try:
            installed = distribution(name)
        except PackageNotFoundError:
            yield f"{name} {version}: is not installed. Run: make dev"
            continue
        if installed.version != version:
            yield f"{name}: {installed.version} is installed, {version} is pinned. Run: make dev"
        for file in list_changed(installed):
            yield f"{name}: {file} is not the file it came with. Install it again."


def list_changed(installed: Distribution) -> Iterator[str]:
    """Yield the files of a package that are gone or whose hash is not the recorded one."""
    for file in installed.files or ():
        if file.hash is None:
            continue
        try:
            digest = hashlib.new(file.hash.mode, Path(str(file.locate())).read_bytes()).digest()
        except OSError:
            yield str(file)
            continue
        if base64.urlsafe_b64encode(digest).rstrip(b"=").decode() != file.hash.value:
            yield str(file)


def write_bill(to: Path = BILL) -> int:
    """Write what the product is made of, and return how many components that is.

    Raises
    ------
    subprocess.CalledProcessError
        When it cannot be made, or is not valid.
    """
    to.parent.mkdir(parents=True, exist_ok=True)
    command = [sys.executable, "-m", "cyclonedx_py", "requirements", str(LISTS[0])]
    command += ["--pyproject", str(ROOT / "pyproject.toml"), "--validate", "-o", str(to)]
    subprocess.run(command, check=True, capture_output=True)
    return len(json.loads(to.read_text(encoding="utf-8"))["components"])


if __name__ == "__main__":
    sys.exit(main())
