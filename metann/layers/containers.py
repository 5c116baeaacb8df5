"""What torch's containers need beside their generated class."""

from __future__ import annotations

from collections.abc import ItemsView, Iterator, ValuesView
from typing import TYPE_CHECKING, Any, overload

from torch import Tensor, nn
from torch.nn.parameter import Parameter

from metann.slots import slots_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from metann.module import DependentModule


class ConvertsInserted(nn.Module):
    """Converts a module that is inserted: torch writes it into the table of submodules itself.

    So all that a Sequential or a ModuleList holds is dependent, and type checkers are told.
    """

    def insert(self, index: int, module: nn.Module) -> Any:
        """Insert a module before `index`, converted; returns what the container of torch does."""
        from metann.convert import convert

        parent: Any = super()
        return parent.insert(index, convert(module))

    if TYPE_CHECKING:

        @overload
        def __getitem__(self, idx: slice) -> Self: ...
        @overload
        def __getitem__(self, idx: int) -> DependentModule: ...
        @overload
        def __getitem__(self, idx: slice | int) -> Self | DependentModule: ...
        def __getitem__(self, idx: slice | int) -> Self | DependentModule: ...

        def __iter__(self) -> Iterator[DependentModule]: ...

        def pop(self, key: int | slice) -> DependentModule:
            """Remove the module at an index, and return it."""
            ...


class HoldsDependents(nn.Module):
    """Tells type checkers that all that a ModuleDict holds is dependent."""

    if TYPE_CHECKING:

        def __getitem__(self, key: str) -> DependentModule: ...

        def pop(self, key: str) -> DependentModule:
            """Remove the module of a name, and return it."""
            ...

        def values(self) -> ValuesView[DependentModule]:
            """The modules, without their names."""
            ...

        def items(self) -> ItemsView[str, DependentModule]:
            """The names and the modules."""
            ...


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
        raise NotImplementedError  # by the two classes below

    def _put(self, key: Any, value: Any, is_dependent: bool) -> None:
        """Set what another container of this kind holds, a dependent as a dependent."""
        if is_dependent:
            own: Any = self
            own.register_dependent(self._name_of(key), value)
        else:
            self[key] = value


class KeepsListedDependents(KeepsDependents):
    """For a ParameterList: the same in its slices, and in lists that are added to it."""

    def __getitem__(self, key: Any) -> Any:
        """The item at an index, or a list of those in a slice."""
        own: Any = self
        if not isinstance(key, slice):
            parent: Any = super()
            return parent.__getitem__(key)
        made = own.__class__()
        for place in range(len(own))[key]:
            made._append(own[place], str(place) in slots_of(self))
        return made

    def extend(self, values: Any) -> Any:
        """Append each of `values`; returns the list."""
        if not isinstance(values, KeepsListedDependents):
            parent: Any = super()
            return parent.extend(values)
        others: Any = values
        for place in range(len(others)):
            self._append(others[place], str(place) in slots_of(others))
        return self

    def _append(self, value: Any, is_dependent: bool) -> None:
        own: Any = self
        own._size += 1
        self._put(own._size - 1, value, is_dependent)

    def _name_of(self, key: Any) -> str:
        own: Any = self
        return str(own._get_abs_string_index(key))


class KeepsNamedDependents(KeepsDependents):
    """For a ParameterDict: the same in its copies, and in what it is updated with."""

    def copy(self) -> Any:
        """A new ParameterDict of the same items, converted."""
        from metann.convert import convert

        made: Any = convert(nn.ParameterDict())
        made.update(self)
        return made

    def update(self, parameters: Any) -> None:
        """Set each item of a mapping, or of pairs."""
        if not isinstance(parameters, KeepsNamedDependents):
            parent: Any = super()
            parent.update(parameters)
            return
        own: Any = self
        others: Any = parameters
        for key, value in [*others.items()]:
            is_new_dependent = key in slots_of(others) and key not in slots_of(self)
            if is_new_dependent and key in own:
                delattr(own, key)
            own._keys[key] = None
            self._put(key, value, is_new_dependent)

    def _name_of(self, key: Any) -> str:
        return key if isinstance(key, str) else ""  # torch refuses other keys.
