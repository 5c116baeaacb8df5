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
            not used then. Its `nn.Parameter`s are learned: they are in `parameters()`, but not in
            those of a clone, which uses the same ones.

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
        self.optimizer = optimizer
        self._state: State | None = None

    @property
    def optimizer(self) -> Optimizer | None:
        """What takes the steps; another one may be set, and is learned from then on."""
        return self._optimizer

    @optimizer.setter
    def optimizer(self, optimizer: Optimizer | None) -> None:
        self._optimizer = optimizer
        found = {} if optimizer is None else optimizer.hyper_parameters()
        self._learned = {name.replace(".", "_"): value for name, value in found.items()}
        modules = [] if optimizer is None else optimizer.hyper_modules()
        self._modules.pop("hyper_parameters", None)
        self._modules.pop("hyper_modules", None)
        if self._learned:
            self.hyper_parameters: nn.ParameterDict = nn.ParameterDict(self._learned)
        if modules:
            self.hyper_modules: nn.ModuleList = nn.ModuleList(modules)

    def _stepping(self) -> Optimizer:
        """What takes the steps, with what stands in `hyper_parameters` now."""
        if self._optimizer is None:
            return descent(self.lr)
        pairs = ((own, self.hyper_parameters[name]) for name, own in self._learned.items())
        others: dict[int, Tensor] = {id(own): now for own, now in pairs if now is not own}
        return self._optimizer.with_hyper_parameters(others) if others else self._optimizer

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
        )
        if self._optimizer is not None:
            made._optimizer = self._stepping()
        made._state = self._state
        made.training = self.training  # The modes of its modules are copies, already.
        return made

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
        ours = self._stepping()
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
