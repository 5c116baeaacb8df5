"""`DependentModule`: a module whose weights may be results of a computation."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar, cast

import torch
from torch import Tensor, nn
from torch.nn.parameter import Parameter

from metann import dependents as _dependents
from metann.copying import deep_copy, reduce_by_origin
from metann.functional.derivatives import supply
from metann.functional.transforms import is_compiling
from metann.hooks import OwnHooks
from metann.loading import load_into, one_load
from metann.moving import Once
from metann.slots import slots_of

if TYPE_CHECKING:
    from typing_extensions import Self

    from metann.generated.overloads import ToDependent
    from metann.typed import Called


def _every_module(module: nn.Module) -> bool:  # noqa: ARG001
    """Clear every module: the default `clear_filter`."""
    return True


class DependentModule(OwnHooks):
    """A module whose weights may be *dependents*: tensors that have a `grad_fn`.

    Called with a module, it converts that module **and all its submodules in place** and returns
    the same object; parameters stay parameters until `clear_params`. Convert a copy with
    `DependentModule(deepcopy(net))`. Subclass it as you would subclass `nn.Module`.

    A dependent module is a module like any other. `state_dict()` holds dependents that have a value
    under the names the parameters had, in the same order, and loads into the original class.
    `deepcopy` clones a dependent that is the result of a computation within its graph; a pickle
    holds its value, which is read as a leaf. Hooks, devices and modes are torch's.

    Example:
        >>> net = nn.Sequential(nn.Linear(10, 5), nn.Linear(5, 2))
        >>> DependentModule(net)
        DependentSequential(
          (0): DependentLinear(in_features=10, out_features=5, bias=True)
          (1): DependentLinear(in_features=5, out_features=2, bias=True)
        )

    Raises:
        ConversionError: something in the tree cannot be converted; nothing was changed.
        UninitializedModuleError: a lazy module in the tree has not seen data.

    Source: the class of this name in MetaNN 0.1.2, for `torch.nn.Module`.
    """

    def __init_subclass__(cls, written_for: type | None = None, **kwargs: Any) -> None:
        # A class written on demand must not be taken for a user's subclass of `written_for`.
        if written_for is None:
            super().__init_subclass__(**kwargs)

    def __new__(cls, *args: Any, **kwargs: Any) -> Self:  # noqa: D102
        if cls is not DependentModule or not (args or kwargs):
            supply()  # A counterpart may be constructed, or unpickled, and never converted to.
            return super().__new__(cls)
        from metann.convert import converted_by_call

        return cast("Self", converted_by_call(*args, **kwargs))

    if TYPE_CHECKING:

        def __init__(self, *args: Any, **kwargs: Any) -> None:
            """Convert a module and all its submodules in place; or initialise a subclass."""

        # torch's is `Any`.
        __call__: Called  # pyright: ignore[reportIncompatibleMethodOverride]

        # An attribute: pyrefly 1.4 loses the overloads of a decorated method.
        to_dependentmodule: ClassVar[ToDependent]
        """Turn a module into its counterpart, in place, and return it, typed as that."""
    else:

        @classmethod
        def to_dependentmodule(cls, module: nn.Module, recurse: bool = True) -> DependentModule:
            """Turn `module` into its counterpart, in place, and return it.

            Args:
                module: any module; its class becomes the counterpart of its class.
                recurse: convert the submodules too.

            Raises:
                ConversionError: something cannot be converted; nothing was changed.
                UninitializedModuleError: a lazy module has not seen data.
            """
            from metann.convert import convert

            return convert(module, recurse)

    @classmethod
    def stateless(
        cls, module: nn.Module, clear_filter: Callable[[nn.Module], bool] = _every_module
    ) -> DependentModule:
        """Return a converted copy of `module` whose parameters are cleared.

        `module` is untouched and none of its parameter storage is copied. Buffers are copied;
        the parameters of modules that `clear_filter` refuses are shared with `module`.

        Args:
            module: any module.
            clear_filter: called with each module of the original; False leaves its parameters.

        Raises:
            ConversionError: something in the tree cannot be converted.
            UninitializedModuleError: a lazy module has not seen data.
        """
        from metann.stateless import stateless

        return stateless(module, clear_filter)

    def clear_params(
        self, init: bool = False, clear_filter: Callable[[nn.Module], bool] = _every_module
    ) -> DependentModule:
        """Make every parameter a dependent of the same name, and return self.

        A dependent is kept among the module's buffers, so that it may have a `grad_fn`. Tied
        parameters become one dependent; a parameter that is None (`bias=False`) stays None.

        Args:
            init: keep the values, as detached clones that require grad as the parameter did
                (True), or leave None until `substitute` (False). A call before that fails in torch:
                `argument 'weight' (position 2) must be Tensor, not NoneType`.
            clear_filter: called with each module of the tree; False leaves its parameters.

        Moving a module moves its dependents by a computation, as `tensor.to()` does: what was a
        leaf is the result of one then. So call `.to()` or `.double()` first.

        Raises:
            UninitializedModuleError: a lazy module has not seen data; nothing was changed.
        """
        _dependents.clear(self, init, clear_filter)
        return self

    def register_dependent(self, name: str, tensor: Tensor | None) -> None:
        """Add a dependent, to be read as the attribute `name`.

        Args:
            name: by the rules of `register_parameter`: a string without dots, not empty, not an
                attribute already.
            tensor: of any shape; None for a dependent that is not used (as `bias=None`).

        Raises:
            DependentNameError: a `KeyError`; the name is taken, empty or dotted.
            DependentTypeError: a `TypeError`; the name is no string or the value no tensor.

        Example:
            >>> layer = DependentModule(nn.Linear(2, 2))
            >>> layer.register_dependent("scale", torch.ones(2))
            >>> layer.scale
            tensor([1., 1.])
        """
        _dependents.register(self, name, tensor)

    def named_dependents(
        self, prefix: str = "", recurse: bool = True
    ) -> Iterator[tuple[str, Tensor | None]]:
        """Iterate over names and dependents, in the order `named_parameters()` had.

        Tied dependents come once, under their first name. A cleared dependent that has not been
        substituted yet comes as None; a parameter that was None (`bias=False`) never comes.

        Args:
            prefix: put before each name, with a dot.
            recurse: go through the submodules too.
        """
        return _dependents.named(self, prefix, recurse)

    def dependents(self, recurse: bool = True) -> Iterator[Tensor | None]:
        """Iterate over the dependents as `named_dependents` does; cleared ones come as None."""
        return (tensor for _, tensor in self.named_dependents(recurse=recurse))

    def substitute(
        self,
        named_params: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]],
        strict: bool = True,
    ) -> None:
        """Set the dependents of the tree by name.

        Args:
            named_params: a mapping, or pairs, of names as in `named_dependents()` and tensors.
            strict: demand each dependent and nothing else. When False, names that are missing
                or unknown are passed over; shapes are checked all the same.

        Raises:
            SubstitutionError: a `ValueError` that lists every missing, unknown and wrongly
                shaped name; nothing was changed.
            ArgumentError: a `TypeError`; `named_params` is neither a mapping nor pairs.
        """
        _dependents.substitute(self, named_params, strict)

    def substitute_from_list(self, params: Iterable[Tensor]) -> None:
        """Set the dependents of the tree in the order of `named_dependents()`.

        Raises:
            SubstitutionError: a `ValueError`; too few, too many or wrongly shaped tensors;
                nothing was changed.
            ArgumentError: a `TypeError`; `params` is no iterable.
        """
        _dependents.substitute_in_order(self, params)

    def update_shapes(self) -> None:
        """Make the shape that each dependent of the tree has now the one it must have.

        To be called after assigning dependents of other shapes (`layer.weight = larger`): until
        then `substitute` demands the shapes from before. Dependents that are None keep theirs.
        """
        _dependents.update_shapes(self)

    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Iterate over parameters *and* the dependents that have a value.

        Many models read `next(self.parameters()).dtype` or regularise over their parameters in
        `forward`: there the substituted tensors are the parameters.
        """
        if remove_duplicate:
            return _dependents.named_weights(self, prefix, recurse)
        parent: Any = self  # torch gives the next method no types.
        members = parent._named_members(_dependents.weights, prefix, recurse, remove_duplicate)
        return cast("Iterator[tuple[str, Parameter]]", members)

    def named_buffers(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Tensor]]:
        """Iterate over the buffers, the dependents left out."""
        parent: Any = self
        chosen = _dependents.other_buffers
        members = parent._named_members(chosen, prefix, recurse, remove_duplicate)
        return cast("Iterator[tuple[str, Tensor]]", members)

    def get_parameter(self, target: str) -> Parameter:
        """The parameter of this dotted name, as `nn.Module.get_parameter`, or the dependent."""
        path, _, name = target.rpartition(".")
        owner = self.get_submodule(path)
        value: Any = owner.__dict__["_buffers"].get(name) if name in slots_of(owner) else None
        return super().get_parameter(target) if value is None else value

    def __getattr__(self, name: str) -> Tensor | nn.Module:  # As torch's; the value may be None.
        # Weights and submodules are read in every call, so they are looked for first.
        state = self.__dict__
        if "_modules" in state:  # Not before Module.__init__() was called.
            buffers: dict[str, Tensor] = state["_buffers"]
            if name in buffers:
                return buffers[name]
            submodules: dict[str, nn.Module] = state["_modules"]
            if name in submodules:
                return submodules[name]
            parameters: dict[str, Tensor] = state["_parameters"]
            if name in parameters:
                return parameters[name]
        return super().__getattr__(name)

    def __setattr__(self, name: str, value: Any) -> None:
        if isinstance(value, nn.Module) and not isinstance(value, DependentModule):
            from metann.convert import convert

            value = convert(value)
        if is_compiling() and type(value) is Tensor and name in self.__dict__["_buffers"]:
            # What torch comes to, in a way that its tracer can follow for an object of the trace.
            self.__dict__["_buffers"][name] = value
        else:
            super().__setattr__(name, value)
        _dependents.assigned(self, name)

    def __delattr__(self, name: str) -> None:
        parent: Any = super()
        parent.__delattr__(name)
        _dependents.assigned(self, name)

    def add_module(self, name: str, module: nn.Module | None) -> None:
        """Add a submodule, converted, as `nn.Module.add_module` does."""
        if isinstance(module, nn.Module):  # torch says what is wrong with anything else.
            from metann.convert import convert

            module = convert(module)
        super().add_module(name, module)

    def zero_grad(self, set_to_none: bool = True) -> None:
        """Reset the gradients of parameters, and of dependents that gather one.

        Only leaves do; torch warns of looking at `grad` of anything else.
        """
        for tensor in self.parameters():
            if (tensor.is_leaf or tensor.retains_grad) and tensor.grad is not None:
                tensor.grad = None if set_to_none else torch.zeros_like(tensor.grad)

    def _apply(self, fn: Any, recurse: bool = True) -> Self:
        once = fn if isinstance(fn, Once) else Once(fn)
        parent: Any = super()
        parent._apply(once, recurse)
        once.renew_slots(self)
        return self

    def load_state_dict(self, *args: Any, **kwargs: Any) -> Any:
        """As `nn.Module.load_state_dict`; loaded dependents become leaves that require grad."""
        with one_load():
            return super().load_state_dict(*args, **kwargs)

    def _load_from_state_dict(
        self, state_dict: Any, prefix: str, *args: Any, **kwargs: Any
    ) -> None:
        parent: Any = super()
        load = partial(parent._load_from_state_dict, state_dict, prefix, *args, **kwargs)
        load_into(self, state_dict, prefix, load)

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        return deep_copy(self, memo)

    def __reduce_ex__(self, protocol: Any) -> Any:
        return reduce_by_origin(self, super().__reduce_ex__(protocol))
