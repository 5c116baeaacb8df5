"""What torch's containers need beside their generated class."""

from __future__ import annotations

from typing import Any

from torch import Tensor, nn
from torch.nn.parameter import Parameter

from metann.slots import slots_of


class ConvertsInserted(nn.Module):
    """Converts a module that is inserted: torch writes it into the table of submodules itself."""

    def insert(self, index: int, module: nn.Module) -> Any:
        """Insert a module before `index`, converted; returns what the container of torch does."""
        from metann.convert import convert

        parent: Any = super()
        return parent.insert(index, convert(module))


class KeepsDependents(nn.Module):
    """Sets a dependent by index or key as it is: torch would make a new Parameter of it.

    The new Parameter would be cut off from the computation that the tensor results from.
    """

    def __setitem__(self, key: Any, value: Any) -> None:
        name = self._name_of(key)
        computed = isinstance(value, Tensor) and not isinstance(value, Parameter)
        if computed and name in slots_of(self):
            setattr(self, name, value)
        else:
            parent: Any = super()
            parent.__setitem__(key, value)

    def _name_of(self, key: Any) -> str:
        """The attribute behind a key of a ParameterDict, or an index of a ParameterList."""
        own: Any = self
        if hasattr(own, "_key_to_attr"):
            return key if isinstance(key, str) else ""  # torch refuses other keys.
        return str(own._get_abs_string_index(key))
