"""`Optimizer`: what all optimisers are, and the loop over parameters that most of them share."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from dataclasses import dataclass, fields
from typing import ClassVar

import torch
from torch import Tensor, nn

from metann.errors import OptimizerError
from metann.optim.hyper import Place, parameters_in
from metann.optim.state import State, fresh, of_parameter


@dataclass(frozen=True, eq=False)
class Optimizer(ABC):
    """An optimiser as a value: its hyper-parameters, and two pure functions.

    Nothing is changed in place, and the results of `step` have a graph that leads to the
    parameters, the gradients, the state and the hyper-parameters.

    A new optimiser is a frozen dataclass of hyper-parameters with `slot_names`, `start` and
    `update`, which work on one parameter at a time, or with `init` and `step` of its own.
    """

    is_elementwise: ClassVar[bool] = True
    """True: a leading task axis on parameters, gradients and state changes nothing. False: it must
    be vmapped over tasks, as it looks at a whole parameter (norms, matrix products)."""

    def init(self, params: Sequence[Tensor]) -> State:
        """The state before the first step.

        Args:
            params: the parameters, of any shapes.
        """
        return fresh(self.slot_names(), [self.start(param) for param in params])

    def step(
        self, params: Sequence[Tensor], grads: Sequence[Tensor | None], state: State
    ) -> tuple[list[Tensor], State]:
        """The parameters after one step, and the new state.

        Args:
            params: the parameters.
            grads: a gradient of the same shape for each of them. Where it is None, the parameter
                and its state stay as they are, as in torch.
            state: what `init` or the last `step` returned.

        Raises:
            OptimizerError: a `ValueError`; gradients, state or hyper-parameters do not fit.
        """
        require_same_number(params, grads, state)
        stepped = list(params)
        slots = {name: list(column) for name, column in state.slots.items()}
        for index, (param, grad) in enumerate(zip(params, grads, strict=True)):
            if grad is not None:
                require_same_shape(index, param, grad)
                place = Place(param, index, len(stepped), state.count)
                own = of_parameter(state, index)
                number = state.steps[index] + 1
                update = self._update_complex if param.is_complex() else self.update
                stepped[index], changed = update(param, grad, own, number, place)
                for name, value in changed.items():
                    slots[name][index] = value
        return stepped, State(state.count + 1, counted(state, grads), slots)

    def hyper_parameters(self) -> dict[str, nn.Parameter]:
        """Every `nn.Parameter` among the hyper-parameters, by name: "lr", "lr.3", "betas.0"."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: found for key, value in named for name, found in parameters_in(value, key)}

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


def require_same_number(
    params: Sequence[Tensor], grads: Sequence[Tensor | None], state: State
) -> None:
    """There is a gradient, or None, and a state for each parameter."""
    if not len(params) == len(grads) == len(state.steps):
        raise OptimizerError(
            f"A step needs a gradient (or None) and a state for each parameter, got "
            f"{len(params)} parameters, {len(grads)} gradients and the state of "
            f"{len(state.steps)} parameters. Give lists of one length, and the state that "
            "init(params) returns."
        )


def require_same_shape(index: int, param: Tensor, grad: Tensor) -> None:
    """A gradient has the shape of its parameter."""
    if param.shape != grad.shape:
        raise OptimizerError(
            f"A gradient has the shape of its parameter, but for parameter {index} of shape "
            f"{tuple(param.shape)} there is one of shape {tuple(grad.shape)}. Give the gradients "
            "in the order of the parameters."
        )
