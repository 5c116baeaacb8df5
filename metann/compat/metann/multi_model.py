"""A model after each step of an inner loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Any, NoReturn, TypeVar

from torch import Tensor, nn
from typing_extensions import override

from metann.compat.metann.proto import ProtoModule
from metann.errors import ArgumentError
from metann.module import DependentModule

DataT = TypeVar("DataT")
Evaluator = Callable[[Any, DataT], Tensor]
"""`(model, data) -> loss`; the model is a counterpart of the user's, and callable as that."""


class MultiModel(nn.Module):
    """A model with many sets of weights: `multi[i]` has the i-th, and `for model in multi` has all.

    Args:
        model: the module, as a function of weights.
        fast_weight_lst: the sets.
        buffers_lst: the buffers that each set goes with, by name, as the running statistics of
            that step; None for those that the module has.

    Raises:
        ArgumentError: a `TypeError`; there are not as many of these as of those.

    Source: the class of this name in MetaNN 0.3, where the buffers are the module's.
    """

    def __init__(
        self,
        model: ProtoModule,
        fast_weight_lst: Sequence[Iterable[Tensor]],
        buffers_lst: Sequence[Mapping[str, Tensor]] | None = None,
    ) -> None:
        super().__init__()
        if buffers_lst is not None and len(buffers_lst) != len(fast_weight_lst):
            raise ArgumentError(
                f"there must be buffers for each of {len(fast_weight_lst)} sets of weights, got "
                f"{len(buffers_lst)}. Give {{}} where there are none, or leave buffers_lst out."
            )
        self.proto = model
        self.params_lst: Sequence[Iterable[Tensor]] = fast_weight_lst
        self.buffers_lst: Sequence[Mapping[str, Tensor]] | None = buffers_lst

    def __getitem__(self, item: int) -> DependentModule:
        if not -len(self) <= item < len(self):
            raise IndexError(
                f"there are {len(self)} models, from before the first step to after the last, got "
                f"the index {item}."
            )
        weights = self.params_lst[item]
        if self.buffers_lst is None:
            return self.proto.functional(weights)
        names = [name for name, _ in self.proto.named_parameters()]
        named = dict(zip(names, weights, strict=True))
        return self.proto.functional({**named, **self.buffers_lst[item]})

    def __len__(self) -> int:
        return len(self.params_lst)

    def __iter__(self) -> Iterator[DependentModule]:
        return (self[index] for index in range(len(self)))

    @override
    def forward(self, *args: Any, **kwargs: Any) -> NoReturn:
        """Say that there is not one model to call."""
        raise NotImplementedError(
            f"a MultiModel is {len(self)} models. Call one of them, as multi[-1](x), or all: "
            "[model(x) for model in multi]."
        )


def mamlpp_evaluator(
    mimo: MultiModel,
    data: DataT,
    steps: int,
    evaluator: Evaluator[DataT],
    gamma: float = 0.6,
) -> tuple[Tensor, Tensor]:
    """The losses after all steps, earlier ones less by powers of `gamma`, and the last alone.

    Args:
        mimo: a model after each step, and before the first.
        data: what they are evaluated on.
        steps: how many steps there were.
        evaluator: `(model, data) -> loss`.
        gamma: the model after step i counts gamma^(steps - i).

    Raises:
        ArgumentError: a `TypeError`; there were not so many steps.

    Source: the function of this name in MetaNN 0.3, after arXiv 1810.09502.
    """
    if not 0 <= steps < len(mimo):
        raise ArgumentError(
            f"steps must be from 0 to {len(mimo) - 1}, which is how many the models have taken, "
            f"got {steps}."
        )
    losses = [evaluator(mimo[step], data) for step in range(steps + 1)]
    total = losses[-1]
    for before, loss in enumerate(losses[-2::-1], start=1):
        total = total + gamma**before * loss
    return total, losses[-1]
