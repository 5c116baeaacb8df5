"""Which of torch's transforms are at work."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from torch import Tensor
from torch.autograd import forward_ad

# torch's stubs do not know these modules in full.
_c: Any = import_module("torch._C")
_interpreters: Any = _c._functorch
_dual_levels: Any = forward_ad
_kind: Any = _interpreters.TransformType
_NEED_PLAIN_FORMS: Any = (_kind.Vmap, _kind.Jvp)


def plain_form_is_needed() -> bool:
    """Whether torch is asked for what its fused kernels have no rule for.

    True inside `torch.vmap` and inside forward-mode differentiation (`torch.func.jvp`,
    `torch.autograd.forward_ad`); false in reverse mode of any order, where torch's own kernel is
    called and `metann.functional.derivatives` supplies what it lacks.
    """
    if _dual_levels._current_level >= 0:
        return True
    if _interpreters.peek_interpreter_stack() is None:
        return False
    stack = _interpreters.get_interpreter_stack() or ()
    return any(interpreter.key() in _NEED_PLAIN_FORMS for interpreter in stack)


# What `torch.compiler.assume_constant_result` does, without importing the compiler: torch.compile
# asks once, while it traces, and guards the transforms around what it traced by itself.
vars(plain_form_is_needed)["_dynamo_marked_constant"] = True


def in_transform() -> bool:
    """Whether a transform of torch.func is at work: vmap, grad, vjp, jvp, functionalize, ..."""
    return _interpreters.peek_interpreter_stack() is not None


def vmap_levels() -> list[tuple[int, int]]:
    """The level and the batch size of each `torch.vmap` at work, outermost first."""
    if _interpreters.peek_interpreter_stack() is None:
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
    that already belongs to a transform is copied as it is.
    """
    levels = vmap_levels()
    if levels and not _interpreters.is_functorch_wrapped_tensor(tensor):
        with _c._DisableFuncTorch():
            sizes = [size for _, size in levels]
            tensor = tensor.expand(*sizes, *tensor.shape).clone()
        for level, _ in levels:
            tensor = _interpreters._add_batch_dim(tensor, 0, level)
    return tensor.clone()
