"""Calls of a model whose weights change between calls: the module's own call, and `forward`.

A call works on an instance of its own: activation checkpointing computes it again in the backward
pass, and must find the weights of that call then, not those that the model has got since.
"""

from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, TypeVar

from torch import Tensor, nn

from metann.errors import CompatError
from metann.functional.transforms import in_any_transform
from metann.learner import Learner
from metann.places import REMEMBERED, places_of
from metann.references import TORCH_TABLES, Carrier
from metann.slots import slots_of
from metann.tree import walk

ModuleT = TypeVar("ModuleT", bound=nn.Module)

_KEPT = {*TORCH_TABLES, REMEMBERED}


def planned(module: ModuleT) -> Learner[ModuleT]:
    """A learner whose plan holds when the module's weights are substituted for the first time."""
    places_of(module)  # The module remembers them from now on, which a plan would find out later.
    return Learner(module)


def called(
    learner: Learner[Any],
    weights: Sequence[Tensor],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    """What the learner's module returns under weights; it takes over what else the call leaves.

    Inside a transform of torch.func it takes over nothing: what is left there is batched.
    """
    if in_any_transform():
        return learner.functional(weights, None, *args, **kwargs)
    instance = learner.bind(weights)
    output: Any = instance(*args, **kwargs)
    take_over(instance, learner.module)
    return output


def forwarded(
    learner: Learner[Any],
    weights: Sequence[Tensor],
    args: tuple[Any, ...],
    kwargs: Mapping[str, Any],
) -> Any:
    """As `called`, without hooks: what `forward` returns."""
    if in_any_transform():
        return learner.module.forward(*args, **kwargs)
    instance = learner.bind(weights)
    output: Any = instance.forward(*args, **kwargs)
    take_over(instance, learner.module)
    return output


@contextmanager
def not_called_again(model: nn.Module, is_kept: bool, instead: str) -> Generator[None]:
    """Raise at the end if the model, or a part of it, was called in between.

    It is for a backward pass. What calls the model there, as activation checkpointing does, calls
    it again in a later pass through the graph, when the model has other weights.

    Args:
        model: its weights are about to be replaced.
        is_kept: the graph is; if not, there is no later pass, and nothing is looked for.
        instead: what to do.

    Raises:
        CompatError: it was called.
    """
    found: list[nn.Module] = []

    def note(part: nn.Module, _args: object) -> None:
        found.append(part)

    parts = [part for _, part in walk(model)] if is_kept else []
    handles = [part.register_forward_pre_hook(note) for part in parts]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
    if found:
        raise CompatError(
            f"The backward pass has called a {type(found[0]).__name__} again, as "
            "torch.utils.checkpoint does. A later pass would do so with the weights of the last "
            f"step, and give a wrong gradient. {instead}"
        )


def take_over(instance: nn.Module, model: nn.Module) -> None:
    """Give the model the buffers, attributes and modules that a call has left in an instance.

    Running statistics go on, and what a forward keeps (`self.features = h`) can be read from the
    model. Weights, hooks and the modules themselves stay the model's own.

    Args:
        instance: built from `model`, and called.
        model: of the same structure.
    """
    own = dict(walk(model))
    pairs = [(part, own[path]) for path, part in walk(instance) if path in own]
    carry = Carrier({id(part): target for part, target in pairs})
    for part, target in pairs:
        _take_tables(part.__dict__, target)
        for name, value in part.__dict__.items():
            if name not in _KEPT and target.__dict__.get(name) is not value:
                target.__dict__[name] = carry.attribute(name, value)


def _take_tables(state: dict[str, Any], target: nn.Module) -> None:
    """Buffers, and modules that the call has made."""
    weights = slots_of(target)
    left: dict[str, Any] = state["_buffers"]
    buffers: dict[str, Any] = target.__dict__["_buffers"]
    own = {name: value for name, value in left.items() if name not in weights}
    unsaved: set[str] = state["_non_persistent_buffers_set"] & own.keys()
    target.__dict__["_non_persistent_buffers_set"].update(unsaved - buffers.keys())
    buffers.update(own)
    modules: dict[str, Any] = target.__dict__["_modules"]
    modules.update((name, made) for name, made in state["_modules"].items() if name not in modules)
