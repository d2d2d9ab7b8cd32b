from __future__ import annotations

import hashlib
import subprocess
import sys

import pytest
from hypothesis import given
from hypothesis import strategies as st

from labeller.services.splits import room_for_looks, split_of
from store.records import Split

SHARES = st.floats(0, 0.9)


def hashes(number: int) -> list[str]:
    return [hashlib.sha256(str(i).encode()).hexdigest() for i in range(number)]


def test_known_values_never_change() -> None:
    # Written down once: a change here would move items of every existing project.
    found = "".join(split_of(f"group-{i}", 0.1, 0.2)[0] for i in range(40))
    assert found == "vtttttttttattatvattvttvatttttttvtvattttt"


@given(st.text(), SHARES, SHARES)
def test_the_same_group_always_has_the_same_split(group: str, audit: float, valid: float) -> None:
    assert split_of(group, audit, valid) == split_of(group, audit, valid)


def test_another_process_with_another_hash_seed_agrees() -> None:
    code = (
        "from labeller.services.splits import split_of;"
        "print(''.join(split_of(str(i), .1, .2)[0] for i in range(200)))"
    )
    outputs = {
        subprocess.run(
            [sys.executable, "-c", code],
            env={"PYTHONHASHSEED": seed, "PATH": ""},
            capture_output=True,
            text=True,
            check=True,
        ).stdout.strip()
        for seed in ("1", "2")
    }
    assert outputs == {"".join(split_of(str(i), 0.1, 0.2)[0] for i in range(200))}


@given(st.permutations(hashes(12)))
def test_order_does_not_matter(order: list[str]) -> None:
    assert {g: split_of(g, 0.3, 0.4) for g in order} == {
        g: split_of(g, 0.3, 0.4) for g in hashes(12)
    }


@pytest.mark.parametrize(("audit", "valid"), [(0.1, 0.2), (0.3, 0.5), (0.02, 0.9)])
def test_shares_are_met(audit: float, valid: float) -> None:
    groups = hashes(20_000)
    splits = [split_of(group, audit, valid) for group in groups]
    share = splits.count("audit") / len(groups)
    others = len(groups) - splits.count("audit")
    # four standard deviations
    assert share == pytest.approx(audit, abs=4 * (audit * (1 - audit) / len(groups)) ** 0.5)
    assert splits.count("valid") / others == pytest.approx(
        valid, abs=4 * (valid * (1 - valid) / others) ** 0.5
    )


def test_zero_shares_leave_only_training() -> None:
    assert {split_of(group, 0.0, 0.0) for group in hashes(500)} == {"train"}


@given(st.text(), SHARES, SHARES, SHARES)
def test_a_larger_audit_share_only_moves_items_into_the_audit_set(
    group: str, first: float, second: float, valid: float
) -> None:
    low, high = sorted((first, second))
    before, after = split_of(group, low, valid), split_of(group, high, valid)
    assert after in (before, "audit")


def test_names_that_are_not_utf8_have_a_split() -> None:
    assert split_of("caf\udce9", 0.1, 0.2) in ("train", "valid", "audit")


def test_a_split_may_outgrow_its_share_by_look_alikes_a_little() -> None:
    held: dict[Split, int] = {"train": 7_000, "valid": 1_000, "audit": 2_000}
    room = room_for_looks(held, audit_share=0.2, valid_share=0.1)
    assert room == {"train": 1_200, "valid": 800, "audit": 1_000, "unused": 1_000}
    crowded = room_for_looks({"train": 900, "unused": 300}, audit_share=0.5, valid_share=0.5)
    assert crowded == {"train": -400, "valid": 500, "audit": 800, "unused": -100}
    assert room_for_looks({}, 0.1, 0.1)["train"] == 200, "a first batch of a burst stays together"
