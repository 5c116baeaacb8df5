"""`DifferentiableOptimizer`: steps that return new weights, with a graph."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections import defaultdict
from collections.abc import Callable, Iterable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any, Protocol, TypeAlias, cast

import torch
from torch import Tensor, nn

from metann.compat.calling import not_called_again
from metann.compat.higher.functional_module import FunctionalModule
from metann.compat.higher.overrides import Override, apply_override
from metann.errors import CompatError

Grads: TypeAlias = "Sequence[Tensor | None]"
GradCallback: TypeAlias = "Callable[[list[Tensor | None]], Grads]"


class GroupsAndState(Protocol):
    """What is taken over from an optimiser of torch."""

    @property
    def param_groups(self) -> list[dict[str, Any]]:
        """Its groups of parameters, with their options."""
        raise NotImplementedError

    @property
    def state(self) -> Mapping[Any, Any]:
        """What it remembers for each parameter."""
        raise NotImplementedError


class DifferentiableOptimizer(ABC):
    """An optimiser whose steps can be differentiated.

    A subclass has `_update`, and is made known by `register_optim`.

    Args:
        other: its options and its state are copied. It is neither changed nor referred to.
        reference_params: the parameters of the model, among them those of `other`.
        fmodel: a functional module whose fast weights each step reads and renews.
        device: where the state is put.
        override: values for its options; see `step`.
        grad_callback: maps the gradients, in the order of `reference_params`, to those to be used.
        track_higher_grads: steps have a graph through gradients. False: each gradient is a
            constant; weights after a step are leaves, but if `fmodel` was made with
            `copy_initial_weights=False`: then they reach the parameters of its module, so that
            `backward()` gives these the gradient of first-order MAML.

    Attributes:
        param_groups: the options of each group; "params" are the weights within `_update` alone.
        state: for each group, what is remembered for each of its parameters, by its number.

    Raises:
        CompatError: a `ValueError`; `other` has a parameter that is none of `reference_params`.

    Source: the class of this name in higher.
    """

    def __init__(
        self,
        other: GroupsAndState | torch.optim.Optimizer,
        reference_params: Iterable[Tensor],
        fmodel: FunctionalModule[Any] | None = None,
        device: torch.device | str | None = None,
        override: Override | None = None,
        grad_callback: GradCallback | None = None,
        track_higher_grads: bool = True,
    ) -> None:
        groups: list[dict[str, Any]] = other.param_groups
        places = {id(param): index for index, param in enumerate(reference_params)}
        self._group_to_param_list: list[list[int]] = [
            [_place(param, places) for param in group["params"]] for group in groups
        ]
        self.param_groups: list[dict[str, Any]] = [copied_options(group) for group in groups]
        state = cast("Mapping[Any, Mapping[str, Any]]", other.state)
        self.state: list[defaultdict[int, dict[str, Any]]] = [
            copied_state(group["params"], state, device) for group in groups
        ]
        if override is not None:
            apply_override(self.param_groups, override)
        self._fmodel = fmodel
        self._grad_callback = grad_callback
        self._track_higher_grads = track_higher_grads

    def step(
        self,
        loss: Tensor,
        params: Iterable[Tensor] | None = None,
        override: Override | None = None,
        grad_callback: GradCallback | None = None,
    ) -> list[Tensor]:
        """Return the weights after one step; they are also the fast weights of `fmodel` then.

        Args:
            loss: a scalar, of the weights.
            params: the weights; needed where there is no `fmodel`.
            override: values for options, from now on: `{"lr": [tensor]}` for all groups, or a
                value for each group.
            grad_callback: in place of the one given at construction.

        Raises:
            CompatError: a `ValueError`; there are no weights, all are frozen, the loss depends on
                none of them, the override or the gradients do not fit, or the backward pass
                has called the model, as checkpointing outside of `fmodel(...)` does.
            OptimizerError: a `ValueError`; an option is out of range.
        """
        if override is not None:
            apply_override(self.param_groups, override)
        weights = self._weights(params)
        callback = grad_callback or self._grad_callback
        grads: Grads = self._gradients(loss, weights, every=callback is not None)
        if callback is not None:
            grads = checked(callback([*grads]), weights)
        stepped = self._stepped(weights, grads)
        if self._fmodel is not None:
            self._fmodel.update_params(stepped)
        return stepped

    @abstractmethod
    def _update(self, grouped_grads: list[list[Tensor | None]]) -> None:
        """Put new weights into `group["params"]` of each group, and remember in `self.state`.

        Args:
            grouped_grads: for each group a gradient, or None, for each of its parameters.
        """

    def _weights(self, params: Iterable[Tensor] | None) -> list[Tensor]:
        if params is not None:
            return [*params]
        weights = None if self._fmodel is None else self._fmodel.fast_params
        if weights is None:
            raise CompatError(
                "A step needs weights: there is no functional module that has some. Give them: "
                "diffopt.step(loss, params=...), or make the optimiser with fmodel=..."
            )
        return weights

    def _gradients(
        self, loss: Tensor, weights: Sequence[Tensor], every: bool
    ) -> list[Tensor | None]:
        """The gradient by each weight, or None; only by those that are stepped unless `every`."""
        stepped = {index for mapping in self._group_to_param_list for index in mapping}
        chosen = [i for i, p in enumerate(weights) if p.requires_grad and (every or i in stepped)]
        targets = [weights[index] for index in chosen]
        graph = self._track_higher_grads and torch.is_grad_enabled()
        if not weights:
            return []
        if not chosen:
            raise CompatError(
                "None of the weights that are to be stepped requires a gradient, so that a step "
                "would do nothing. Let one of them require it: weight.requires_grad_()."
            )
        kept = self._track_higher_grads
        with self._called_once(graph):
            found: Any = torch.autograd.grad(
                loss, targets, create_graph=graph, retain_graph=kept, allow_unused=True
            )
        if all(grad is None for grad in found):
            raise CompatError(
                "The loss depends on none of the weights that are to be stepped. Compute it with "
                "the functional module that innerloop_ctx gives, or with the params given to step."
            )
        by_index: dict[int, Tensor | None] = dict(zip(chosen, found, strict=True))
        return [by_index.get(index) for index in range(len(weights))]

    def _called_once(self, is_kept: bool) -> AbstractContextManager[None]:
        """The backward pass of a step, in which the model itself is not to be called."""
        if self._fmodel is None:
            return nullcontext()
        return not_called_again(
            cast("nn.Module", self._fmodel.module),
            is_kept,
            "Let the checkpointing be in fmodel(...), or call Learner(fmodel.module).bind("
            "fmodel.fast_params) in the place of fmodel; or track no higher gradients.",
        )

    def _stepped(self, weights: list[Tensor], grads: Grads) -> list[Tensor]:
        """Go through the groups with `_update`."""
        detached = not self._track_higher_grads and not (self._fmodel and self._fmodel.is_linked)
        pairs = [*zip(self.param_groups, self._group_to_param_list, strict=True)]
        for group, mapping in pairs:
            group["params"] = [weights[index] for index in mapping]
        with torch.set_grad_enabled(torch.is_grad_enabled() and not detached):
            self._update([[grads[index] for index in mapping] for _, mapping in pairs])
        stepped = [*weights]
        for group, mapping in pairs:
            for index, weight in zip(mapping, group["params"], strict=True):
                was = weights[index].requires_grad
                stepped[index] = weight.detach().requires_grad_(was) if detached else weight
                if was and not torch.is_grad_enabled():
                    stepped[index].requires_grad_()  # The next step needs a gradient by it, too.
            # The weights are the caller's to keep.
            group["params"] = [None] * len(mapping)
        return stepped


def _place(param: Tensor, places: Mapping[int, int]) -> int:
    index = places.get(id(param))
    if index is None:
        raise CompatError(
            f"The optimiser has a parameter of shape {tuple(param.shape)} that is none of the "
            f"{len(places)} reference parameters. Make it for parameters of this very model."
        )
    return index


def copied_options(group: Mapping[str, Any]) -> dict[str, Any]:
    """The options of a group, without its parameters; what is learned is the same tensor."""
    options: dict[str, Any] = {
        name: value.clone() if isinstance(value, Tensor) and not value.requires_grad else value
        for name, value in group.items()
    }
    options["params"] = [None] * len(group["params"])
    return options


def copied_state(
    params: Sequence[Tensor],
    state: Mapping[Any, Mapping[str, Any]],
    device: torch.device | str | None,
) -> defaultdict[int, dict[str, Any]]:
    """What an optimiser remembers for the parameters of a group, by their number in it."""
    found: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for index, param in enumerate(params):
        kept = state.get(param)
        if kept:
            found[index] = {
                name: value.detach().clone().to(device) if isinstance(value, Tensor) else value
                for name, value in kept.items()
            }
    return found


def checked(grads: Grads, weights: Sequence[Tensor]) -> Grads:
    """The gradients of a callback, one for each weight."""
    found = [*grads]
    if len(found) != len(weights):
        raise CompatError(
            f"grad_callback must return a gradient, or None, for each of the {len(weights)} "
            f"weights that it is given, got {len(found)}. Return a list as long as the one given."
        )
    return found
