"""Which differentiable optimiser stands for which class of optimisers."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import Any, TypeAlias, cast
from weakref import WeakKeyDictionary

import torch
from torch import Tensor

from metann.compat.higher.differentiable_optimizer import DifferentiableOptimizer
from metann.compat.higher.functional_module import FunctionalModule
from metann.compat.higher.kinds import KINDS
from metann.compat.higher.overrides import Override
from metann.compat.higher.stateful import OfValue
from metann.errors import CompatError
from metann.optim import Optimizer

Make: TypeAlias = "Callable[..., DifferentiableOptimizer]"

_registered: WeakKeyDictionary[type, Make] = WeakKeyDictionary()


def register_optim(
    optim_type: type[torch.optim.Optimizer], diff_optim_type: type[DifferentiableOptimizer]
) -> None:
    """Let a differentiable optimiser stand for a class of optimisers of yours.

    Args:
        optim_type: the class whose instances `innerloop_ctx` is to accept.
        diff_optim_type: takes the same steps.

    Source: the function of this name in higher.
    """
    _registered[optim_type] = diff_optim_type


def get_diff_optim(
    opt: torch.optim.Optimizer | Optimizer,
    reference_params: Iterable[Tensor],
    fmodel: FunctionalModule[Any] | None = None,
    device: torch.device | str | None = None,
    override: Override | None = None,
    track_higher_grads: bool = True,
    **kwargs: Any,
) -> DifferentiableOptimizer:
    """The differentiable form of an optimiser, which continues where that stands.

    Args:
        opt: of torch.optim, of a registered class, or of metann.optim.
        reference_params: the parameters of the model, among them those of `opt`.
        fmodel: as in `DifferentiableOptimizer`, as all that follows.
        device: where the state is put.
        override: values for its options.
        track_higher_grads: whether steps have a graph through gradients.
        kwargs: others.

    Raises:
        CompatError: a `ValueError`; there is no form for this class.

    Source: the function of this name in higher.
    """
    make = cast("Make", OfValue) if isinstance(opt, Optimizer) else form_of(type(opt))
    return make(
        opt,
        reference_params,
        fmodel=fmodel,
        device=device,
        override=override,
        track_higher_grads=track_higher_grads,
        **kwargs,
    )


def create_diff_optim(
    opt_type: type[torch.optim.Optimizer],
    opt_kwargs: Mapping[str, Any] | None = None,
    params: Iterable[Any] | None = None,
    fmodel: FunctionalModule[Any] | None = None,
    device: torch.device | str | None = None,
    override: Override | None = None,
    track_higher_grads: bool = True,
    **kwargs: Any,
) -> DifferentiableOptimizer:
    """A differentiable optimiser that has not stepped yet.

    Args:
        opt_type: a class of torch.optim, or a registered one.
        opt_kwargs: its options.
        params: weights, of which only the shapes matter; or groups, dicts with "params" and
            options. None for those of `fmodel`.
        fmodel: as in `DifferentiableOptimizer`, as all that follows.
        device: where the state is put.
        override: values for its options.
        track_higher_grads: whether steps have a graph through gradients.
        kwargs: others.

    Raises:
        CompatError: a `ValueError`; there is no form for this class, or neither `params` nor
            `fmodel` is given.

    Source: the function of this name in higher.
    """
    form_of(opt_type)  # Before anything is made of a class that is not known.
    if params is None and fmodel is None:
        raise CompatError(
            "create_diff_optim needs weights to step, got neither params nor fmodel. Give one."
        )
    given = [*(params if params is not None else cast("Any", fmodel).parameters())]
    opt: Any = cast("Any", opt_type)([*map(stand_in, given)], **(opt_kwargs or {}))
    flat = [param for group in opt.param_groups for param in group["params"]]
    return get_diff_optim(opt, flat, fmodel, device, override, track_higher_grads, **kwargs)


def stand_in(given: Any) -> Any:
    """For a weight a leaf of its shape, as torch's optimisers take nothing else; or for a group."""
    if isinstance(given, Tensor):
        return torch.zeros_like(given).detach().requires_grad_()
    return {**given, "params": [*map(stand_in, given["params"])]}


def form_of(kind: type) -> Make:
    """What makes the differentiable form of optimisers of a class.

    Raises:
        CompatError: there is none.
    """
    if kind in _registered:
        return _registered[kind]
    known: dict[object, Make] = {
        getattr(torch.optim, form.kind.__name__, None): form for form in KINDS
    }
    if kind in known:
        return known[kind]
    names = ", ".join(form.kind.__name__ for form in KINDS)
    raise CompatError(
        f"There is no differentiable form of {kind.__module__}.{kind.__qualname__}. There is one "
        f"of these classes of torch.optim: {names}; and of your own after "
        "higher.register_optim(YourOptimizer, YourDifferentiableOptimizer). Or give an optimiser "
        "of metann.optim."
    )
