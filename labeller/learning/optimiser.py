"""fastai's Adam with a few kernels for all parameters, where it has ten for each."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, cast

import torch
from fastai.optimizer import Optimizer
from torch import Tensor


class ManyAtOnce(Optimizer):  # type: ignore[misc]
    """The steps of :func:`fastai.optimizer.Adam`, for lists of parameters at a time.

    The numbers are the same, and so is the state that is kept of each parameter. On a GPU, where
    a step of a network with hundreds of small parameters waits for its kernels to be launched, it
    takes a fraction of the time.

    References
    ----------
    Loshchilov, I. and Hutter, F. Decoupled Weight Decay Regularization. ICLR 2019.
    """

    def zero_grad(self) -> None:
        """Forget the gradients: new ones are written, not added."""
        for group in self.param_lists:
            for parameter in group:
                parameter.grad = None

    def step(self, closure: None = None) -> None:
        """Move all parameters that have a gradient."""
        del closure
        for group, hyper in zip(self.param_lists, self.hypers, strict=True):
            alike: dict[tuple[int, bool], list[Tensor]] = {}
            for parameter in group:
                if parameter.grad is None:
                    continue
                state = self.state[parameter]
                if "grad_avg" not in state:
                    state["grad_avg"] = torch.zeros_like(parameter)
                    state["sqr_avg"] = torch.zeros_like(parameter)
                state["step"] = state.get("step", 0) + 1
                decays = bool(state.get("do_wd", True)) and hyper["wd"] != 0
                alike.setdefault((state["step"], decays), []).append(parameter)
            for (step, decays), parameters in alike.items():
                self._move(parameters, step, decays, hyper)

    @torch.no_grad()
    def _move(
        self, parameters: list[Tensor], step: int, decays: bool, hyper: dict[str, float]
    ) -> None:
        """Make one step of parameters that have made as many before."""
        rate, momentum, squares = hyper["lr"], hyper["mom"], hyper["sqr_mom"]
        gradients = [cast(Tensor, parameter.grad) for parameter in parameters]
        means = [self.state[parameter]["grad_avg"] for parameter in parameters]
        spreads = [self.state[parameter]["sqr_avg"] for parameter in parameters]
        if decays:
            torch._foreach_mul_(parameters, 1 - rate * hyper["wd"])
        torch._foreach_mul_(means, momentum)
        torch._foreach_add_(means, gradients, alpha=1 - momentum)
        torch._foreach_mul_(spreads, squares)
        torch._foreach_addcmul_(spreads, gradients, gradients, value=1 - squares)
        scale = torch._foreach_div(spreads, 1 - squares**step)
        torch._foreach_sqrt_(scale)
        torch._foreach_add_(scale, hyper["eps"])
        torch._foreach_addcdiv_(parameters, means, scale, value=-rate / (1 - momentum**step))


def adam(params: Iterable[Any], lr: float, wd: float = 0.01) -> ManyAtOnce:
    """Return an optimizer with the settings that fastai's own has.

    Parameters
    ----------
    params : iterable
        Lists of parameters, one for each group.
    lr : float
    wd : float
        Weight decay, which biases and batch norms are spared by the learner.
    """
    return ManyAtOnce(params, [], lr=lr, mom=0.9, sqr_mom=0.99, eps=1e-5, wd=wd)
