"""Random module trees: their descriptions, what builds them, and what draws them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from comparing import seed_torch
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize
from tree_classes import HOLDERS, WIDTH
from tree_leaves import LEAVES, Positive, linear

from metann import DependentModule


@dataclass(frozen=True, repr=False)
class Tree:
    """A description of a module tree; its text, pasted into a test, makes it again.

    Attributes:
        kind: a key of LEAVES, HOLDERS or CHANGES, "Again" or "Tied".
        parts: what a holder holds, or the one that is changed.
        number: which of the modules built before it is meant by "Again", or which of the weights
            by "Tied".
    """

    kind: str
    parts: tuple[Tree, ...] = ()
    number: int | None = None

    def __repr__(self) -> str:
        number = [] if self.number is None else [f"number={self.number}"]
        return f"tree({', '.join([repr(self.kind), *map(repr, self.parts), *number])})"


def tree(kind: str, *parts: Tree, number: int | None = None) -> Tree:
    return Tree(kind, parts, number)


# ── what may be done to a module that is part of a tree ──────────────────────────────────────


def _after(module: nn.Module, args: Any, out: Tensor) -> Tensor:
    return out * 1.1


def _before(module: nn.Module, args: Any) -> Any:
    return (args[0] * 0.9,)


def _before_with_keywords(module: nn.Module, args: Any, kwargs: Any) -> Any:
    return (args[0] + 0.1,), kwargs


def _with_own_weight(module: nn.Module, args: Any, out: Tensor) -> Tensor:
    return out + sum(p.real.double().mean() for p in module.parameters())


def _backward(module: nn.Module, of_inputs: Any, of_outputs: Any) -> Any:
    return tuple(None if g is None else g * 1.2 for g in of_inputs)


def _before_backward(module: nn.Module, of_outputs: Any) -> Any:
    return tuple(None if g is None else g * 0.8 for g in of_outputs)


def _hooked(register: Callable[[nn.Module], Any]) -> Callable[[nn.Module], nn.Module]:
    def change(module: nn.Module) -> nn.Module:
        register(module)
        return module

    return change


def _parametrized(register: Callable[[nn.Module], Any]) -> Callable[[nn.Module], nn.Module]:
    """A change of the first matrix called `weight` that is an ordinary parameter."""

    def change(module: nn.Module) -> nn.Module:
        for owner in module.modules():
            weight = owner._parameters.get("weight")
            if weight is not None and weight.dim() > 1:
                register(owner)
                break
        return module

    return change


def _converted(module: nn.Module) -> nn.Module:
    return DependentModule(module)


CHANGES: dict[str, Callable[[nn.Module], nn.Module]] = {
    "Frozen": lambda module: module.requires_grad_(False),
    "InEval": lambda module: module.eval(),
    "Converted": _converted,
    "HookAfter": _hooked(lambda module: module.register_forward_hook(_after)),
    "HookBefore": _hooked(lambda module: module.register_forward_pre_hook(_before)),
    "HookWithKeywords": _hooked(
        lambda module: module.register_forward_pre_hook(_before_with_keywords, with_kwargs=True)
    ),
    "HookWithWeights": _hooked(lambda module: module.register_forward_hook(_with_own_weight)),
    "HookRemoved": _hooked(lambda module: module.register_forward_hook(_after).remove()),
    "HookBackward": _hooked(lambda module: module.register_full_backward_hook(_backward)),
    "HookBeforeBackward": _hooked(
        lambda module: module.register_full_backward_pre_hook(_before_backward)
    ),
    "Positive": _parametrized(
        lambda owner: parametrize.register_parametrization(owner, "weight", Positive())
    ),
    "Normed": _parametrized(lambda owner: parametrizations.weight_norm(owner)),
}


# ── building ─────────────────────────────────────────────────────────────────────────────────


class Builder:
    """Builds a tree; the same one each time.

    Args:
        converts: whether what is "Converted" is.
    """

    def __init__(self, converts: bool = True) -> None:
        self._built: list[nn.Module] = []
        self._converts = converts

    def __call__(self, of: Tree) -> nn.Module:
        made = self._made(of)
        self._built.append(made)
        return made

    def _made(self, of: Tree) -> nn.Module:
        if of.kind == "Again":
            return self._built[of.number % len(self._built)] if self._built else linear()
        if of.kind == "Tied":
            return self._tied(of.number)
        if of.kind in LEAVES:
            return LEAVES[of.kind]()
        parts = [self(part) for part in of.parts]
        if of.kind in HOLDERS:
            return HOLDERS[of.kind](*parts)
        if of.kind == "Converted" and not self._converts:
            return parts[0]
        return CHANGES[of.kind](parts[0])

    def _tied(self, number: int) -> nn.Module:
        """A linear layer whose weight, and bias, are parameters of what has been built."""
        made = linear()
        known = list(dict.fromkeys(p for module in self._built for p in module.parameters()))
        for name, own in (("weight", made.weight), ("bias", made.bias)):
            like = [p for p in known if p.shape == own.shape and p.dtype == own.dtype]
            if like:
                setattr(made, name, like[number % len(like)])
        return made


def built(of: Tree, converts: bool = True) -> nn.Module:
    """The tree, with parameters and running statistics away from zero and one."""
    seed_torch(of.number or 0)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # What torch says of odd but legal layers.
        module = Builder(converts)(of)
    with torch.no_grad():
        for name, tensor in [*module.named_parameters(), *module.named_buffers()]:
            if tensor.is_floating_point() and not name.endswith(("_mask", "_u", "_v")):
                tensor.add_(torch.rand_like(tensor), alpha=0.2)
    return module


# ── drawing ──────────────────────────────────────────────────────────────────────────────────

_numbers = st.integers(0, 9)


def trees(leaves: int = 8) -> st.SearchStrategy[Tree]:
    """Trees with so many leaves at most, the smallest first."""
    ends = st.one_of(
        st.sampled_from([*LEAVES]).map(tree),
        st.sampled_from([*LEAVES]).map(tree),
        _numbers.map(lambda number: tree("Again", number=number)),
        _numbers.map(lambda number: tree("Tied", number=number)),
    )
    inner = st.recursive(ends, lambda parts: _held(parts) | _changed(parts), max_leaves=leaves)
    return _held(inner)


def _held(parts: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    some = st.lists(parts, min_size=1, max_size=3)
    return st.tuples(st.sampled_from([*HOLDERS]), some).map(lambda drawn: tree(drawn[0], *drawn[1]))


def _changed(part: st.SearchStrategy[Tree]) -> st.SearchStrategy[Tree]:
    return st.tuples(st.sampled_from([*CHANGES]), part).map(lambda drawn: tree(*drawn))


def inputs(seed: int) -> Tensor:
    """Three rows, as every module of a tree takes."""
    return torch.randn(3, WIDTH, generator=torch.Generator().manual_seed(seed))
