"""How a generated class reads its weights."""

from __future__ import annotations

from typing import Any


class _Dependent:
    """Reads a weight from where it is kept: among the dependents, or among the parameters.

    Without it, Python looks for the attribute in vain before it asks torch's `__getattr__`, which
    takes four times as long. It does not define `__set__`: what is put into the instance
    under the same name, as `torch.nn.utils.weight_norm` does, wins.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name

    def __get__(self, module: Any, owner: type | None = None) -> Any:
        if module is None:
            return self
        name = self._name
        dependents = module._buffers
        if name in dependents:
            return dependents[name]
        parameters = module._parameters
        if name in parameters:
            return parameters[name]
        raise AttributeError(f"{type(module).__name__!r} object has no attribute {name!r}")


class _Submodule(_Dependent):
    """Reads a submodule, in the same way."""

    def __get__(self, module: Any, owner: type | None = None) -> Any:
        if module is None:
            return self
        submodules = module._modules
        if self._name in submodules:
            return submodules[self._name]
        raise AttributeError(f"{type(module).__name__!r} object has no attribute {self._name!r}")


def submodule() -> Any:
    """Declare a submodule in the body of a class: `linear: DependentLinear = submodule()`."""
    return _Submodule()


def dependent() -> Any:
    """Declare a weight in the body of a class: `weight: Tensor = dependent()`."""
    return _Dependent()
