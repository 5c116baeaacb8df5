"""`BaseLearner`: a model, wrapped, that can be cloned and adapted."""

from __future__ import annotations

import copy
from collections.abc import Iterator, Sequence
from typing import Any, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import Parameter
from typing_extensions import Self

from metann.compat.calling import called, not_called_again, planned
from metann.compat.learn2learn.modules import cloned, named, weights_of
from metann.dependents import named_weights, other_buffers
from metann.errors import CompatError
from metann.learner import Learner
from metann.module import DependentModule
from metann.references import tensors_in
from metann.tree import join, walk

INSTEAD: str = (
    "Let the checkpointing be in clone(...), or call Learner(clone.module).bind("
    "[*clone.module.parameters()]) in the place of the clone; or say first_order=True."
)


class BaseLearner(nn.Module):
    """Wraps a model: calls, attributes and items are the model's.

    A call of a clone works on an instance of its own, so that activation checkpointing finds the
    weights of that call again. Methods of the model, and `module` itself, compute with what is
    there: checkpointing in them would find the latest weights. An instance to keep is
    `Learner(clone.module).bind([*clone.module.parameters()])`.

    Attributes:
        module: the model; that of a clone is its counterpart, with weights that have a graph.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module: nn.Module = module

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the model returns."""
        weights = [weight for _, weight in weights_of(self.module)]
        if all(weight.is_leaf for weight in weights):
            return self.module(*args, **kwargs)
        return called(self._learner(), weights, args, kwargs)

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Iterate over parameters, the weights of a clone among them."""
        if not remove_duplicate:
            return super().named_parameters(prefix, recurse, remove_duplicate)
        return named_weights(self, prefix, recurse)

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Iterate over buffers, the weights of a clone left out."""
        seen: set[int] = set()
        for path, part in walk(self) if recurse else [("", self)]:
            for name, buffer in other_buffers(part):
                if buffer is not None and not (remove_duplicate and id(buffer) in seen):
                    seen.add(id(buffer))
                    yield join(prefix, join(path, name)), buffer

    def __getattr__(self, name: str) -> Any:
        try:
            return super().__getattr__(name)
        except AttributeError:
            # Not before __init__, as in a copy. Protocols are of the wrapper: a copy is one, too.
            if name == "module" or (name.startswith("__") and name.endswith("__")):
                raise
            return getattr(self.module, name)

    def __getitem__(self, key: Any) -> Any:
        return cast("Any", self.module)[key]

    def __len__(self) -> int:
        return len(cast("Any", self.module))

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return iter(cast("Any", self.module))

    def _learner(self) -> Learner[nn.Module]:
        """A plan of the model, looked up once."""
        kept: Learner[nn.Module] | None = self.__dict__.get("_planned")
        if kept is None or kept.module is not self.module:
            is_clone = isinstance(self.module, DependentModule)
            kept = planned(self.module) if is_clone else Learner(self.module)
            self.__dict__["_planned"] = kept
        return kept

    def _cloned(self) -> nn.Module:
        return cloned(self._learner())

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        made = type(self).__new__(type(self))
        memo[id(self)] = made
        state = self.__getstate__()
        for tensor in tensors_in([*state.values()]):  # As the weights: within the graph.
            if not tensor.is_leaf:
                memo.setdefault(id(tensor), tensor.clone())
        cast("Any", made).__setstate__(copy.deepcopy(state, memo))
        return made

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in self.__dict__.items() if name != "_planned"}


def gradients(
    loss: Tensor, module: nn.Module, second_order: bool, allow_unused: bool, allow_nograd: bool
) -> list[Tensor | None]:
    """The gradient by each weight; None where there is none, if that is allowed.

    Raises:
        CompatError: a `ValueError`; the loss does not depend on these weights, they are frozen, or
            the backward pass has called the module, as checkpointing outside of `clone(...)` does.
    """
    names, weights = named(module)
    frozen = [n for n, w in zip(names, weights, strict=True) if not w.requires_grad]
    if frozen and not allow_nograd:
        raise CompatError(
            f"These weights do not require a gradient: {', '.join(frozen)}. To leave them as they "
            "are, say allow_nograd=True."
        )
    chosen = [name for name in names if name not in frozen]
    targets = [w for n, w in zip(names, weights, strict=True) if n not in frozen]
    if not targets:
        return [None] * len(weights)
    with not_called_again(module, second_order, INSTEAD):
        found: Sequence[Tensor | None] = torch.autograd.grad(
            loss, targets, retain_graph=second_order, create_graph=second_order, allow_unused=True
        )
    by_name: dict[str, Tensor | None] = dict(zip(chosen, found, strict=True))
    _require_used([name for name, grad in by_name.items() if grad is None], chosen, allow_unused)
    return [by_name.get(name) for name in names]


def _require_used(unused: list[str], chosen: list[str], allow_unused: bool) -> None:
    if unused == chosen:
        raise CompatError(
            "The loss depends on none of the weights that are to adapt. Compute it with the very "
            "clone whose adapt(loss) is called."
        )
    if unused and not allow_unused:
        raise CompatError(
            f"The loss does not depend on these weights: {', '.join(unused)}. To leave them as "
            "they are, say allow_unused=True."
        )
