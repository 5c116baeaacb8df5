"""Every public class, function, method and property says what it is for."""

from __future__ import annotations

import inspect

from public_names import members_of, public_names
from torch import nn


def test_every_public_class_and_function_has_a_docstring_of_its_own() -> None:
    named = {
        name: thing
        for name, thing in public_names().items()
        if inspect.isclass(thing) or inspect.isfunction(thing)
    }

    assert len(named) > 250
    assert [name for name, thing in named.items() if not (thing.__doc__ or "").strip()] == []


def test_every_public_method_and_property_has_a_docstring_of_its_own() -> None:
    members = {
        name: member
        for owner, kind in public_names().items()
        if inspect.isclass(kind)
        for name, member in members_of(owner, kind)
        if not is_torchs(kind, name)
    }

    assert len(members) > 80
    assert [name for name, member in members.items() if not (member.__doc__ or "").strip()] == []


def is_torchs(kind: type, name: str) -> bool:
    """A method of a counterpart does what torch documents of the method that it stands for."""
    is_counterpart = kind.__module__.startswith("metann.generated.")
    layers = [base for base in kind.__mro__ if base.__module__.startswith("torch.nn.")]
    key = name.rpartition(".")[2]
    return is_counterpart and any(key in vars(base) for base in layers if base is not nn.Module)
