"""Inner steps that are differentiated in mixed mode: forward over reverse."""

from __future__ import annotations

import warnings
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

import torch
from torch import Tensor
from torch.autograd import forward_ad
from torch.overrides import TorchFunctionMode
from torch.utils import _pytree as pytree
from typing_extensions import override

from metann.errors import MixedModeError
from metann.functional.transforms import in_any_transform, is_compiling
from metann.meta.fast import Fast
from metann.meta.recomputing import recomputed, version_of
from metann.meta.steps import InnerStep, are_none, require_dependent
from metann.meta.surroundings import Surroundings

# torch's stubs do not know its arguments.
_forward_mode: Any = forward_ad
_INSTEAD = "use checkpoint=True, which needs little memory too, or neither"


def mixed(step: InnerStep, fast: Fast) -> tuple[Fast, Tensor]:
    """Take a step whose second derivatives are those of its gradient in one direction.

    What the backward pass needs of a step are products of one vector with the Hessian of the loss
    and with its mixed derivatives by the slow weights and whatever else it depends on. Together
    these are the derivative of its gradients along that vector: a pass in forward mode over the
    loss and its gradient, with no graph of the gradient. The optimiser's update is `recomputed`. So
    memory grows with each step by the weights and the optimiser's state, and by the gradient, if
    the update's derivative depends on it.

    A loss that depends on results of other computations (data or slow weights with a history), or
    writes buffers that have one, is left to `recomputed`: the gradients are the same.

    Raises:
        MixedModeError: a `RuntimeError`; called inside a transform of torch.func, in forward mode
            or inside torch.compile; or in the backward pass, if an operation has no rule for
            forward mode, if that pass is to be differentiated itself, or if data, frozen weights
            or buffers were changed in place before it.

    Source: Kemaev et al., "Scalable Meta-Learning via Mixed-Mode Differentiation" (MixFlow-MG),
    arXiv 2505.00793.
    """
    _require_no_transform()
    if not (step.keeps_graph and torch.is_grad_enabled()):
        return step(fast)
    _begin_forward_mode()
    begun, surroundings = _next_number(), Surroundings(fast)
    weights = [weight.detach().requires_grad_() for weight in fast.weights]
    watched = _Watched(step)
    with watched:
        losses, buffers = step.loss(weights, fast.buffers)
    require_dependent(losses)
    others = _leaves_of(losses, weights, begun)
    if others is None or any(buffer.requires_grad for buffer in buffers.values()):
        return recomputed(step, fast)
    found = torch.autograd.grad(losses.sum(), weights, allow_unused=True)
    if are_none(found):
        step.require_meant(losses)
    surroundings.left()
    watched.settle()
    taken = _Taken(step, fast.buffers, surroundings, len(weights), watched)
    gradients = _with_history(taken, found, [*fast.weights, *others])
    after, state = recomputed(
        lambda given: step.optimizer.step(*given), (fast.weights, gradients, fast.state)
    )
    return Fast(after, state, buffers), losses.detach()


class _Watched(TorchFunctionMode):
    """What a step reads without being given it, and how often that was changed in place.

    While it is entered it notes the arguments of torch's functions. Under a vmap those with a task
    axis are not the tensors themselves, so the step is asked for these.
    """

    def __init__(self, step: InnerStep) -> None:
        super().__init__()
        self._step = step
        self._read = {id(tensor): weakref.ref(tensor) for tensor in step.reads()}
        self._versions: list[tuple[weakref.ref[Tensor], int]] = []

    @override
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Note the arguments, and call the function."""
        leaves: list[Any] = pytree.tree_leaves((args, kwargs))
        tensors = (leaf for leaf in leaves if isinstance(leaf, Tensor))
        self._read.update((id(tensor), weakref.ref(tensor)) for tensor in tensors)
        return func(*args, **(kwargs or {}))

    def settle(self) -> None:
        """The step is done: what it has computed is gone, or will not be changed."""
        for copied in self._step.copies():
            self._read.pop(id(copied), None)
        living = ((ref, ref()) for ref in self._read.values())
        self._versions = [(ref, version_of(each)) for ref, each in living if each is not None]
        self._read = {}

    def have_changed(self) -> bool:
        """Whether something that is still there was changed since."""
        living = ((ref(), version) for ref, version in self._versions)
        return any(each is not None and version_of(each) != version for each, version in living)


@dataclass(frozen=True)
class _Taken:
    """A step, and what is needed to differentiate its gradient."""

    step: InnerStep
    buffers: dict[str, Tensor]
    surroundings: Surroundings
    count: int
    watched: _Watched

    def along(
        self, inputs: Sequence[Tensor], directions: Sequence[Tensor | None], needed: Sequence[bool]
    ) -> list[Tensor | None]:
        """How the gradient by each input changes as the weights, the first, move."""
        if self.watched.have_changed():
            raise MixedModeError(
                "an inner step is computed again in the backward pass, and something that it "
                "reads, such as the data, or a weight or buffer of the model, has been changed in "
                "place since. Change a copy of it, or change it after the backward pass."
            )
        with self.surroundings.restored(), torch.enable_grad(), forward_ad.dual_level():
            weights = [_moving(*pair) for pair in zip(inputs, directions, strict=False)]
            losses, _ = self.step.loss(weights, self.buffers)
            every = [*weights, *inputs[self.count :]]
            wanted = [tensor for tensor, is_needed in zip(every, needed, strict=True) if is_needed]
            found = torch.autograd.grad(losses.sum(), wanted, allow_unused=True)
            changes = iter([_change(gradient) for gradient in found])
        return [next(changes) if is_needed else None for is_needed in needed]


def _with_history(
    taken: _Taken, found: Sequence[Tensor | None], inputs: list[Tensor]
) -> list[Tensor | None]:
    """The gradients, as functions of the weights and of all else that the loss depends on."""
    function: Any = _Gradients
    given = [gradient for gradient in found if gradient is not None]
    connected = iter(function.apply(taken, tuple(g is not None for g in found), given, *inputs))
    return [None if gradient is None else next(connected) for gradient in found]


class _Gradients(torch.autograd.Function):
    """Gradients of a loss that are known; their derivative is found when it is asked for."""

    @staticmethod
    @override
    def forward(ctx: Any, *args: Any) -> tuple[Tensor, ...]:
        """Return the gradients, with a history."""
        ctx.taken, ctx.given, gradients, *inputs = args
        ctx.save_for_backward(*inputs)
        ctx.set_materialize_grads(False)
        return tuple(gradients)

    @staticmethod
    @override
    def backward(ctx: Any, *grad_outputs: Tensor | None) -> tuple[Tensor | None, ...]:
        """In forward mode: the Hessian is symmetric."""
        if torch.is_grad_enabled():
            raise MixedModeError(
                "a backward pass with create_graph=True goes through an inner step that is "
                f"differentiated in mixed mode, which stops at second derivatives. For a third "
                f"one {_INSTEAD}."
            )
        given = iter(grad_outputs)
        directions = [next(given) if is_given else None for is_given in ctx.given]
        try:
            found = ctx.taken.along(ctx.saved_tensors, directions, ctx.needs_input_grad[3:])
        except NotImplementedError as error:
            raise MixedModeError(
                "mixed_mode differentiates an inner step in forward mode, and an operation in it "
                f"has no rule for that ({error}). For this model {_INSTEAD}."
            ) from error
        return None, None, None, *found


def _moving(weight: Tensor, direction: Tensor | None) -> Tensor:
    still = weight.detach()
    if 0 in still.stride():
        # An expanded tensor: torch gives the direction the strides of the weight, and writes it.
        still = still.contiguous()
    if direction is None:
        return still.requires_grad_()
    dual: Tensor = _forward_mode.make_dual(still, direction)
    return dual.requires_grad_()


def _change(gradient: Tensor | None) -> Tensor | None:
    if gradient is None:
        return None
    change: Tensor | None = _forward_mode.unpack_dual(gradient).tangent
    return change


def _leaves_of(losses: Tensor, without: list[Tensor], begun: int) -> list[Tensor] | None:
    """The leaves that `losses` depends on; None if it depends on anything from before `begun`."""
    mine = {id(weight) for weight in without}
    leaves: list[Tensor] = []
    waiting: list[Any] = [losses.grad_fn]
    seen = set(waiting)
    while waiting:
        node = waiting.pop()
        leaf: Tensor | None = getattr(node, "variable", None)
        if leaf is not None:
            leaves += [] if id(leaf) in mine else [leaf]
        elif node._sequence_nr() < begun:
            return None
        following = {after for after, _ in node.next_functions if after is not None} - seen
        seen |= following
        waiting += following
    return leaves


@cache
def _begin_forward_mode() -> None:
    """At its first use torch makes rules by a function of its own that it calls deprecated."""
    with warnings.catch_warnings(), forward_ad.dual_level():
        warnings.simplefilter("ignore", DeprecationWarning)
        _forward_mode.make_dual(torch.ones(()), torch.ones(()))


def _next_number() -> int:
    """torch numbers the operations of a thread; the next one has at least this number."""
    operation: Any = torch.zeros((), requires_grad=True).clone().grad_fn
    number: int = operation._sequence_nr()
    return number


def _require_no_transform() -> None:
    if is_compiling() or in_any_transform():
        raise MixedModeError(
            "mixed_mode was asked for inside torch.compile, forward mode or a transform of "
            "torch.func, which cannot follow it. Use mixed_mode=False there."
        )
