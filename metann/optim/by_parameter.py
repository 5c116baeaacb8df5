"""`ByParameter`: the loop over parameters, of optimisers that take each for itself."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import torch
from torch import Tensor

from metann.errors import OptimizerError
from metann.optim import foreach
from metann.optim.hyper import Place
from metann.optim.optimizer import Optimizer
from metann.optim.state import State, fresh, of_parameter


@dataclass(frozen=True, eq=False)
class ByParameter(Optimizer):
    """An optimiser that takes each parameter for itself: one method says what becomes of it.

    A new one is a frozen dataclass with `update`, and with `slot_names` and `start` if it has a
    state.

    Example:
        >>> @dataclass(frozen=True, eq=False)
        ... class SignDescent(ByParameter):
        ...     lr: Hyper
        ...
        ...     def update(self, param, grad, slots, number, at):
        ...         return param - at(self.lr) * grad.sign(), {}
    """

    takes_many: ClassVar[bool] = False
    """Whether `update` may be given many parameters as one, for torch's foreach kernels: it uses
    only what `metann.optim.foreach.Many` has. It is not inherited, as `update` may change."""

    def init(self, params: Sequence[Tensor]) -> State:
        """The state before the first step; see `Optimizer`."""
        return fresh(self.slot_names(), [self.start(param) for param in params])

    def step(
        self, params: Sequence[Tensor], grads: Sequence[Tensor | None], state: State
    ) -> tuple[list[Tensor], State]:
        """The parameters after one step, and the new state; see `Optimizer`."""
        self.require_fitting(params, grads, state)
        if foreach.are_possible() and self._takes_many:
            together = foreach.chosen(params, grads, state)
            if together:
                for index in together:
                    require_same_shape(index, params[index], grads[index])
                stepped, slots = foreach.updated(self.update, params, grads, state, together)
                return stepped, State(state.count + 1, counted(state, grads), slots)
        stepped = list(params)
        slots = {name: list(column) for name, column in state.slots.items()}
        for index, (param, grad) in enumerate(zip(params, grads, strict=True)):
            if grad is not None:
                require_same_shape(index, param, grad)
                if grad.layout != torch.strided:
                    grad = grad.to_dense()
                place = Place(param, index, len(stepped), state.count)
                own = of_parameter(state, index)
                number = state.steps[index] + 1
                update = self._update_complex if param.is_complex() else self.update
                stepped[index], changed = update(param, grad, own, number, place)
                for name, value in changed.items():
                    slots[name][index] = value
        return stepped, State(state.count + 1, counted(state, grads), slots)

    def require_fitting(
        self, params: Sequence[Tensor], grads: Sequence[Tensor | None], state: State
    ) -> None:
        """There is a gradient, or None, for each parameter, and the state is of this optimiser.

        Raises:
            OptimizerError: this is not so.
        """
        if not len(params) == len(grads) == len(state.steps):
            raise OptimizerError(
                f"A step needs a gradient (or None) and a state for each parameter, got "
                f"{len(params)} parameters, {len(grads)} gradients and the state of "
                f"{len(state.steps)} parameters. Give lists of one length, and the state that "
                "init(params) returns."
            )
        if state.slots.keys() != {*self.slot_names()}:
            raise OptimizerError(
                f"The state of {type(self).__name__} has {', '.join(self.slot_names()) or 'no'} "
                f"slots, got one with {', '.join(state.slots) or 'none'}. Give the state that "
                "init(params) of an optimiser with the same options returns."
            )

    def slot_names(self) -> tuple[str, ...]:
        """torch.optim's names of what is remembered for each parameter."""
        return ()

    def start(self, param: Tensor) -> dict[str, Tensor]:  # noqa: ARG002
        """What is remembered for a parameter at first; names that are left out are None."""
        return {}

    @abstractmethod
    def update(
        self, param: Tensor, grad: Tensor, slots: dict[str, Tensor], number: int, at: Place
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """One parameter after one step, and what of its slots has changed.

        Args:
            param: the parameter.
            grad: its gradient, of the same shape.
            slots: what is remembered for it, by name; what is None is left out.
            number: the number of this step among those that brought it a gradient, from 1.
            at: turns a hyper-parameter into its value here, a float or a tensor:
                `at(self.lr)`.
        """

    @cached_property
    def _takes_many(self) -> bool:
        return "takes_many" in vars(type(self)) and foreach.has_one_number_each(self)

    def _update_complex(
        self, param: Tensor, grad: Tensor, slots: dict[str, Tensor], number: int, at: Place
    ) -> tuple[Tensor, dict[str, Tensor]]:
        """As `update`, for pairs of real numbers, as in torch."""
        real = {name: as_real(value) for name, value in slots.items()}
        stepped, changed = self.update(as_real(param), as_real(grad), real, number, at)
        return torch.view_as_complex(stepped), {
            name: torch.view_as_complex(value) if value.shape == stepped.shape else value
            for name, value in changed.items()
        }


def as_real(tensor: Tensor) -> Tensor:
    """Complex numbers as pairs of real ones; what is real stays as it is."""
    return torch.view_as_real(tensor.resolve_conj()) if tensor.is_complex() else tensor


def counted(state: State, grads: Sequence[Tensor | None]) -> tuple[int, ...]:
    """For each parameter, how many gradients there have been with these."""
    return tuple(
        done if grad is None else done + 1 for done, grad in zip(state.steps, grads, strict=True)
    )


def require_same_shape(index: int, param: Tensor, grad: Tensor | None) -> None:
    """A gradient has the shape of its parameter."""
    if grad is not None and param.shape != grad.shape:
        raise OptimizerError(
            f"A gradient has the shape of its parameter, but for parameter {index} of shape "
            f"{tuple(param.shape)} there is one of shape {tuple(grad.shape)}. Give the gradients "
            "in the order of the parameters."
        )
