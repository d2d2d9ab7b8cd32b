from __future__ import annotations

import tomllib
from dataclasses import fields
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeller.config import FILE, Settings, changed, load_settings, to_toml
from labeller.errors import ConfigError
from labeller.project import change_settings, create_project


def load(folder: Path, text: str, **environment: str) -> Settings:
    (folder / FILE).write_text(text, encoding="utf-8")
    return load_settings(folder, environment)


def test_an_empty_file_means_the_defaults(tmp_path: Path) -> None:
    assert load(tmp_path, "") == Settings()


def test_values_of_the_file_are_taken_and_the_environment_wins(tmp_path: Path) -> None:
    text = 'id = "x"\nbatch = 20\nlabel_price = 2\nstart_workers = false\n'
    settings = load(tmp_path, text)
    assert (settings.batch, settings.label_price, settings.start_workers) == (20, 2.0, False)
    assert isinstance(settings.label_price, float)
    over = load(
        tmp_path,
        text,
        LABELLER_BATCH="30",
        LABELLER_START_WORKERS="yes",
        LABELLER_DEVICE="cpu",
        LABELLER_TOKEN_HOURS="0.5",
        LABELLER_ID="forged",
        LABELLER_STATE="/elsewhere",
    )
    assert (over.batch, over.start_workers, over.device, over.token_hours) == (30, True, "cpu", 0.5)
    assert over.id == "x"  # whose labels these are is no matter of the environment


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("batch = ", "not valid TOML"),
        ("colour = 1", "unknown setting 'colour'"),
        ("batch = 0", "out of range"),
        ("batch = 1.5", "must be int, not float"),
        ("batch = true", "must be int, not bool"),
        ("start_workers = 1", "must be bool, not int"),
        ("audit_share = nan", "no number that can be used"),
        ("audit_share = 1.5", "out of range"),
        ('seed = "1"', "must be int, not str"),
    ],
)
def test_what_cannot_be_used_is_refused_with_the_reason(
    tmp_path: Path, text: str, reason: str
) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        load(tmp_path, text)
    assert str(tmp_path / FILE) in str(caught.value)


@pytest.mark.parametrize(
    ("name", "value", "reason"),
    [
        ("LABELLER_BATCH", "many", "'many' is not a number"),
        ("LABELLER_BATCH", "0", "out of range"),
        ("LABELLER_START_WORKERS", "perhaps", "neither true nor false"),
    ],
)
def test_a_bad_environment_is_named(tmp_path: Path, name: str, value: str, reason: str) -> None:
    with pytest.raises(ConfigError, match=reason) as caught:
        load(tmp_path, "", **{name: value})
    assert name in str(caught.value)


def test_a_missing_or_binary_file_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="cannot be read"):
        load_settings(tmp_path, {})
    (tmp_path / FILE).write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match=r"not valid TOML|not whole as UTF-16"):
        load_settings(tmp_path, {})


def test_only_what_differs_from_the_defaults_is_written() -> None:
    assert changed(Settings(id="x"), batch=7, seed=0) == {"id": "x", "batch": 7}
    with pytest.raises(ConfigError, match="batch"):
        changed(Settings(), batch=0)


@given(
    name=st.text(st.characters(exclude_categories=["Cs"])),
    seed=st.integers(0, 2**63 - 1),
    price=st.floats(0, allow_nan=False),
    start=st.booleans(),
)
def test_what_is_written_reads_back_the_same(
    name: str, seed: int, price: float, start: bool
) -> None:
    table: dict[str, Any] = {
        "name": name,
        "seed": seed,
        "label_price": price,
        "start_workers": start,
    }
    text = to_toml(table)
    assert tomllib.loads(text) == table
    assert to_toml(table, text) == text
    other = {name: value for name, value in table.items() if name != "seed"}
    assert tomllib.loads(to_toml(other, text)) == other


BY_HAND = """# our birds, do not touch
id = "x"   # made by init

batch = 50 # a coffee's worth
# seeds that were tried: 1, 2
seed = 2
"""


def test_what_a_person_wrote_keeps_its_comments_and_order() -> None:
    assert to_toml(tomllib.loads(BY_HAND), BY_HAND) == BY_HAND
    table = {"id": "x", "batch": 70, "seed": 2, "start_workers": False}
    text = to_toml(table, BY_HAND)
    assert text.startswith(BY_HAND.replace("50", "70"))
    assert tomllib.loads(text) == table
    help_ = next(f.metadata["help"] for f in fields(Settings) if f.name == "start_workers")
    assert text.endswith(f"# {help_}\nstart_workers = false\n")
    assert to_toml(table, text) == text
    assert tomllib.loads(to_toml(table | {"start_workers": True}, text))["start_workers"] is True
    assert to_toml({"id": "x", "batch": 70, "seed": 2}, text) == BY_HAND.replace("50", "70")
    assert "seed = 2" not in to_toml({"id": "x", "batch": 70}, text)


def test_a_setting_changed_on_a_page_keeps_the_rest_of_the_file(tmp_path: Path) -> None:
    project = create_project(tmp_path / "p", ["cat"], batch=50)
    file = project.root / "project.toml"
    file.write_text("# ours\n" + file.read_text().replace("batch = 50", "batch = 50  # small"))
    change_settings(project, seed=4)
    text = file.read_text()
    assert text.startswith("# ours\n")
    assert "batch = 50  # small\n" in text
    assert load_settings(project.root, {}).seed == 4


def test_every_setting_has_a_help_text_that_is_a_sentence() -> None:
    for field in fields(Settings):
        text = field.metadata["help"]
        assert text.endswith("."), field.name
        assert text[0].isupper(), field.name
