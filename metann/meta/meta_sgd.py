"""Meta-SGD: the step size of every single weight is learned, with its sign."""

from __future__ import annotations

import torch
from torch import nn
from typing_extensions import Unpack

from metann.meta.evaluated import DataT, Evaluator
from metann.meta.maml import MAML
from metann.meta.selection import Selection, every_module
from metann.meta.settings import Settings


class MetaSGD(MAML[DataT]):
    """MAML with one learned step size for each element of each parameter that adapts.

    `theta' = theta - alpha * gradient`, elementwise; alpha is in `parameters()`, and is trained
    with theta by the same meta-gradient. The paper takes one step.

    Args:
        model: any module.
        steps_train: inner steps in train mode.
        steps_eval: inner steps in eval mode.
        lr: what all step sizes begin with; the paper draws it from 0.005 to 0.1.
        evaluator: `(model, data) -> loss`.
        first_order: take the gradients in the inner loop for constants.
        settings: as in `MAML`. What adapts is settled here: freeze before, not after.

    Example:
        >>> net = nn.Linear(3, 2)
        >>> meta_sgd = MetaSGD(net, 1, 1, 0.05, lambda model, data: model(data).square().mean())
        >>> {name: tuple(rate.shape) for name, rate in meta_sgd.rates.items()}
        {'weight': (2, 3), 'bias': (2,)}

    Source: Li, Zhou, Chen, Li, "Meta-SGD: Learning to Learn Quickly for Few-Shot Learning",
    arXiv 1707.09835.
    """

    def __init__(
        self,
        model: nn.Module,
        steps_train: int,
        steps_eval: int,
        lr: float,
        evaluator: Evaluator[DataT],
        first_order: bool = False,
        **settings: Unpack[Settings],
    ) -> None:
        chosen = Selection(settings.get("clear_filter", every_module), settings.get("names"))
        rates = {n: nn.Parameter(torch.full_like(p, lr)) for n, p in chosen(model).items()}
        each = nn.ParameterList(rates.values())
        super().__init__(model, steps_train, steps_eval, each, evaluator, first_order, **settings)
        self._adapting = tuple(rates)

    @property
    def rates(self) -> dict[str, nn.Parameter]:
        """The step sizes by the name of their parameter, each of its shape."""
        learned = self.hyper_parameters
        return {name: learned[f"lr_{index}"] for index, name in enumerate(self._adapting)}
