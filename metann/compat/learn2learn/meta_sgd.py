"""`MetaSGD(model).clone().adapt(loss)`: a learned rate for every weight."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from metann.compat.learn2learn.base_learner import BaseLearner, gradients
from metann.compat.learn2learn.modules import named, put, update_module
from metann.compat.learn2learn.parameters import clone_parameters
from metann.errors import CompatError
from metann.optim import SGD


class MetaSGD(BaseLearner):
    """A model that can be cloned and adapted, each entry of each weight by a rate of its own.

    Args:
        model: any module; neither cloning nor adapting a clone touches it.
        lr: what the rates start with.
        first_order: gradients are constants.
        lrs: the rates, one tensor for each weight, in place of new ones.

    Attributes:
        lrs: the rates; parameters of this module, but not of a clone, where they have a graph.

    Source: Meta-SGD (Li et al. 2017, arXiv 1707.09835); the class of this name in learn2learn.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float = 1.0,
        first_order: bool = False,
        lrs: Sequence[Tensor] | nn.ParameterList | None = None,
    ) -> None:
        super().__init__(model)
        self.first_order: bool = first_order
        self.lrs: Sequence[Tensor] | nn.ParameterList = (
            nn.ParameterList(torch.full_like(p, lr) for p in model.parameters())
            if lrs is None
            else lrs
        )

    def clone(self) -> MetaSGD:
        """A copy whose weights and rates have a graph to those of this one."""
        lrs = clone_parameters(self.lrs)
        made = MetaSGD(self._cloned(), first_order=self.first_order, lrs=lrs)
        made.training = self.training  # The modes of its modules are copies, already.
        return made

    def adapt(self, loss: Tensor, first_order: bool | None = None) -> None:
        """Take a step on the loss, by the learned rates.

        Args:
            loss: a scalar, computed with this very clone.
            first_order: as in the class; None for as there.

        Raises:
            CompatError: a `ValueError`; the loss does not depend on some weights, or these are
                frozen.
        """
        first_order = self.first_order if first_order is None else first_order
        grads = gradients(loss, self.module, not first_order, False, False)
        _, weights = named(self.module)
        ours = SGD([*self.lrs])
        put(self.module, ours.step(weights, grads, ours.init(weights))[0])


def meta_sgd_update(
    model: nn.Module,
    lrs: Sequence[Tensor] | nn.ParameterList,
    grads: Sequence[Tensor | None],
) -> nn.Module:
    """Take a step by a rate for each weight, in place, and return the model; see `update_module`.

    Args:
        model: any module.
        lrs: the rates, in the order of `model.parameters()`.
        grads: the gradients.

    Raises:
        CompatError: a `ValueError`; there is not one of each for each weight.

    Source: the function of this name in learn2learn.
    """
    if len(lrs) != len(grads):
        raise CompatError(
            f"A rate is needed for each gradient, got {len(lrs)} rates and {len(grads)} gradients. "
            "Give one of each for each weight."
        )
    pairs = zip(lrs, grads, strict=True)
    return update_module(model, [None if g is None else -lr * g for lr, g in pairs])
