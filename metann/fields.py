"""How a generated class reads its weights."""

from __future__ import annotations

from typing import Any


class _Field:
    """Reads an attribute from the table of a module that it is kept in.

    Without it, Python looks for the attribute in vain before it asks torch's `__getattr__`, which
    takes four times as long. It does not define `__set__`: what is put into the instance
    under the same name, as `torch.nn.utils.weight_norm` does, wins.
    """

    def __set_name__(self, owner: type, name: str) -> None:
        self._name = name
        held = (vars(base).get(name, self) for base in owner.__mro__[1:])
        if not all(isinstance(value, _Field) for value in held):
            # A property, or a value in the body of the original's class: Python finds that first.
            type.__delattr__(owner, name)

    def _missing(self, module: Any) -> AttributeError:
        return AttributeError(f"{type(module).__name__!r} object has no attribute {self._name!r}")


class _Dependent(_Field):
    """Reads a weight: from the dependents, or from the parameters."""

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
        raise self._missing(module)


class _Submodule(_Field):
    """Reads a submodule."""

    def __get__(self, module: Any, owner: type | None = None) -> Any:
        if module is None:
            return self
        submodules = module._modules
        if self._name in submodules:
            return submodules[self._name]
        raise self._missing(module)


def submodule() -> Any:
    """Declare a submodule in the body of a class: `linear: DependentLinear = submodule()`."""
    return _Submodule()


def dependent() -> Any:
    """Declare a weight in the body of a class: `weight: Tensor = dependent()`."""
    return _Dependent()
