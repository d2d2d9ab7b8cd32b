"""The card's script: many small modules, joined into the one text that Streamlit takes."""

from __future__ import annotations

import re
from collections import Counter
from pathlib import Path

import pytest

from labeller.ui import card
from labeller.ui.card.bundle import bundle, ordered

FOLDER = Path(card.__file__).parent / "js"
MODULES = sorted(path.name for path in FOLDER.glob("*.js"))
DECLARED = re.compile(
    r"^(?:export )?(?:async )?(?:function\*?|class|const|let) ([A-Za-z_$][\w$]*)", re.MULTILINE
)


def test_every_module_is_in_the_bundle_after_those_it_needs() -> None:
    found = list(ordered(FOLDER))
    assert sorted(found) == MODULES
    assert found[-1] == "mount.js"
    for name in found:
        text = (FOLDER / name).read_text(encoding="utf-8")
        for needed in re.findall(r'from "\./(\w+\.js)"', text):
            assert found.index(needed) < found.index(name), f"{name} needs {needed}"


def test_the_bundle_has_one_export_and_no_import() -> None:
    text = bundle(FOLDER)
    assert re.findall(r"^export .*", text, re.MULTILINE) == [
        "export default function mount({ data, parentElement, setTriggerValue }) {"
    ]
    assert not re.search(r"^import ", text, re.MULTILINE)


def test_no_two_modules_declare_the_same_name() -> None:
    names = Counter(
        name for module in MODULES for name in DECLARED.findall((FOLDER / module).read_text())
    )
    assert [name for name, times in names.items() if times > 1] == []


@pytest.mark.parametrize("module", MODULES)
def test_modules_are_small_and_put_data_in_as_text(module: str) -> None:
    text = (FOLDER / module).read_text(encoding="utf-8")
    assert text.startswith("/**"), "says what it is for"
    assert text.count("\n") < 300
    assert not re.search(r"innerHTML|outerHTML|insertAdjacentHTML|document\.write|\beval\(", text)


def test_a_ring_of_imports_is_named(tmp_path: Path) -> None:
    (tmp_path / "mount.js").write_text('import { a } from "./one.js";\n')
    (tmp_path / "one.js").write_text('import { b } from "./mount.js";\n')
    with pytest.raises(ValueError, match="imports itself"):
        bundle(tmp_path)
