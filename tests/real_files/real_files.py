"""What a real file is here: a module of an installed package, and small models of its classes."""

from __future__ import annotations

import importlib
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from torch import Tensor, nn


@dataclass(frozen=True)
class Classes:
    """The classes of a file, or of what was written for it, by the names that the file gives them.

    Example: `classes.Net` is `DependentNet` if the module has one, else `Net`
    """

    module: ModuleType

    def __getattr__(self, name: str) -> Any:
        found = getattr(self.module, f"Dependent{name}", None)
        return getattr(self.module, name) if found is None else found


@dataclass(frozen=True)
class Model:
    """A small model in which nothing is left to chance, and what it is called with.

    Attributes:
        make: makes it from the classes of the file.
        inputs: makes the arguments; those with a name are in a dictionary, the last of them.
        twice: whether a step through a gradient step is compared with finite differences, too.
    """

    make: Callable[[Classes], nn.Module]
    inputs: Callable[[], tuple[Any, ...]]
    twice: bool = False


@dataclass(frozen=True)
class RealFile:
    """A module of an installed package, as `metann-generate` is asked for it.

    Attributes:
        models: some of its models, by name.
        needs: packages that it imports beside torch and its own.
        takes_names_once: a table of the package that a second file of the same names cannot enter.
        starts_elsewise: the package gives its own classes other weights to start with than others.
    """

    module: str
    models: dict[str, Model]
    needs: tuple[str, ...] = ()
    takes_names_once: str = ""
    starts_elsewise: bool = False

    @property
    def package(self) -> str:
        """Example: "timm"."""
        return self.module.split(".")[0]

    @property
    def name(self) -> str:
        """The last part of its name."""
        return self.module.rpartition(".")[2]

    def original(self) -> ModuleType:
        """Itself, imported."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # What other projects are warned of is not ours.
            return importlib.import_module(self.module)


def numbers(*shape: int) -> Callable[[], tuple[Tensor]]:
    """The arguments of a model that takes one tensor of this shape."""
    return lambda: (torch.randn(*shape),)


def made(model: Model, module: ModuleType) -> nn.Module:
    """The model, of the classes of this module; its weights always start the same."""
    torch.manual_seed(7)
    return model.make(Classes(module)).double()


def called(net: nn.Module, inputs: tuple[Any, ...]) -> Any:
    """What it returns."""
    return net(*positional(inputs), **named(inputs))


def positional(inputs: tuple[Any, ...]) -> tuple[Any, ...]:
    return inputs[:-1] if named(inputs) else inputs


def named(inputs: tuple[Any, ...]) -> dict[str, Any]:
    return inputs[-1] if isinstance(inputs[-1], dict) else {}
