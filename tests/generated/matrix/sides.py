"""The two sides that are asked the same: metann, and torch by itself."""

from __future__ import annotations

import copy
from collections.abc import Sequence
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.func import functional_call

from metann import Learner


class Side(Protocol):
    """A layer as a function of its weights, and a model object with given weights."""

    def __init__(self, plain: nn.Module) -> None: ...

    def buffers(self) -> list[Tensor]:
        """What a call is to be given beside weights and inputs, fresh for each call."""
        ...

    def call(
        self, weights: Sequence[Tensor], buffers: Sequence[Tensor], *args: Any, **kwargs: Any
    ) -> Any:
        """The layer's output under these weights, in the order of its parameters."""
        ...

    def model(self, leaves: Sequence[Tensor]) -> tuple[nn.Module, list[Tensor]]:
        """A model with these weights, and the tensors that its gradients are of."""
        ...


class Metann:
    """`Learner.functional` and `Learner.bind`."""

    def __init__(self, plain: nn.Module) -> None:
        self.training = plain.training
        self.learner = Learner(plain)

    def buffers(self) -> list[Tensor]:
        return []

    def call(
        self, weights: Sequence[Tensor], buffers: Sequence[Tensor], *args: Any, **kwargs: Any
    ) -> Any:
        return self.learner.functional(list(weights), self.training, *args, **kwargs)

    def model(self, leaves: Sequence[Tensor]) -> tuple[nn.Module, list[Tensor]]:
        """The weights are computed from the leaves: they have a `grad_fn`."""
        of = [leaf.detach().clone().requires_grad_() for leaf in leaves]
        return self.learner.bind([leaf + 0.0 for leaf in of], self.training), of


class Torch:
    """`torch.func.functional_call`, and a plain module whose parameters are the weights."""

    def __init__(self, plain: nn.Module) -> None:
        self.plain = plain
        self.names = [name for name, _ in plain.named_parameters()]
        self.buffer_names = [name for name, _ in plain.named_buffers()]

    def buffers(self) -> list[Tensor]:
        """The plain module's, copied: torch writes into those that it is given."""
        return [buffer.clone() for buffer in self.plain.buffers()]

    def call(
        self, weights: Sequence[Tensor], buffers: Sequence[Tensor], *args: Any, **kwargs: Any
    ) -> Any:
        given = dict(zip(self.names, weights, strict=True))
        given |= dict(zip(self.buffer_names, buffers, strict=True))
        return functional_call(self.plain, given, args, kwargs)

    def model(self, leaves: Sequence[Tensor]) -> tuple[nn.Module, list[Tensor]]:
        model = copy.deepcopy(self.plain)
        of = list(model.parameters())
        with torch.no_grad():
            for parameter, leaf in zip(of, leaves, strict=True):
                parameter.copy_(leaf)
        return model, of
