"""The audit of packages: advisories are read as they come, and without them nothing is claimed."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from importlib.metadata import PathDistribution
from pathlib import Path

import pytest

from tools import audit

FAULTY = {
    "dependencies": [
        {"name": "good", "version": "1", "vulns": []},
        {
            "name": "bad",
            "version": "2",
            "vulns": [
                {"id": "PYSEC-1", "fix_versions": ["2.1", "3"]},
                {"id": "GHSA-2", "fix_versions": []},
            ],
        },
    ]
}


def test_known_faults_are_named_with_their_mend() -> None:
    advice = audit.read_advice(json.dumps(FAULTY), "")
    assert (advice.asked, advice.unknown) == (2, 0)
    assert advice.faults == (
        "bad 2: PYSEC-1, mended in 2.1, 3",
        "bad 2: GHSA-2, mended in no version yet",
    )


def test_what_could_not_be_asked_is_not_taken_for_sound() -> None:
    told = {"dependencies": [{"name": "a", "version": "1", "skip_reason": "not found"}]}
    assert audit.read_advice(json.dumps(told), "") == audit.Advice((), 1, 1, "not found")
    assert audit.read_advice("", "first\nConnectionError: no network\n") == audit.Advice(
        (), 0, 0, "ConnectionError: no network"
    )


def test_without_advisories_nothing_is_claimed(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(audit, "ask_advisories", lambda _: audit.Advice((), 0, 0, "No network."))
    monkeypatch.setattr(audit, "check_installed", lambda _: iter(["torch: was changed"]))
    monkeypatch.setattr(audit, "write_bill", lambda: 7)
    assert audit.main() == 1
    told = capsys.readouterr().out
    assert "of all packages nothing could be learned. No network." in told
    assert "whether a fault is known is NOT known" in told
    assert "torch: was changed" in told


def test_every_requirement_is_pinned_with_a_hash_and_once() -> None:
    pins = [pin for path in audit.LISTS for pin in audit.read_pins(path)]
    assert {"torch", "streamlit", "pip-audit"} <= {pin.name for pin in pins}
    assert list(audit.check_pins(pins)) == []


def test_what_is_not_pinned_is_refused(tmp_path: Path) -> None:
    file = tmp_path / "requirements.txt"
    file.write_text("torch>=2\n")
    with pytest.raises(ValueError, match="torch>=2"):
        list(audit.read_pins(file))
    file.write_text("torch==2 ; python_version < '3'\nnumpy==1\n# numpy==9\n")
    (pin,) = audit.read_pins(file)
    assert list(audit.check_pins([pin, audit.Pin("numpy", "2", 1)])) == [
        "numpy 1: is pinned without a hash. Run: make lock",
        "numpy: is pinned as 1 and as 2. Run: make lock",
    ]


def test_a_changed_file_of_a_package_is_named(tmp_path: Path) -> None:
    from importlib.metadata import distribution

    source = distribution("click")
    assert list(audit.list_changed(source)) == []
    site = Path(str(source.locate_file("")))
    for name in ("click", f"click-{source.version}.dist-info"):
        shutil.copytree(site / name, tmp_path / name)
    copy = PathDistribution(tmp_path / f"click-{source.version}.dist-info")
    assert list(audit.list_changed(copy)) == []
    (tmp_path / "click" / "core.py").open("a").write("import os\n")
    (tmp_path / "click" / "types.py").unlink()
    assert sorted(audit.list_changed(copy)) == ["click/core.py", "click/types.py"]


def test_packages_that_are_not_as_pinned_are_named() -> None:
    pins = [audit.Pin("click", "0.1", 1), audit.Pin("no-such-package", "1", 1)]
    told = list(audit.check_installed(pins))
    assert told[0].startswith("click: ")
    assert "0.1 is pinned" in told[0]
    assert told[1] == "no-such-package 1: is not installed. Run: make dev"


def test_the_bill_of_materials_is_valid_and_names_the_packages(tmp_path: Path) -> None:
    file = tmp_path / "sbom.json"
    number = audit.write_bill(file)
    told = json.loads(file.read_text(encoding="utf-8"))
    assert told["bomFormat"] == "CycloneDX"
    names = {one["name"] for one in told["components"]}
    assert number == len(told["components"])
    assert {"torch", "fastai", "streamlit", "sqlalchemy"} <= names
    assert told["metadata"]["component"]["name"] == "labeller"


def test_it_starts_as_the_makefile_starts_it() -> None:
    code = "import runpy, sys; sys.argv = ['audit']; runpy.run_path('tools/audit.py')"
    subprocess.run([sys.executable, "-c", code], cwd=audit.ROOT, check=True)
