"""Second derivatives that torch lacks, supplied to torch's own kernels.

Where the backward pass of a fused kernel has no derivative (or a wrong one), torch's dispatcher is
given one: when a graph is made of the backward pass, `create_graph=True`, the pass is computed by
plain operations, which have all derivatives. In every other case torch's own kernel runs, so first
order costs what it costs without metann; and it does not matter who calls the operation: a
layer of torch, a user's own forward, a hook. `torch.func.grad` makes a graph of every backward
pass, so there plain operations run at first order, too.

It is done once in a process, when the first module is converted or planned for, or the first
form of `metann.functional` is called; never at import. Outside of metann's calls it can be seen
only where torch would raise "derivative for ... is not implemented" or be wrong.
"""

from __future__ import annotations

import threading
import warnings
from collections.abc import Callable, Generator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import import_module
from inspect import signature
from typing import Any

import torch

from metann.functional import (
    activation_gradients,
    attention_gradients,
    ctc_gradients,
    cudnn,
    embedding_gradients,
    margin_gradients,
    weight_norm_gradients,
)
from metann.functional.transforms import plain_form_is_needed, settled_while_tracing
from metann.replaced import SUPPLIED, Supplied

# torch's stubs do not know this module in full.
_c: Any = import_module("torch._C")
_KEYS = ("AutogradCPU", "AutogradCUDA")
# A backward pass is batched without its forward in torch.func.jacrev and is_grads_batched=True.
_VMAP = "FuncTorchBatched"
_FORMS: dict[str, Callable[..., Any]] = {
    form.__name__: form
    for form in (
        attention_gradients.flash_attention_for_cpu_backward,
        attention_gradients.flash_attention_backward,
        attention_gradients.efficient_attention_backward,
        attention_gradients.cudnn_attention_backward,
        cudnn.cudnn_rnn_backward,
        embedding_gradients.embedding_bag_backward,
        embedding_gradients.embedding_bag_weights_backward,
        weight_norm_gradients.weight_norm_backward,
        activation_gradients.hardsigmoid_backward,
        margin_gradients.multi_margin_loss_backward,
        margin_gradients.multilabel_margin_loss_backward,
        ctc_gradients.ctc_loss_backward,
    )
}
_lock = threading.Lock()


@dataclass
class _State:
    """The registrations last as long as this library is alive."""

    library: Any = None
    withdrawals: int = 0


_state = _State()


@settled_while_tracing
def supply() -> None:
    """Give torch the derivatives of `metann.replaced.SUPPLIED`, unless it has them already."""
    if _state.library is None:
        with _lock:
            if _state.library is None and _state.withdrawals == 0:
                _state.library = _registered()


@contextmanager
def withdrawn() -> Generator[None, None, None]:
    """Torch as it is without metann, for the whole process, to compare with it.

    Nothing is supplied inside, whatever is converted or called there.
    """
    with _lock:
        _state.withdrawals += 1
        if _state.library is not None and _state.withdrawals == 1:
            _state.library._destroy()
    try:
        yield
    finally:
        with _lock:
            _state.withdrawals -= 1
            if _state.library is not None and _state.withdrawals == 0:
                _state.library = _registered()


def _registered() -> Any:
    untyped: Any = torch.library
    library = untyped.Library("aten", "IMPL")
    # Known since torch 2.7; before, torch can only warn of what is meant here.
    options = (
        {"allow_override": True} if "allow_override" in signature(library.impl).parameters else {}
    )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for row in SUPPLIED:
            operator = _operator(row)
            if operator is not None:
                kernel = _kernel(operator, _FORMS[row.by])
                for key in _KEYS:
                    library.impl(operator, kernel, key, with_keyset=True, **options)
                if not _c._dispatch_has_kernel_for_dispatch_key(operator.name(), _VMAP):
                    library.impl(operator, _FORMS[row.by], _VMAP)
    return library


def _operator(row: Supplied) -> Any:
    """The operator, if this torch has it with the arguments that our form takes."""
    name, _, overload = row.operator.partition(".")
    packet = getattr(torch.ops.aten, name, None)
    operator: Any = getattr(packet, overload or "default", None)
    if operator is None:
        return None
    known = [argument.name for argument in operator._schema.arguments]
    return operator if known == [*signature(_FORMS[row.by]).parameters] else None


def _kernel(operator: Any, form: Callable[..., Any]) -> Callable[..., Any]:
    """What torch calls for `operator` where gradients may be recorded."""

    def kernel(keyset: Any, *args: Any, **kwargs: Any) -> Any:
        makes_graph = torch.is_grad_enabled() and _requires_grad((*args, *kwargs.values()))
        if makes_graph or plain_form_is_needed():
            return form(*args, **kwargs)
        with _c._AutoDispatchBelowAutograd():
            return operator.redispatch(keyset & _c._after_autograd_keyset, *args, **kwargs)

    return kernel


def _requires_grad(values: Any) -> bool:
    """Whether any of them does, or of the tensors in a list."""
    return any(
        (
            value.requires_grad
            if isinstance(value, torch.Tensor)
            else isinstance(value, list) and _requires_grad(value)
        )
        for value in values
    )
