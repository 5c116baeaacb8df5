"""Static types that need more than one signature to say; nothing here does anything at run time.

A type checker, and an IDE, knows the counterpart of each layer of torch from the overloads in
`generated/overloads.py`, and the arguments and the result of a module from its `forward`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from typing import TYPE_CHECKING, Any, ParamSpec, Protocol, TypeVar, cast, overload

from torch import Tensor, nn

if TYPE_CHECKING:
    from metann.generated.overloads import Bind, ToDependent

# Weights: in the order of `module.parameters()`, or by the names of `module.named_parameters()`.
Params = Iterable[Tensor] | Mapping[str, Tensor]

ArgumentsP = ParamSpec("ArgumentsP")
OutputT = TypeVar("OutputT")
OutputT_co = TypeVar("OutputT_co", covariant=True)


class Forward(Protocol[ArgumentsP, OutputT_co]):
    """Anything with a forward."""

    def forward(self, *args: ArgumentsP.args, **kwargs: ArgumentsP.kwargs) -> OutputT_co:
        """As the module's own."""
        ...


class Takes(Protocol[ArgumentsP, OutputT_co]):
    """A module whose forward says what it takes and what it returns."""

    # All modules but torch's containers have this type: their forward has no annotations.
    _modules: dict[str, nn.Module | None]

    def forward(self, *args: ArgumentsP.args, **kwargs: ArgumentsP.kwargs) -> OutputT_co:
        """As the module's own."""
        ...


class Called(Protocol):
    """The call of a dependent module: typed as its forward."""

    @overload
    def __get__(self, module: None, owner: object = None) -> Called: ...
    @overload
    def __get__(
        self, module: Forward[ArgumentsP, OutputT], owner: object = None
    ) -> Callable[ArgumentsP, OutputT]: ...

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        """As `nn.Module.__call__`."""
        ...


class Gives(Protocol[OutputT_co]):
    """A module whose forward says what it returns; it may be called with anything."""

    _modules: dict[str, nn.Module | None]

    def forward(self, *args: Any, **kwargs: Any) -> OutputT_co:
        """As the module's own."""
        ...


class Nobodys:
    """What no forward returns; `Any`, the type of what is not annotated, passes for it."""


class Unsaid(Protocol):
    """A module whose forward does not say what it returns."""

    def forward(self, *args: Any, **kwargs: Any) -> Nobodys:
        """As the module's own."""
        ...


def typed_conversion(method: Callable[..., nn.Module]) -> ToDependent:
    """Say that what is given as an `nn.Linear` comes back as a `DependentLinear`."""
    return cast("ToDependent", method)


def typed_binding(method: Callable[..., nn.Module]) -> Bind:
    """Say that a learner of an `nn.Linear` binds it to a `DependentLinear`."""
    return cast("Bind", method)
