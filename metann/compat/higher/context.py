"""`innerloop_ctx`: a functional model and a differentiable optimiser for it."""

from __future__ import annotations

from collections.abc import Generator
from contextlib import contextmanager
from typing import TypeVar

import torch
from torch import nn

from metann.compat.higher.differentiable_optimizer import DifferentiableOptimizer
from metann.compat.higher.functional_module import FunctionalModule
from metann.compat.higher.overrides import Override
from metann.compat.higher.patch import monkeypatch
from metann.compat.higher.registry import get_diff_optim
from metann.optim import Optimizer

ModuleT = TypeVar("ModuleT", bound=nn.Module)


@contextmanager
def innerloop_ctx(
    model: ModuleT,
    opt: torch.optim.Optimizer | Optimizer,
    device: torch.device | str | None = None,
    copy_initial_weights: bool = True,
    override: Override | None = None,
    track_higher_grads: bool = True,
) -> Generator[tuple[FunctionalModule[ModuleT], DifferentiableOptimizer], None, None]:
    """Yield a functional version of a model, and an optimiser that steps its fast weights.

    Args:
        model: any module; it is not touched.
        opt: an optimiser of parameters of `model`; those that it has not are left as they are. Or
            one of metann.optim, for all parameters. It is not changed.
        device: where weights, buffers and state are put; None for where they are.
        copy_initial_weights: True gives the functional model leaves of its own; False lets
            gradients reach the parameters of `model`, as MAML needs it.
        override: values for options of `opt`, which may be tensors to be learned: `{"lr": [t]}`.
        track_higher_grads: remember the weights of all times, and make a graph through the
            gradients. False with `copy_initial_weights=False` is first-order MAML.

    Raises:
        CompatError: a `ValueError`; there is no differentiable form of `opt`.

    Source: the function of this name in higher.
    """
    fmodel = monkeypatch(model, device, copy_initial_weights, track_higher_grads)
    diffopt = get_diff_optim(
        opt,
        model.parameters(),
        fmodel=fmodel,
        device=device,
        override=override,
        track_higher_grads=track_higher_grads,
    )
    yield fmodel, diffopt
