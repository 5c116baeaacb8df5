"""An optimiser that is given other gradients than there are: clipped ones, or any others."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, fields, is_dataclass, replace
from typing import Any, ClassVar, TypeAlias, cast

from torch import Tensor, nn
from typing_extensions import Self

from metann.errors import ArgumentError, OptimizerError
from metann.optim.hyper import parameters_in, replaced
from metann.optim.optimizer import Optimizer
from metann.optim.state import State

Transform: TypeAlias = "Callable[[list[Tensor | None]], Sequence[Tensor | None]]"


def transformed(optimizer: Optimizer, *transforms: Transform) -> Optimizer:
    """An optimiser that steps with transformed gradients.

    Args:
        optimizer: takes the step.
        transforms: each maps the gradients, a list with a tensor or None for each parameter, to
            others; the first one comes first. It may be a module, whose parameters are then
            hyper-parameters. One that works on each entry for itself, whatever the shapes, may
            say so by an attribute `is_elementwise = True`; others are called for one task at a
            time.

    Raises:
        ArgumentError: a transform cannot be called.

    Example:
        >>> transformed(SGD(lr=0.1), clip_by_norm(1.0), lambda grads: [-g for g in grads])
    """
    for transform in transforms:
        if not callable(transform):
            raise ArgumentError(
                "A transform must be a function from gradients to gradients, got "
                f"{transform!r} of type {type(transform).__name__}. Give clip_by_norm(1.0), for "
                "example, or a function of a list of tensors."
            )
    parts = (optimizer, *transforms)
    kind = Transformed if all(is_elementwise(part) for part in parts) else TransformedByTask
    return kind(optimizer, transforms)


def is_elementwise(part: object) -> bool:
    """Whether a leading task axis changes nothing."""
    return bool(getattr(part, "is_elementwise", False))


@dataclass(frozen=True, eq=False)
class Transformed(Optimizer):
    """Steps with transformed gradients; made by `transformed`."""

    optimizer: Optimizer
    transforms: tuple[Transform, ...]

    def init(self, params: Sequence[Tensor]) -> State:
        """That of the optimiser; a transform has no state."""
        return self.optimizer.init(params)

    def step(
        self, params: Sequence[Tensor], grads: Sequence[Tensor | None], state: State
    ) -> tuple[list[Tensor], State]:
        """The optimiser's step with the transformed gradients.

        Raises:
            OptimizerError: a transform returns another number of gradients.
        """
        changed = [*grads]
        for transform in self.transforms:
            changed = [*transform(changed)]
            if len(changed) != len(grads):
                raise OptimizerError(
                    f"A transform returns a gradient, or None, for each parameter, but {transform} "
                    f"made {len(changed)} of {len(grads)}. Return a list as long as the one given."
                )
        return self.optimizer.step(params, changed, state)

    def hyper_parameters(self) -> dict[str, nn.Parameter]:
        """Those of the optimiser, and those of the transforms: "transforms.0.max_norm".

        Those of a transform that is a module are in the module; see `hyper_modules`.
        """
        found = self.optimizer.hyper_parameters()
        for index, transform in enumerate(self.transforms):
            found.update(parameters_of(transform, f"transforms.{index}"))
        return found

    def hyper_modules(self) -> list[nn.Module]:
        """The transforms that are modules."""
        own = [part for part in self.transforms if isinstance(part, nn.Module)]
        return [*self.optimizer.hyper_modules(), *own]

    def with_hyper_parameters(self, by: Mapping[int, Tensor]) -> Self:
        """The same with other tensors for some `nn.Parameter`s; modules are left alone."""
        transforms = tuple(_with(transform, by) for transform in self.transforms)
        inner = self.optimizer.with_hyper_parameters(by)
        return replace(self, optimizer=inner, transforms=transforms)


@dataclass(frozen=True, eq=False)
class TransformedByTask(Transformed):
    """One that looks at whole gradients: tasks must be taken one by one, or vmapped over."""

    is_elementwise: ClassVar[bool] = False


def parameters_of(transform: object, name: str) -> dict[str, nn.Parameter]:
    """Every `nn.Parameter` in the fields of a dataclass, by name."""
    if not is_dataclass(transform) or isinstance(transform, nn.Module):
        return {}
    named = (
        (f"{name}.{field.name}", getattr(transform, field.name)) for field in fields(transform)
    )
    return {key: found for path, value in named for key, found in parameters_in(value, path)}


def _with(transform: Transform, by: Mapping[int, Tensor]) -> Transform:
    value: Any = transform
    if not is_dataclass(value) or isinstance(value, (nn.Module, type)):
        return transform
    values = {field.name: replaced(getattr(value, field.name), by) for field in fields(value)}
    return cast("Transform", replace(value, **values))
