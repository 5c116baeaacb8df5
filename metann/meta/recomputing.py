"""Inner steps that are computed again in the backward pass, so that no graph of them is kept."""

from __future__ import annotations

import threading
import weakref
from collections import deque
from collections.abc import Callable
from typing import Any, TypeVar

import torch
from torch import Tensor
from torch.autograd.graph import saved_tensors_hooks
from torch.utils import _pytree as pytree

from metann.errors import RecomputingError
from metann.functional.transforms import in_any_transform, is_compiling
from metann.meta.surroundings import Surroundings

TreeT = TypeVar("TreeT")
ResultT = TypeVar("ResultT")


def recomputed(step: Callable[[TreeT], ResultT], start: TreeT) -> ResultT:
    """What `step(start)` returns, with its graph but without the values that the graph needs.

    Loss, gradient and update are computed as ever, and the graph that this makes is that of the
    result: gradients reach whatever the step depends on, given to it or not. The values that its
    operations save for the backward pass are let go when the step is done, and the backward pass
    calls the step once more when it comes to it. So memory grows with each step by no more than
    what the step returns: the weights, and the optimiser's state. Random numbers and autocast are
    as they were. Derivatives of any order are those of the step itself.

    Args:
        step: gives the same result each time. What it reads without being given it must not be
            changed in place before the backward pass.
        start: a pytree of tensors.

    Raises:
        RecomputingError: a `RuntimeError`; called inside a transform of torch.func, in forward
            mode or inside torch.compile; or in the backward pass, if the step then computes
            something else, or a tensor that is needed has been changed in place.

    Source: Chen et al., "Training Deep Nets with Sublinear Memory Cost", arXiv 1604.06174.
    `torch.utils.checkpoint` gives the same gradients here, but for the gradient that is taken
    inside of a step it computes the step's loss again in the forward pass already, and it holds on
    to what it has computed again and no gradient asked for.
    """
    _require_no_transform()
    if not torch.is_grad_enabled():
        return step(start)
    run = _Run(step, start)
    given = pytree.tree_map_only(Tensor, _another, start)
    with saved_tensors_hooks(run.save, _read):
        result = step(given)
    run.forget()
    return result


class _Saved:
    """What an operation has saved: a value, or whom to ask for it."""

    __slots__ = ("__weakref__", "kind", "run", "value")

    def __init__(self, run: _Run | None, value: Tensor) -> None:
        self.run = run
        self.value: Tensor | None = value
        self.kind = (value.shape, value.dtype, value.device, version_of(value))


def _read(saved: _Saved) -> Tensor:
    """The value, for an operation in a backward pass."""
    if saved.value is None and saved.run is not None:
        saved.run.again()
    if saved.value is None:
        raise _differs("fewer tensors were saved")
    if version_of(saved.value) != saved.kind[-1]:
        raise RecomputingError(
            "the gradient of an inner step needs a tensor that has been changed in place since, "
            f"of shape {tuple(saved.value.shape)}. Change a copy of it."
        )
    return saved.value


class _Run:
    """A call of a step, and how to repeat it."""

    def __init__(self, step: Callable[[Any], Any], start: Any) -> None:
        self._step = step
        # The values alone: what came before is nobody's to keep, and other objects, as in `given`.
        self._start = pytree.tree_map_only(Tensor, _leaf, start)
        self._versions = _versions(self._start)
        self._surroundings = Surroundings(self._start)
        self._saved: list[weakref.ref[_Saved]] = []
        self._at_end: list[weakref.ref[_Saved]] = []

    def save(self, value: Tensor) -> _Saved:
        """Keep a value for as long as the step goes on: it takes a gradient itself."""
        saved = _Saved(self, value.detach())  # An operation's own result would keep it alive.
        self._saved.append(weakref.ref(saved))
        return saved

    def forget(self) -> None:
        """The step is done: keep none of its values."""
        self._surroundings.left()
        self._at_end = [saved for saved in self._saved if saved() is not None]
        for saved in _living(self._saved):
            saved.value = None

    def again(self) -> None:
        """Call the step once more, and keep the values that its graph needs."""
        if _versions(self._start) != self._versions:
            raise _differs("the weights that it started from were changed in place")
        found: list[weakref.ref[_Saved]] = []
        with self._surroundings.restored(), torch.enable_grad(), _recording(found):
            result = self._step(self._start)
        self._take(found)
        del result  # It kept the graph, and with it the values.
        _make_room_for(self)

    def _take(self, found: list[weakref.ref[_Saved]]) -> None:
        """Let each value take the place of the one that was saved in the same position."""
        mine = self._saved
        if len(mine) != len(found):
            # An attempt that failed the first time, and is not made a second time, has no graph.
            mine, found = self._at_end, [saved for saved in found if saved() is not None]
        if len(mine) != len(found):
            raise _differs(f"{len(found)} tensors were saved, not {len(mine)}")
        for place, value in zip(mine, found, strict=True):
            before, now = place(), value()
            if before is None or now is None:
                continue
            if before.kind != now.kind:
                raise _differs(f"{_shown(now)} was saved, not {_shown(before)}")
            before.value = now.value

    def empty(self) -> None:
        """Keep none of the values, until somebody asks again."""
        for saved in _living(self._saved):
            saved.value = None


def _recording(found: list[weakref.ref[_Saved]]) -> saved_tensors_hooks:
    """Within it, what is saved is listed in `found`."""

    def save(value: Tensor) -> _Saved:
        # The graph that is made meanwhile is of no use: no value may hold on to it.
        saved = _Saved(None, value.detach())
        found.append(weakref.ref(saved))
        return saved

    return saved_tensors_hooks(save, _read)


class _Filled(threading.local):
    """The runs of this thread that have their values, the latest last."""

    def __init__(self) -> None:
        self.runs: deque[weakref.ref[_Run]] = deque()


_filled = _Filled()


def _make_room_for(run: _Run) -> None:
    """Let the values of other runs go: the backward pass has come to this one.

    Most have gone, each when the operation that needed it was done. Not those that this backward
    pass does not need, nor any if it keeps the graph. The run before the latest stays as it is, so
    that two whose turns come in no fixed order do not take the values from each other.
    """
    _filled.runs.append(weakref.ref(run))
    while len(_filled.runs) > 2:
        earlier = _filled.runs.popleft()()
        if earlier is not None and earlier is not run:
            earlier.empty()


def _living(saved: list[weakref.ref[_Saved]]) -> list[_Saved]:
    return [found for ref in saved if (found := ref()) is not None]


def _leaf(tensor: Tensor) -> Tensor:
    return tensor.detach().requires_grad_(tensor.requires_grad)


def _another(tensor: Tensor) -> Tensor:
    """The same as another object: a step may read the very tensor beside what it is given."""
    return tensor.view_as(tensor) if tensor.requires_grad else tensor


def version_of(tensor: Tensor) -> int:
    """How often it has been changed in place; of what torch does not count it, 0."""
    return 0 if tensor.is_inference() else tensor._version  # torch has no other name for it


def _versions(tree: Any) -> list[int]:
    leaves: list[Any] = pytree.tree_leaves(tree)
    return [version_of(leaf) for leaf in leaves if isinstance(leaf, Tensor)]


def _shown(saved: _Saved) -> str:
    shape, dtype, device, version = saved.kind
    changed = f", changed {version} times in place" if version else ""
    return f"a tensor of shape {tuple(shape)}, {dtype}, on {device}{changed}"


def _differs(found: str) -> RecomputingError:
    return RecomputingError(
        f"an inner step was computed again for the backward pass, and not as before: {found}. "
        "Do not change the model, the data or anything else that the step reads before the "
        "backward pass, and let the evaluator do the same in each call; or keep the graph, with "
        "checkpoint=False."
    )


def _require_no_transform() -> None:
    """A transform, or the compiler, must not be at work: they allow no hooks on what is saved."""
    if is_compiling():
        raise RecomputingError(
            "an inner step cannot be marked for recomputation inside torch.compile. "
            "Use checkpoint=False: the compiler plans by itself what it computes again."
        )
    if in_any_transform():
        raise RecomputingError(
            "an inner step cannot be marked for recomputation inside a transform of torch.func or "
            "in forward mode, which see the values of this moment only. Take the meta-gradient "
            "with backward() or torch.autograd.grad, and all tasks at once with task_losses; or "
            "use checkpoint=False."
        )
