"""`Optimizer`: what all optimisers are."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields, replace
from typing import ClassVar

from torch import Tensor, nn
from typing_extensions import Self

from metann.optim.hyper import parameters_in, replaced
from metann.optim.state import State


@dataclass(frozen=True, eq=False)
class Optimizer(ABC):
    """An optimiser as a value: its hyper-parameters, and two pure functions.

    Nothing is changed in place, and the results of `step` have a graph that leads to the
    parameters, the gradients, the state and the hyper-parameters.

    A new one is a frozen dataclass of hyper-parameters. It has `init` and `step` of its own, or
    inherits them from `ByParameter`.
    """

    is_elementwise: ClassVar[bool] = True
    """True: a leading task axis on parameters, gradients and state changes nothing. False: it must
    be vmapped over tasks, as it looks at a whole parameter (norms, matrix products)."""

    @abstractmethod
    def init(self, params: Sequence[Tensor]) -> State:
        """The state before the first step.

        Args:
            params: the parameters, of any shapes.
        """

    @abstractmethod
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

    def hyper_parameters(self) -> dict[str, nn.Parameter]:
        """Every `nn.Parameter` among the hyper-parameters, by name: "lr", "lr.3", "betas.0"."""
        named = ((field.name, getattr(self, field.name)) for field in fields(self))
        return {name: found for key, value in named for name, found in parameters_in(value, key)}

    def hyper_modules(self) -> list[nn.Module]:
        """The modules that it is made of, as a transform of gradients may be one."""
        return []

    def with_hyper_parameters(self, by: Mapping[int, Tensor]) -> Self:
        """The same optimiser with other tensors for some of its `nn.Parameter`s.

        Args:
            by: the tensors, by the identity of the parameters.
        """
        values = {field.name: replaced(getattr(self, field.name), by) for field in fields(self)}
        return replace(self, **values)
