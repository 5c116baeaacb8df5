"""`MAML(model, lr).clone().adapt(loss)`."""

from __future__ import annotations

from collections.abc import Sequence

from torch import Tensor, nn

from metann.compat.learn2learn.base_learner import BaseLearner, gradients
from metann.compat.learn2learn.modules import named, put, update_module
from metann.optim import SGD, Optimizer, State


class MAML(BaseLearner):
    """A model that can be cloned, and a clone adapted to a loss by gradient steps.

    Args:
        model: any module; neither cloning nor adapting a clone touches it.
        lr: of the gradient steps; a tensor may be learned.
        first_order: gradients are constants (FOMAML).
        allow_unused: weights without influence on a loss stay as they are; by default as
            `allow_nograd`.
        allow_nograd: weights that do not require a gradient stay as they are.
        optimizer: takes the steps in place of gradient descent, with its own rate; `lr` is
            not used then.

    Example:
        >>> linear = MAML(nn.Linear(20, 10), lr=0.01)
        >>> clone = linear.clone()
        >>> clone.adapt(loss(clone(x), y))
        >>> loss(clone(x), y).backward()  # second order, into linear

    Source: MAML (Finn et al. 2017, arXiv 1703.03400); the class of this name in learn2learn.
    """

    def __init__(
        self,
        model: nn.Module,
        lr: float | Tensor,
        first_order: bool = False,
        allow_unused: bool | None = None,
        allow_nograd: bool = False,
        *,
        optimizer: Optimizer | None = None,
    ) -> None:
        super().__init__(model)
        self.lr: float | Tensor = lr
        self.first_order: bool = first_order
        self.allow_nograd: bool = allow_nograd
        self.allow_unused: bool = allow_nograd if allow_unused is None else allow_unused
        self.optimizer: Optimizer | None = optimizer
        self._state: State | None = None

    def clone(
        self,
        first_order: bool | None = None,
        allow_unused: bool | None = None,
        allow_nograd: bool | None = None,
    ) -> MAML:
        """A copy whose weights have a graph to those of this model; see `clone_module`.

        Args:
            first_order: as in the class; None for as here.
            allow_unused: as in the class; None for as here.
            allow_nograd: as in the class; None for as here.
        """
        made = MAML(
            self._cloned(),
            self.lr,
            self.first_order if first_order is None else first_order,
            self.allow_unused if allow_unused is None else allow_unused,
            self.allow_nograd if allow_nograd is None else allow_nograd,
            optimizer=self.optimizer,
        )
        made._state = self._state
        return made.train(self.training)

    def adapt(
        self,
        loss: Tensor,
        first_order: bool | None = None,
        allow_unused: bool | None = None,
        allow_nograd: bool | None = None,
    ) -> None:
        """Take a step on the loss: the model has new weights, which have a graph to the old ones.

        Args:
            loss: a scalar, computed with this very clone.
            first_order: as in the class; None for as there.
            allow_unused: as in the class; None for as there.
            allow_nograd: as in the class; None for as there.

        Raises:
            CompatError: a `ValueError`; weights are unused or frozen, and this is not allowed.
        """
        first_order = self.first_order if first_order is None else first_order
        grads = gradients(
            loss,
            self.module,
            second_order=not first_order,
            allow_unused=self.allow_unused if allow_unused is None else allow_unused,
            allow_nograd=self.allow_nograd if allow_nograd is None else allow_nograd,
        )
        _, weights = named(self.module)
        ours = descent(self.lr) if self.optimizer is None else self.optimizer
        stepped, self._state = ours.step(weights, grads, self._state or ours.init(weights))
        put(self.module, stepped)


def descent(lr: float | Tensor) -> Optimizer:
    """Gradient descent; a rate with one element is a scalar."""
    return SGD(lr.reshape(()) if isinstance(lr, Tensor) and lr.numel() == 1 else lr)


def maml_update(
    model: nn.Module, lr: float | Tensor, grads: Sequence[Tensor | None] | None = None
) -> nn.Module:
    """Take a step of gradient descent, in place, and return the model; see `update_module`.

    Args:
        model: any module.
        lr: the size of the step.
        grads: in the order of `model.parameters()`; by default the attributes `grad`.

    Raises:
        CompatError: a `ValueError`; there is not one gradient for each weight.

    Source: the function of this name in learn2learn.
    """
    _, weights = named(model)
    given = [weight.grad for weight in weights] if grads is None else grads
    return update_module(model, [None if grad is None else -lr * grad for grad in given])
