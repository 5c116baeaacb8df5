"""`FuncOptimizer`: steps on parameters that are given, with the state kept in between."""

from __future__ import annotations

import torch
from torch import Tensor

from metann.compat.torchopt.base import (
    GradientTransformation,
    OptState,
    UninitializedState,
    require_transformation,
)
from metann.compat.torchopt.trees import Leaf, TreeT, leaves_of, rebuilt
from metann.compat.torchopt.update import apply_updates


class FuncOptimizer:
    """Keeps the state of a gradient transformation between steps.

    Args:
        impl: what takes the steps: `torchopt.adam(1e-2)`, or a chain with it at the end.
        inplace: what `step` does by default.

    Raises:
        ArgumentError: a `TypeError`; `impl` is no gradient transformation.

    Example:
        >>> optimizer = FuncOptimizer(sgd(lr=0.5))
        >>> weight = torch.ones(2, requires_grad=True)
        >>> optimizer.step((weight**2).sum(), (weight,))
        (tensor([0., 0.], grad_fn=<AddBackward0>),)

    Source: the class of this name in TorchOpt 0.7.
    """

    def __init__(self, impl: GradientTransformation, *, inplace: bool = False) -> None:
        require_transformation(impl)
        self.impl: GradientTransformation = impl
        self.optim_state: OptState = UninitializedState()
        self.inplace: bool = inplace

    def step(self, loss: Tensor, params: TreeT, inplace: bool | None = None) -> TreeT:
        """The parameters after one step down the loss, differentiable unless it is in place.

        In place nothing has a history, neither the parameters nor what is remembered: memory does
        not grow with the steps. So it is under `torch.no_grad`, where what comes out are leaves.

        Args:
            loss: a tensor of one value.
            params: a tree of tensors that it depends on; the others stay as they are, and so do
                those that require no gradient.
            inplace: write into the parameters; None for what the optimiser was made with.
        """
        if isinstance(self.optim_state, UninitializedState):
            self.optim_state = self.impl.init(params)
        in_place = self.inplace if inplace is None else inplace
        keeps_graph = torch.is_grad_enabled() and not in_place
        grads = rebuilt(params, _gradients(loss, leaves_of(params), keeps_graph))
        with torch.set_grad_enabled(keeps_graph):
            updates, self.optim_state = self.impl.update(
                grads, self.optim_state, params=params, inplace=in_place
            )
            stepped = apply_updates(params, updates, inplace=in_place)
        return stepped if in_place or keeps_graph else _requiring_grad(stepped, params)

    def state_dict(self) -> OptState:
        """What is remembered; the very tensors."""
        return self.optim_state

    def load_state_dict(self, state_dict: OptState) -> None:
        """Remember what `state_dict` has returned."""
        self.optim_state = state_dict


def _requiring_grad(stepped: TreeT, params: TreeT) -> TreeT:
    """What has moved is a leaf that the next step goes on from."""
    for old, new in zip(leaves_of(params), leaves_of(stepped), strict=True):
        if old is not None and new is not None and old.requires_grad:
            new.requires_grad_()
    return stepped


def _gradients(loss: Tensor, params: list[Leaf], keeps_graph: bool) -> list[Leaf]:
    adapting = [param for param in params if param is not None and param.requires_grad]
    # The graph of the loss itself stays, as others may go backward through it, too.
    grads = torch.autograd.grad(
        loss,
        adapting,
        retain_graph=torch.is_grad_enabled(),
        create_graph=keeps_graph,
        allow_unused=True,
    )
    left = iter(grads)
    return [next(left) if p is not None and p.requires_grad else None for p in params]
