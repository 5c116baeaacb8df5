"""`GBML(model, transform).clone().adapt(loss)`: steps by learned updates."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor, nn

from metann.compat.calling import not_called_again
from metann.compat.learn2learn.base_learner import INSTEAD, BaseLearner
from metann.compat.learn2learn.modules import clone_module, weights_of
from metann.compat.learn2learn.transforms import DifferentiableSGD, ParameterUpdate


class GBML(BaseLearner):
    """A model that can be cloned, and adapted by updates that learned modules compute.

    Args:
        module: any module; neither cloning nor adapting a clone touches it.
        transform: makes a module for a parameter, as `ModuleTransform` does; see `ParameterUpdate`.
        lr: the size of the steps.
        adapt_transform: the modules adapt, too, from the second step on.
        first_order: gradients are constants.
        allow_unused: weights without influence on a loss stay as they are.
        allow_nograd: weights that do not require a gradient stay as they are.
        compute_update: in place of a new `ParameterUpdate`.

    Source: the class of this name in learn2learn.
    """

    def __init__(
        self,
        module: nn.Module,
        transform: Callable[[Tensor], nn.Module | None],
        lr: float = 1.0,
        adapt_transform: bool = False,
        first_order: bool = False,
        allow_unused: bool = False,
        allow_nograd: bool = False,
        compute_update: ParameterUpdate | None = None,
    ) -> None:
        super().__init__(module)
        self.transform: Callable[[Tensor], nn.Module | None] = transform
        self.lr: float = lr
        self.adapt_transform: bool = adapt_transform
        self.first_order: bool = first_order
        self.allow_unused: bool = allow_unused
        self.allow_nograd: bool = allow_nograd
        self.compute_update: ParameterUpdate = (
            ParameterUpdate(module.parameters(), transform)
            if compute_update is None
            else compute_update
        )
        self.diff_sgd: DifferentiableSGD = DifferentiableSGD(lr)
        self._params_updated: bool = False

    def clone(
        self,
        first_order: bool | None = None,
        allow_unused: bool | None = None,
        allow_nograd: bool | None = None,
        adapt_transform: bool | None = None,
    ) -> GBML:
        """A copy whose weights, and those of the updates, have a graph to those of this one.

        Args:
            first_order: as in the class; None for as here.
            allow_unused: as in the class; None for as here.
            allow_nograd: as in the class; None for as here.
            adapt_transform: as in the class; None for as here.
        """
        made = GBML(
            self._cloned(),
            self.transform,
            self.lr,
            self.adapt_transform if adapt_transform is None else adapt_transform,
            self.first_order if first_order is None else first_order,
            self.allow_unused if allow_unused is None else allow_unused,
            self.allow_nograd if allow_nograd is None else allow_nograd,
            compute_update=clone_module(self.compute_update),
        )
        made.diff_sgd.train(self.diff_sgd.training)
        made.training = self.training  # The modes of its modules are copies, already.
        return made

    def adapt(
        self,
        loss: Tensor,
        first_order: bool | None = None,
        allow_nograd: bool | None = None,
        allow_unused: bool | None = None,
    ) -> None:
        """Take a step on the loss; with `adapt_transform` first one of the updates' own weights.

        Args:
            loss: a scalar, computed with this very clone.
            first_order: as in the class; None for as there.
            allow_nograd: as in the class; None for as there.
            allow_unused: as in the class; None for as there.
        """
        second_order = not (self.first_order if first_order is None else first_order)
        allow_unused = self.allow_unused if allow_unused is None else allow_unused
        if self.adapt_transform and self._params_updated:
            grads = torch.autograd.grad(
                loss,
                [weight for _, weight in weights_of(self.compute_update)],
                create_graph=second_order,
                retain_graph=True,
                allow_unused=allow_unused,
            )
            self.diff_sgd(self.compute_update, grads)
        graph = second_order or self.adapt_transform
        with not_called_again(self.module, second_order, INSTEAD):
            updates = self.compute_update(
                loss,
                [weight for _, weight in weights_of(self.module)],
                create_graph=graph,
                retain_graph=graph,
                allow_unused=allow_unused,
                allow_nograd=self.allow_nograd if allow_nograd is None else allow_nograd,
            )
        self.diff_sgd(self.module, updates)
        self._params_updated = True
