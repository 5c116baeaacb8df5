"""Optimisers that adapt a model to data: a new model comes out, or the given one is changed."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from itertools import repeat
from typing import Any, TypeVar

import torch
from torch import Tensor, nn
from torch.nn import functional as F
from typing_extensions import override

from metann.compat.metann.multi_model import Evaluator, MultiModel
from metann.compat.metann.proto import ProtoModule
from metann.meta.steps import require_dependent
from metann.optim import SGD, Optimizer, RMSprop

ModuleT = TypeVar("ModuleT", bound=nn.Module)
Batches = Iterable[Any]


def default_evaluator_classification(
    model: Callable[[Tensor], Tensor],
    data: tuple[Tensor, Tensor],
    criterion: Callable[[Tensor, Tensor], Tensor] = F.cross_entropy,
) -> Tensor:
    """The loss of a classifier on the inputs and labels in `data`.

    Args:
        model: gives (samples, classes).
        data: inputs, and labels (samples,).
        criterion: of logits and labels.

    Source: the function of this name in MetaNN 0.3.
    """
    inputs, labels = data
    return criterion(model(inputs), labels)


class Learner(nn.Module):
    """What adapts a model to data; a subclass says how by `forward_pure` and `forward_inplace`.

    Source: the class of this name in MetaNN 0.3.
    """

    @override
    def forward(self, *args: Any, inplace: bool = False, **kwargs: Any) -> Any:
        """A new model (`inplace=False`), or the given one after it has been trained."""
        if inplace:
            return self.forward_inplace(*args, **kwargs)
        return self.forward_pure(*args, **kwargs)

    def forward_pure(self, *args: Any, **kwargs: Any) -> Any:
        """A new model, that can be differentiated by the given one."""
        raise NotImplementedError(
            f"{type(self).__name__} has no forward_pure(model, data), which makes a new model. "
            "Write it, or call with inplace=True."
        )

    def forward_inplace(self, *args: Any, **kwargs: Any) -> Any:
        """The given model, trained in place."""
        raise NotImplementedError(
            f"{type(self).__name__} has no forward_inplace(model, data), which trains the model "
            "itself. Write it, or call with inplace=False."
        )


class StepsLearner(Learner):
    """Takes a step of an optimiser for each batch of data.

    Args:
        create_graph: second order; False takes the gradients in the loop for constants.
        evaluator: `(model, data) -> loss`.
    """

    def __init__(self, create_graph: bool, evaluator: Evaluator[Any]) -> None:
        super().__init__()
        self.create_graph = create_graph
        self.evaluator: Evaluator[Any] = evaluator

    def optimizer(self) -> Optimizer:
        """Takes the steps of `forward_pure`."""
        raise NotImplementedError

    def torch_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """Takes the steps of `forward_inplace`."""
        raise NotImplementedError

    def batches(self, data: Any) -> Batches:
        """What there is a step for each of."""
        batches: Batches = data
        return batches

    @override
    def forward_pure(
        self,
        model: nn.Module,
        data: Any,
        evaluator: Evaluator[Any] | None = None,
        mimo: bool = False,
    ) -> Any:
        """A new model in train mode, after the steps; `model` itself is not touched.

        Under `torch.no_grad` it has no graph, and memory does not grow with the steps.

        Args:
            model: any module. Frozen and unused parameters stay as they are.
            data: the batches, as the evaluator takes one.
            evaluator: in place of the learner's own.
            mimo: return a `MultiModel`, of weights and buffers before the first and after each
                step; these are in train mode, too.

        Raises:
            ArgumentError: a `TypeError`; a loss depends on no weight that adapts.
        """
        measure = self.evaluator if evaluator is None else evaluator
        proto, optimizer, buffers = ProtoModule(model), self.optimizer(), dict[str, Tensor]()
        names = [name for name, _ in proto.named_parameters()]
        weights: list[Tensor] = [*proto.parameters()]
        state, sets, kept = optimizer.init(weights), [weights], [buffers]
        for batch in self.batches(data):
            with torch.enable_grad():
                now = proto.functional({**dict(zip(names, weights, strict=True)), **buffers}, True)
                loss = measure(now, batch)
            gradients = self._gradients(loss, weights)
            stepped, state = optimizer.step(weights, gradients, state)
            weights = [_differentiable(*pair) for pair in zip(stepped, weights, strict=True)]
            buffers = dict(now.named_buffers())
            sets.append(weights)
            kept.append(buffers)
        if mimo:
            return MultiModel(proto, sets, kept)
        return proto.functional({**dict(zip(names, weights, strict=True)), **buffers}, True)

    def _gradients(self, loss: Tensor, weights: list[Tensor]) -> list[Tensor | None]:
        require_dependent(loss)
        adapting = [weight for weight in weights if weight.requires_grad]
        keeps_graph = self.create_graph and torch.is_grad_enabled()
        found = iter(
            torch.autograd.grad(loss, adapting, create_graph=keeps_graph, allow_unused=True)
        )
        return [next(found) if weight.requires_grad else None for weight in weights]

    @override
    def forward_inplace(
        self, model: ModuleT, data: Any, evaluator: Evaluator[Any] | None = None
    ) -> ModuleT:
        """The model itself, after the steps."""
        measure = self.evaluator if evaluator is None else evaluator
        optimizer = self.torch_optimizer(model)
        for batch in self.batches(data):
            optimizer.zero_grad()
            torch.autograd.backward(measure(model, batch))
            optimizer.step()
        return model


def _differentiable(stepped: Tensor, before: Tensor) -> Tensor:
    """A weight after a step; under `torch.no_grad` it is a leaf that the next one goes on from."""
    return stepped if stepped.requires_grad or stepped is before else stepped.requires_grad_()


class SequentialGDLearner(StepsLearner):
    """Gradient descent, one step for each batch: `learner(model, [batch, batch])`.

    Args:
        lr: the step size.
        momentum: how much of the last direction is kept.
        create_graph: second order; False takes the gradients in the loop for constants.
        evaluator: `(model, data) -> loss`.

    Source: the class of this name in MetaNN 0.3.
    """

    def __init__(
        self,
        lr: float | Tensor,
        momentum: float = 0.5,
        create_graph: bool = True,
        evaluator: Evaluator[Any] = default_evaluator_classification,
    ) -> None:
        super().__init__(create_graph, evaluator)
        self.lr: float | Tensor = lr
        self.momentum = momentum

    @override
    def optimizer(self) -> Optimizer:
        """`metann.optim.SGD`."""
        return SGD(lr=self.lr, momentum=self.momentum)

    @override
    def torch_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """`torch.optim.SGD`."""
        return torch.optim.SGD(model.parameters(), lr=self.lr, momentum=self.momentum)


class GDLearner(SequentialGDLearner):
    """Gradient descent, many steps on the same data: `learner(model, batch)`.

    Args:
        steps: how many.
        lr: the step size.
        create_graph: second order; False takes the gradients in the loop for constants.
        evaluator: `(model, data) -> loss`.

    Source: the class of this name in MetaNN 0.3.
    """

    def __init__(
        self,
        steps: int,
        lr: float | Tensor,
        create_graph: bool = True,
        evaluator: Evaluator[Any] = default_evaluator_classification,
    ) -> None:
        super().__init__(lr, 0.0, create_graph, evaluator)
        self.steps = steps

    @override
    def batches(self, data: Any) -> Batches:
        """The same data for every step."""
        return repeat(data, self.steps)


class RMSPropLearner(StepsLearner):
    """RMSprop: one step for each batch, or `steps` on the same data.

    Args:
        lr: the step size.
        alpha: how much of the running averages is kept.
        eps: added to the root of the average square.
        centered: divide by the standard deviation instead.
        create_graph: second order; False takes the gradients in the loop for constants.
        evaluator: `(model, data) -> loss`.
        steps: how many, all on the same data; None for one a batch.

    Meta-gradients are finite where a gradient is 0; those of MetaNN 0.3 are NaN.

    Source: the class of this name in MetaNN 0.3.
    """

    def __init__(
        self,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        centered: bool = False,
        create_graph: bool = True,
        evaluator: Evaluator[Any] = default_evaluator_classification,
        steps: int | None = None,
    ) -> None:
        super().__init__(create_graph, evaluator)
        self.lr: float | Tensor = lr
        self.alpha = alpha
        self.eps = eps
        self.centered = centered
        self.steps = steps

    @override
    def batches(self, data: Any) -> Batches:
        """The batches, or the same data for every step."""
        return super().batches(data) if self.steps is None else repeat(data, self.steps)

    @override
    def optimizer(self) -> Optimizer:
        """`metann.optim.RMSprop`."""
        return RMSprop(lr=self.lr, alpha=self.alpha, eps=self.eps, centered=self.centered)

    @override
    def torch_optimizer(self, model: nn.Module) -> torch.optim.Optimizer:
        """`torch.optim.RMSprop`."""
        return torch.optim.RMSprop(
            model.parameters(), lr=self.lr, alpha=self.alpha, eps=self.eps, centered=self.centered
        )
