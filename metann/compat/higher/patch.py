"""Functional modules: `monkeypatch` and `make_functional`."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias, TypeVar

import torch
from torch import Tensor, nn

from metann.compat.higher.functional_module import FunctionalModule
from metann.compat.higher.utils import get_func_params
from metann.tree import walk

ModuleT = TypeVar("ModuleT", bound=nn.Module)
Device: TypeAlias = "torch.device | str | None"


def monkeypatch(
    module: ModuleT,
    device: Device = None,
    copy_initial_weights: bool = True,
    track_higher_grads: bool = True,
) -> FunctionalModule[ModuleT]:
    """Return a functional version of a module with the module's weights as fast weights.

    Buffers are copies, too: running statistics of the module never change. Hooks are the module's.

    Args:
        module: any module; it is not touched.
        device: where weights and buffers are put; None for where they are.
        copy_initial_weights: True gives it leaves of its own; False clones within the graph, so
            that gradients reach the parameters of `module`, as MAML needs it.
        track_higher_grads: remember the weights of all times.

    Raises:
        ConversionError: something in the module cannot be converted.
        UninitializedModuleError: a lazy module in it has not seen data.

    Source: the function of this name in higher.
    """

    def fill(fmodule: FunctionalModule[ModuleT], module: nn.Module) -> None:
        if device is not None:
            fmodule.module.to(device)
        # Where gradients are switched off there is no graph to link by.
        copies = copy_initial_weights or not torch.is_grad_enabled()
        fmodule.is_linked = not copies
        fmodule.update_params(
            get_func_params(module, device)
            if copies
            else [param.clone().to(device) for param in module.parameters()]
        )
        fmodule.track_higher_grads = track_higher_grads

    return make_functional(module, fill)


def make_functional(
    module: ModuleT,
    encapsulator: Callable[[FunctionalModule[ModuleT], nn.Module], None] | None = None,
) -> FunctionalModule[ModuleT]:
    """Return a functional version of a module, without weights.

    Args:
        module: any module; it is not touched.
        encapsulator: called with the functional module and with `module`, to give it weights.

    Source: the function of this name in higher.
    """
    fmodule: FunctionalModule[ModuleT] = FunctionalModule(module)
    if encapsulator is not None:
        encapsulator(fmodule, module)
    return fmodule


def buffer_sync(
    module: nn.Module, fmodule: FunctionalModule[nn.Module], device: Device = None
) -> None:
    """Copy the buffers of a module into its functional version, once.

    Source: the function of this name in higher.
    """
    own: dict[str, nn.Module] = dict(walk(fmodule.module))
    for path, part in walk(module):
        table: dict[str, Tensor | None] = part.__dict__["_buffers"]
        for name, buffer in table.items():
            value = None if buffer is None else buffer.detach().clone().to(device)
            own[path].__dict__["_buffers"][name] = value
