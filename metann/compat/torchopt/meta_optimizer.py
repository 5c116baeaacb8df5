"""`MetaOptimizer`: differentiable steps whose results stand in the user's own module."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from contextlib import nullcontext

import torch
from torch import Tensor, nn

from metann.compat.torchopt.base import (
    GradientTransformation,
    OptState,
    UninitializedState,
    require_transformation,
)
from metann.compat.torchopt.recomputing import nothing_computed_again
from metann.compat.torchopt.states import require_of_these
from metann.compat.torchopt.trees import leaves_of_state
from metann.compat.torchopt.update import apply_updates
from metann.compat.torchopt.weights import Weight, replace_weights, weights_of
from metann.convert import convert
from metann.errors import ArgumentError, HistoryWarning, OptimizerError
from metann.module import DependentModule


class MetaOptimizer:
    """Takes gradient steps that can be differentiated; the module has the fast weights then.

    After `step(loss)` the module computes with weights that are functions of those from before.
    `extract_state_dict` and `recover_state_dict` bring it back. The classes in the module become
    their counterparts, as by `DependentModule(module)`; parameters stay what they are until the
    first step, and become so again when they are recovered. Frozen ones stay as they are, and tied
    ones tied.

    Where gradients are switched off (`torch.no_grad`) a step keeps no graph: the loss is computed
    outside, the step taken inside, and memory does not grow with the steps.

    Activation checkpointing in the module does not go together with a step whose graph is kept: the
    outer backward pass would compute again with the newest weights. It is an error where a layer
    with a weight is called again; it is not seen where the user's own forward reads `self.weight`.

    Args:
        module: any module.
        impl: what takes the steps: `torchopt.adam(1e-2)`, or a chain with it at the end.

    Raises:
        ArgumentError: a `TypeError`; `impl` is no gradient transformation.
        ConversionError: something in the module cannot be converted.

    Example:
        >>> net = nn.Linear(3, 1)
        >>> optimizer = MetaOptimizer(net, sgd(lr=0.1))
        >>> optimizer.step(net(torch.ones(2, 3)).sum())
        >>> net.weight.grad_fn is not None
        True

    Source: the class of this name in TorchOpt 0.7.
    """

    def __init__(self, module: nn.Module, impl: GradientTransformation) -> None:
        require_transformation(impl)
        self.impl: GradientTransformation = impl
        self.modules: list[DependentModule] = []
        self.state_groups: list[OptState] = []
        self.add_param_group(module)

    def add_param_group(self, module: nn.Module) -> None:
        """Let the steps also change another module, with a state of its own."""
        self.modules.append(convert(module))
        self.state_groups.append(UninitializedState())

    def step(self, loss: Tensor) -> None:
        """Replace the weights by those after one step down the loss.

        Args:
            loss: a tensor of one value, computed by the module with the weights it has now.

        Raises:
            ArgumentError: a `TypeError`; the loss depends on no weight that the module has now,
                or the module has activation checkpointing. Nothing was changed, as after any error.

        Warns:
            HistoryWarning: the weights are leaves, but what the optimiser remembers is not: only
                the one or the other was recovered, or cut off by `stop_gradient`.
        """
        groups = [weights_of(module) for module in self.modules]
        gradients = gradients_of(loss, [weight for group in groups for weight in group])
        steps = [
            self._stepped(group, [gradients[id(weight.tensor)] for weight in group], state)
            for group, state in zip(groups, self.state_groups, strict=True)
        ]
        for number, (module, group) in enumerate(zip(self.modules, groups, strict=True)):
            tensors, self.state_groups[number] = steps[number]
            replace_weights(module, group, tensors)

    def _stepped(
        self, weights: Sequence[Weight], grads: list[Tensor | None], state: OptState
    ) -> tuple[list[Tensor], OptState]:
        """The weights of a group after the step, and the new state."""
        params = [weight.tensor for weight in weights]
        if isinstance(state, UninitializedState):
            state = self.impl.init(params)
        elif torch.is_grad_enabled():
            _look_at_history(params, state)
        updates, after = self.impl.update(grads, state, params=params, inplace=False)
        stepped = apply_updates(params, updates, inplace=False)
        if torch.is_grad_enabled():
            return stepped, after
        return [
            to if to is param else to.requires_grad_()
            for param, to in zip(params, stepped, strict=True)
        ], after

    def state_dict(self) -> tuple[OptState, ...]:
        """What is remembered for each module; the very tensors."""
        return tuple(self.state_groups)

    def load_state_dict(self, state_dict: Sequence[OptState]) -> None:
        """Remember what `state_dict` or `extract_state_dict` has returned.

        Raises:
            OptimizerError: a `ValueError`; it is of another number of modules, or of other
                parameters. Nothing was changed. What another kind of optimiser remembers under
                other names is an error in the next step.
        """
        if len(state_dict) != len(self.modules):
            raise OptimizerError(
                f"the state is one of {len(state_dict)} modules, but the optimizer has "
                f"{len(self.modules)}. Give what state_dict() of this optimizer returned."
            )
        for module, state in zip(self.modules, state_dict, strict=True):
            require_of_these(state, [weight.tensor for weight in weights_of(module)])
        self.state_groups[:] = state_dict


def gradients_of(loss: Tensor, weights: Sequence[Weight]) -> dict[int, Tensor | None]:
    """The gradient by each weight, by the identity of its tensor; None for what has none.

    They have a graph where gradients are switched on.

    Raises:
        ArgumentError: no weight has a gradient, or its modules are called again.
    """
    found: dict[int, Tensor | None] = {id(weight.tensor): None for weight in weights}
    moving = [weight for weight in weights if weight.tensor.requires_grad]
    adapting = {id(weight.tensor): weight.tensor for weight in moving}
    if loss.requires_grad and adapting:
        is_tracked = torch.is_grad_enabled()
        with nothing_computed_again(moving) if is_tracked else nullcontext():
            grads = torch.autograd.grad(
                loss, [*adapting.values()], create_graph=is_tracked, allow_unused=True
            )
        found.update(zip(adapting, grads, strict=True))
    if all(gradient is None for gradient in found.values()):
        raise ArgumentError(
            "step(loss) needs a loss that depends on the weights that the module has now, and this "
            "one depends on none of them. Compute it after recover_state_dict and after the last "
            "step, with that module, without detach() or torch.no_grad()."
        )
    return found


def _look_at_history(params: Sequence[Tensor], state: OptState) -> None:
    """Warn of moments from another inner loop: the backward pass would go through that, too."""
    begins = all(param.is_leaf for param in params)
    if begins and any(leaf.grad_fn is not None for leaf in leaves_of_state(state)):
        warnings.warn(
            "the weights are those that an inner loop begins with, but what the optimizer "
            "remembers leads back into an earlier one, whose graph a backward pass may have freed. "
            "Recover its state, too: state = extract_state_dict(optimizer) before the loop, "
            "recover_state_dict(optimizer, state) after it; or call stop_gradient(optimizer).",
            HistoryWarning,
            stacklevel=4,
        )
