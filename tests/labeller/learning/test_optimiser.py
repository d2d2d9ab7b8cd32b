"""The optimizer makes fastai's own steps, bit for bit on a CPU."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from fastai.optimizer import Adam
from torch import nn

from labeller.learning.optimiser import adam


def network() -> nn.Sequential:
    torch.manual_seed(3)
    return nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.ReLU(), nn.Linear(8, 3))


def trained(make: Callable[..., Any], steps: int, wd: float) -> tuple[nn.Sequential, Any]:
    """Train in two groups, the first of which joins later, with rates that change."""
    module = network()
    first, last = list(module[0].parameters()), list(module[1:].parameters())
    optimizer = make([first, last], lr=0.01, wd=wd)
    for parameter in (module[0].bias, *module[1].parameters(), module[3].bias):
        optimizer.state[parameter]["do_wd"] = False
    x, y = torch.randn(32, 6), torch.randint(3, (32,))
    for step in range(steps):
        optimizer.freeze_to(0 if step >= 3 else 1)
        optimizer.set_hyper("lr", [0.001 * (step + 1), 0.01 * (step + 1)])
        optimizer.set_hyper("mom", 0.95 - 0.01 * step)
        nn.functional.cross_entropy(module(x), y).backward()  # type: ignore[no-untyped-call]
        optimizer.step()
        optimizer.zero_grad()
    return module, optimizer


@pytest.mark.parametrize("wd", [0.0, 0.05])
def test_the_same_steps_as_fastai(wd: float) -> None:
    (ours, made), (theirs, reference) = trained(adam, 8, wd), trained(Adam, 8, wd)
    for name, value in theirs.state_dict().items():
        assert torch.equal(ours.state_dict()[name], value), name
    before = network().state_dict()
    assert not torch.equal(ours.state_dict()["0.weight"], before["0.weight"])
    for (_, _, state, hyper), (_, _, other, theirs_too) in zip(
        made.all_params(), reference.all_params(), strict=True
    ):
        assert hyper == theirs_too
        assert state.keys() == other.keys()
        assert state["step"] == other["step"]
        assert torch.equal(state["grad_avg"], other["grad_avg"])
        assert torch.equal(state["sqr_avg"], other["sqr_avg"])


def test_what_has_no_gradient_stays() -> None:
    module, optimizer = trained(adam, 2, 0.0)
    frozen, before = next(module.parameters()), next(network().parameters())
    assert torch.equal(frozen, before)
    assert "step" not in optimizer.state[frozen]
    assert all(parameter.grad is None for parameter in module.parameters())
