"""A converted copy of a module whose weights are to be substituted."""

from __future__ import annotations

from collections.abc import Callable

from torch import nn

from metann.module import DependentModule
from metann.planning import make_plan
from metann.rebuild import build
from metann.slots import set_slots, slots_of
from metann.tree import walk


def stateless(module: nn.Module, clear_filter: Callable[[nn.Module], bool]) -> DependentModule:
    """A converted copy of `module` with cleared parameters; see `DependentModule.stateless`."""
    plan = make_plan(module)
    copied = build(plan, plan.originals, None, lasting=True)
    for row, (_, instance) in zip(plan.rows, walk(copied), strict=True):
        if clear_filter(row.module):
            _empty(instance, row.module)
        else:
            _restore(instance, row.module)
    return copied


def _empty(instance: nn.Module, original: nn.Module) -> None:
    """Leave None where the original has a parameter."""
    for name, parameter in original.__dict__["_parameters"].items():
        if parameter is not None:
            instance.__dict__["_buffers"][name] = None


def _restore(instance: nn.Module, original: nn.Module) -> None:
    """Give the instance the original's parameters as parameters."""
    parameters = original.__dict__["_parameters"]
    for name, parameter in parameters.items():
        if parameter is not None:
            del instance.__dict__["_buffers"][name]
    instance.__dict__["_parameters"] = parameters.copy()
    set_slots(instance, slots_of(original))
