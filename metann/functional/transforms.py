"""Which of torch's transforms are at work."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from importlib import import_module
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd import forward_ad

# torch's stubs do not know these modules in full.
_c: Any = import_module("torch._C")
_interpreters: Any = _c._functorch
innermost: Callable[[], Any] = _interpreters.peek_interpreter_stack
dual_levels: Any = forward_ad
_kind: Any = _interpreters.TransformType
_NEED_PLAIN_FORMS: Any = (_kind.Vmap, _kind.Jvp)

# torch 2.0 has none.
is_compiling: Callable[[], bool] = getattr(
    getattr(torch, "compiler", None), "is_dynamo_compiling", bool
)
_FunctionT = TypeVar("_FunctionT", bound=Callable[..., Any])


def settled_while_tracing(function: _FunctionT) -> _FunctionT:
    """Let torch.compile call `function` once, while it traces, and take the result as it is.

    What `torch.compiler.assume_constant_result` does, without importing the compiler.
    """
    vars(function)["_dynamo_marked_constant"] = True
    return function


@settled_while_tracing
def plain_form_is_needed() -> bool:
    """Whether torch is asked for what its fused kernels have no rule for.

    True inside `torch.vmap` and inside forward-mode differentiation (`torch.func.jvp`,
    `torch.autograd.forward_ad`); false in reverse mode of any order, where torch's own kernel is
    called and `metann.functional.derivatives` supplies what it lacks. torch.compile guards the
    transforms around what it traced by itself.
    """
    if dual_levels._current_level >= 0:
        return True
    if innermost() is None:
        return False
    stack = _interpreters.get_interpreter_stack() or ()
    return any(interpreter.key() in _NEED_PLAIN_FORMS for interpreter in stack)


@settled_while_tracing
def is_inside_functorch() -> bool:
    """Whether a transform of torch.func is at work: vmap, grad, vjp, jvp, functionalize, ..."""
    return innermost() is not None


@settled_while_tracing
def in_any_transform() -> bool:
    """Whether one of torch.func is at work, or forward-mode differentiation without it."""
    return dual_levels._current_level >= 0 or innermost() is not None


def outside_functorch() -> AbstractContextManager[Any]:
    """Within it, operations on tensors that no transform has wrapped are run as they are."""
    disabled: AbstractContextManager[Any] = _c._DisableFuncTorch()
    return disabled


def vmap_levels() -> list[tuple[int, int]]:
    """The level and the batch size of each `torch.vmap` at work, outermost first."""
    if innermost() is None:
        return []
    found: list[tuple[int, int]] = []
    for interpreter in _interpreters.get_interpreter_stack() or ():
        if interpreter.key() == _kind.Vmap:
            vmap = _interpreters.CVmapInterpreterPtr(interpreter)
            found.append((interpreter.level(), vmap.batchSize()))
    return found


def batched_over_all_levels(tensor: Tensor) -> Tensor:
    """A copy of `tensor` that may hold another value for each element of every vmap at work.

    torch refuses to write a batched result in place into a tensor that is not batched. A tensor
    that belongs to an outer transform is batched for the vmaps inside of that.
    """
    levels = vmap_levels()
    if levels and not _interpreters.is_functorch_wrapped_tensor(tensor):
        with outside_functorch():
            sizes = [size for _, size in levels]
            tensor = tensor.expand(*sizes, *tensor.shape).clone()
        for level, _ in levels:
            tensor = _interpreters._add_batch_dim(tensor, 0, level)
        return tensor.clone()
    for level, size in _innermost_vmaps(_level_of(tensor)):
        tensor = _interpreters._add_batch_dim(tensor.expand(size, *tensor.shape).clone(), 0, level)
    return tensor.clone()


def _level_of(tensor: Tensor) -> int:
    """The transform that a tensor belongs to, the innermost one; 0 for none."""
    level: int = _interpreters.maybe_get_level(tensor)
    return max(level, 0)


def _innermost_vmaps(above: int) -> list[tuple[int, int]]:
    """Those that stand innermost, with no other transform inside of them, from a level on."""
    vmaps = dict(vmap_levels())
    found: list[tuple[int, int]] = []
    for interpreter in (_interpreters.get_interpreter_stack() or ())[::-1]:
        level = interpreter.level()
        if level not in vmaps or level <= above:
            break
        found.append((level, vmaps[level]))
    return found[::-1]


def unwrapped(tensor: Tensor) -> Tensor:
    """The values of `tensor` for all elements of every vmap at once, to be looked at, not used."""
    while _interpreters.is_functorch_wrapped_tensor(tensor):
        tensor = _interpreters.get_unwrapped(tensor)
    return tensor


def is_batched(tensor: Tensor) -> bool:
    """Whether a vmap is over this tensor: `torch.vmap`, or that of `is_grads_batched=True`."""
    is_legacy: bool = _interpreters.is_legacy_batchedtensor(tensor)
    return is_legacy or _interpreters.is_batchedtensor(tensor)
