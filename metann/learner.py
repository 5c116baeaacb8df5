"""`Learner`: a module as a function of its weights."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import nullcontext
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, cast, overload

import torch
from torch import Tensor, nn

from metann.batching import Way
from metann.batching.axes import arguments_of
from metann.batching.choosing import called
from metann.buffers import Given, Policy, all_batched, is_refused, require_policy, split, write_back
from metann.errors import ArgumentError, SubstitutionError, shown
from metann.filling import StalePlanError
from metann.functional.replacing import replacing
from metann.functional.transforms import (
    dual_levels,
    in_any_transform,
    innermost,
    is_compiling,
    settled_while_tracing,
    vmap_levels,
)
from metann.module import DependentModule
from metann.planning import make_plan
from metann.rebuild import build, is_stale
from metann.tracing import is_traceable, traced_instance
from metann.typed import ArgumentsP, Gives, Params, Takes, Unsaid, typed_binding

ModuleT_co = TypeVar("ModuleT_co", covariant=True)
GivenT = TypeVar("GivenT", bound=nn.Module)
OutputT = TypeVar("OutputT")


class Learner(Generic[ModuleT_co]):
    """Calls a module with other weights than its own; the module is never touched.

    Each call works on an instance of its own: calls may nest, run in threads, be recomputed by
    activation checkpointing, and keep nothing alive once their results are gone.

    Args:
        module: any module. It may be changed or trained at any time; calls follow.

    Raises:
        ConversionError: something in the module cannot be converted.
        UninitializedModuleError: a lazy module in it has not seen data.

    Example:
        >>> net = nn.Linear(3, 2)
        >>> learner = Learner(net)
        >>> fast = [p - 0.1 * torch.ones_like(p) for p in net.parameters()]
        >>> learner.functional(fast, True, torch.ones(4, 3)).shape
        torch.Size([4, 2])

    Source: the class of this name in MetaNN 0.1.2.
    """

    def __init__(self: Learner[GivenT], module: GivenT) -> None:
        self._module: nn.Module = module
        self._plan = make_plan(module)
        # Whether, under vmap, it writes into buffers that torch's own layers have not.
        self._writes_batches = False
        self._way = Way()

    if not TYPE_CHECKING:  # A checker reports the call.

        def __call__(self, *_args: object, **_kwargs: object) -> None:
            """Say what to call in its place."""
            raise ArgumentError(
                "a Learner is not called itself, as it has to know the weights. Call "
                "learner.functional(params, training, *args), or learner.bind(params)(*args); "
                "learner.module(*args) uses the module's own."
            )

    @property
    def module(self) -> ModuleT_co:
        """The module that it was made for."""
        return cast("ModuleT_co", self._module)

    @overload
    def functional(
        self: Learner[Gives[OutputT]],
        params: Params,
        training: bool | None,
        *args: Any,
        buffers: Literal["return"],
        **kwargs: Any,
    ) -> tuple[OutputT, dict[str, Tensor]]: ...
    @overload
    def functional(
        self: Learner[Gives[OutputT]],
        params: Params,
        training: bool | None,
        *args: Any,
        buffers: Literal["copy", "writeback"],
        **kwargs: Any,
    ) -> OutputT: ...
    @overload
    def functional(
        self: Learner[Takes[ArgumentsP, OutputT]],
        params: Params,
        training: bool | None,
        *args: ArgumentsP.args,
        **kwargs: ArgumentsP.kwargs,
    ) -> OutputT: ...
    @overload
    def functional(
        self: Learner[Unsaid],
        params: Params,
        training: bool | None,
        *args: Any,
        buffers: Literal["return"],
        **kwargs: Any,
    ) -> tuple[Any, dict[str, Tensor]]: ...
    @overload
    def functional(
        self: Learner[Unsaid],
        params: Params,
        training: bool | None,
        *args: Any,
        buffers: Literal["copy", "writeback"] = "copy",
        **kwargs: Any,
    ) -> Any: ...
    def functional(  # type: ignore[misc]  # a forward may have `buffers`, too; ours comes first
        self,
        params: Params,
        training: bool | None,
        *args: Any,
        buffers: Policy = "copy",
        **kwargs: Any,
    ) -> Any:
        """Return what the module returns under `params`.

        Args:
            params: tensors in the order of `module.parameters()`, or a mapping by the names of
                `module.named_parameters()`; shapes as there, tied weights once. A mapping may
                name buffers, too: copies of these are used in place of the module's.
            training: as in `module.train(training)`; None keeps the mode of every submodule.
            args: passed on to the module.
            buffers: what becomes of the buffers that the call updates, such as the running
                statistics of a batch normalisation. "copy": it works on copies, which are thrown
                away. "return": the result is the pair of the output and these, by the names of
                `module.named_buffers()`. "writeback": they are written into the module once the
                call has succeeded. Inside `torch.vmap` there is one of each for every element. An
                update that the module does not detach has its graph.
            kwargs: passed on to the module.

        Raises:
            SubstitutionError: `params` do not fit; the message lists every misfit.
            ArgumentError: a `TypeError`; `training` or `buffers` is none of these, or
                "writeback" inside a transform of torch.func.
        """
        if training.__class__ is not bool and training is not None:
            raise ArgumentError(
                f"training must be True, False or None, got {shown(training)}. Did you leave it "
                "out? Call learner.functional(params, training, *args), as in "
                "learner.functional(params, True, x)."
            )
        if buffers != "copy":
            require_policy(buffers)
        if is_compiling():
            return self._traced(params, training, args, buffers, kwargs)
        plan = self._plan
        instance: DependentModule | None = None
        # The way of nearly every call; for the others `_build` finds out what is the matter.
        if plan.layout.uniform and params.__class__ is list:
            try:
                instance = build(plan, plan.layout.match(params), training, lasting=False)
            except (StalePlanError, SubstitutionError):
                instance = None
        if instance is None:
            instance = self._build(params, training, lasting=False)
        # `in_any_transform()`, without the call.
        if buffers == "copy" and innermost() is None and dual_levels._current_level < 0:
            return instance(*args, **kwargs)
        return self._transformed(instance, params, training, buffers, args, kwargs)

    @overload
    def batched(
        self: Learner[Gives[OutputT]],
        params: Params,
        training: bool | None,
        *args: Any,
        buffers: Literal["return"],
        **kwargs: Any,
    ) -> tuple[OutputT, dict[str, Tensor]]: ...
    @overload
    def batched(
        self: Learner[Gives[OutputT]],
        params: Params,
        training: bool | None,
        *args: Any,
        buffers: Literal["copy"],
        **kwargs: Any,
    ) -> OutputT: ...
    @overload
    def batched(
        self: Learner[Takes[ArgumentsP, OutputT]],
        params: Params,
        training: bool | None,
        *args: ArgumentsP.args,
        **kwargs: ArgumentsP.kwargs,
    ) -> OutputT: ...
    @overload
    def batched(
        self: Learner[Unsaid],
        params: Params,
        training: bool | None,
        *args: Any,
        buffers: Literal["return"],
        **kwargs: Any,
    ) -> tuple[Any, dict[str, Tensor]]: ...
    @overload
    def batched(
        self: Learner[Unsaid],
        params: Params,
        training: bool | None,
        *args: Any,
        buffers: Literal["copy"] = "copy",
        **kwargs: Any,
    ) -> Any: ...
    def batched(  # type: ignore[misc]  # a forward may have `buffers`, too; ours comes first
        self,
        params: Params,
        training: bool | None,
        *args: Any,
        buffers: Literal["copy", "return"] = "copy",
        **kwargs: Any,
    ) -> Any:
        """Return what the module returns for each task, under weights of its own.

        All tasks in one pass, as by `torch.vmap`; one call a task where torch cannot do that, with
        a warning at the first, or where that is faster: large convolutions on the CPU. Dropout
        draws other numbers for each task. Take gradients of the sum of the losses of all tasks:
        these are the gradients of each task by its own weights.

        Args:
            params: as in `functional`, each with a leading task axis, (T, *shape); buffers, too.
            training: as in `functional`.
            args: passed on to the module; each tensor, also in lists, tuples and dicts, has a
                leading task axis. What all tasks share is given as `x.expand(T, *x.shape)`.
            buffers: "copy" or "return", as in `functional`; each task has its own.
            kwargs: as `args`.

        Returns:
            as `functional`, each tensor with a leading task axis.

        Raises:
            SubstitutionError: `params` do not fit; the message lists every misfit.
            BatchingError: a `ValueError`; the task axes differ in size.
            ArgumentError: as in `functional`.

        Example:
            >>> learner = Learner(nn.Linear(3, 2))
            >>> weights = [torch.randn(5, 2, 3), torch.randn(5, 2)]
            >>> learner.batched(weights, True, torch.ones(5, 4, 3)).shape
            torch.Size([5, 4, 2])

        Source: torch.vmap over torch.func.functional_call.
        """
        own: Any = self

        def one(params: Params, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
            return own.functional(params, training, *args, buffers=buffers, **kwargs)

        require_policy(buffers, over_tasks=True)
        given: Any = params
        sets = {name: given[name] for name in given} if hasattr(given, "keys") else [*given]
        arguments = arguments_of((sets, args, kwargs), names=("params", "args", "kwargs"))
        return called(one, arguments, self._way, type(self._module).__name__)

    def _transformed(
        self,
        instance: DependentModule,
        params: Params,
        training: bool | None,
        buffers: Policy,
        args: tuple[Any, ...],
        kwargs: dict[str, Any],
    ) -> Any:
        """What `functional` does inside a transform, or where buffers are asked for."""
        with replacing() if in_any_transform() else nullcontext():
            if not vmap_levels():
                return self._called(instance, buffers, args, kwargs)
            if not self._writes_batches:
                try:
                    return self._called(instance, buffers, args, kwargs)
                except RuntimeError as error:
                    if not is_refused(error) or isinstance(params, Iterator):
                        raise
            # The module writes into a buffer; the call above was on an instance of its own.
            instance = self._build(params, training, lasting=False, batched=True)
            result = self._called(instance, buffers, args, kwargs)
            self._writes_batches = True
            return result

    def _traced(
        self,
        params: Params,
        training: bool | None,
        args: tuple[Any, ...],
        buffers: Policy,
        kwargs: dict[str, Any],
    ) -> Any:
        """What `functional` does inside torch.compile."""
        if self._can_be_traced():
            instance = traced_instance(self._plan, params, training)
            return self._called(instance, buffers, args, kwargs)
        # The tracer cannot follow this rebuild; what `bind` returns it can compile.
        eager: Any = torch.compiler
        own: Any = self
        disabled = eager.disable(own.functional)
        return disabled(params, training, *args, buffers=buffers, **kwargs)

    @settled_while_tracing
    def _can_be_traced(self) -> bool:
        """Whether torch.compile can follow the rebuild; the plan it follows is up to date then."""
        if is_stale(self._plan):
            self._plan = make_plan(self._module)
        return is_traceable(self._plan)

    def _called(
        self, instance: nn.Module, policy: Policy, args: tuple[Any, ...], kwargs: dict[str, Any]
    ) -> Any:
        """Call an instance, and do with its buffers as asked."""
        output = instance(*args, **kwargs)
        if policy == "return":
            return output, dict(instance.named_buffers())
        if policy == "writeback":
            write_back(instance, self._module)
        return output

    @typed_binding
    def bind(self, params: Params, training: bool | None = None) -> DependentModule:
        """Return an instance of the module with these weights, to keep.

        Two of them share no table and no buffer: they never alias. Their weights are the very
        tensors given: what is done to these in place is done to the caller's. Hooks are those the
        module has now; other attributes are carried over, lists, dicts and sets copied.

        Args:
            params: as in `functional`, buffers among them.
            training: as in `module.train(training)`; None keeps the mode of every submodule.

        Raises:
            SubstitutionError: `params` do not fit; the message lists every misfit.
        """
        return self._build(params, training, lasting=True)

    def _build(
        self, weights: Params, training: bool | None, lasting: bool, batched: bool = False
    ) -> DependentModule:
        """An instance with `params`, made from a plan that is not stale."""
        # An iterator can be gone through only once.
        params: Any = [*weights] if isinstance(weights, Iterator) else weights
        plan, given = self._plan, Given(params)
        if hasattr(params, "keys") and not plan.layout.is_named_by(params):
            given = split(self._module, params)
        if batched:
            given = Given(given.params, all_batched(self._module, given.copies))
        try:
            if plan.layout.uniform or plan.weights_hold():
                tensors = plan.layout.match(given.params)
                return build(plan, tensors, training, lasting, given.copies)
        except StalePlanError:
            pass
        except SubstitutionError:
            if not is_stale(plan):
                raise
        # Replaced whole, so that threads see the one or the other.
        plan = self._plan = make_plan(self._module)
        return build(plan, plan.layout.match(given.params), training, lasting, given.copies)

    def __getstate__(self) -> dict[str, Any]:
        return {name: value for name, value in vars(self).items() if name != "_plan"}

    def __setstate__(self, state: dict[str, Any]) -> None:
        vars(self).update(state)
        self._plan = make_plan(self._module)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self._module!r})"
