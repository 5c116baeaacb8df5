"""The dependents of a module tree: listing, clearing, substituting."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from typing import Any, cast

from torch import Tensor, nn
from torch.nn.parameter import Parameter

from metann.errors import (
    ArgumentError,
    DependentNameError,
    DependentTypeError,
    SubstitutionError,
)
from metann.places import places_of
from metann.slots import Slot, set_slots, slots_of
from metann.tree import join, require_materialised, walk

Filter = Callable[[nn.Module], bool]


def weights(module: nn.Module) -> list[tuple[str, Any]]:
    """Parameters and dependents of this very module."""
    buffers = module.__dict__["_buffers"]
    dependents = [(name, buffers.get(name)) for name in slots_of(module)]
    return [*module.__dict__["_parameters"].items(), *dependents]


def named_weights(module: nn.Module, prefix: str, recurse: bool) -> Iterator[tuple[str, Parameter]]:
    """Names and values of parameters and dependents of a tree, those of one weight once.

    Two dependents stay two weights when they are given the same tensor.
    """
    seen: set[object] = set()
    for path, owner in walk(module) if recurse else [("", module)]:
        slots = slots_of(owner)
        for name, value in weights(owner):
            identity: object = slots.get(name, value)
            if value is not None and identity not in seen:
                seen.add(identity)
                yield join(prefix, join(path, name)), value


def other_buffers(module: nn.Module) -> list[tuple[str, Any]]:
    """The buffers of this very module that are no dependents."""
    slots = slots_of(module)
    return [item for item in module.__dict__["_buffers"].items() if item[0] not in slots]


def named(
    module: nn.Module, prefix: str = "", recurse: bool = True
) -> Iterator[tuple[str, Tensor | None]]:
    """Names and values of the dependents of a tree, tied ones once."""
    seen: set[Slot] = set()
    for path, owner in walk(module) if recurse else [("", module)]:
        for name, slot in slots_of(owner).items():
            if slot not in seen and slot.shape is not None:
                seen.add(slot)
                yield join(prefix, join(path, name)), owner.__dict__["_buffers"][name]


def register(module: nn.Module, name: str, tensor: Tensor | None) -> None:
    """Add a dependent to this very module."""
    if "_buffers" not in module.__dict__:
        raise AttributeError("cannot register a dependent before Module.__init__() call")
    _check_name(module, name)
    if tensor is not None and not isinstance(cast(object, tensor), Tensor):
        raise DependentTypeError(
            f"cannot register {name!r}: a dependent is a tensor or None, "
            f"got {type(tensor).__name__}"
        )
    module.__dict__["_parameters"].pop(name, None)  # A parameter that is None, as `bias=False`.
    module.__dict__["_buffers"][name] = tensor
    set_slots(module, {**slots_of(module), name: Slot.like(tensor)})


def _check_name(module: nn.Module, name: object) -> None:
    """Raise unless `name` is free and may be an attribute, as `register_parameter` does."""
    kind = type(module).__name__
    if not isinstance(name, str):
        raise DependentTypeError(
            f"cannot register a dependent of {kind}: its name must be a string, "
            f"got {type(name).__name__}"
        )
    if not name or "." in name:
        found = f"got {name!r}, which has a dot in it" if name else "got an empty string"
        raise DependentNameError(
            f"cannot register a dependent of {kind}: its name must be one attribute name, {found}. "
            "Register it on the submodule it belongs to."
        )
    is_unused = name in slots_of(module) or (
        name in module.__dict__["_parameters"] and module.__dict__["_parameters"][name] is None
    )
    if hasattr(module, name) and not is_unused:
        raise DependentNameError(
            f"cannot register dependent {name!r}: {kind} already has an attribute of this name. "
            "Choose another, or call clear_params() to make a parameter a dependent."
        )


def assigned(module: nn.Module, name: str) -> None:
    """Take note that the attribute `name` was assigned or deleted.

    A Parameter in the place of a dependent ends it; the first tensor puts an unused one to use.
    """
    slots = slots_of(module)
    if name not in slots:
        return
    buffers = module.__dict__["_buffers"]
    if name not in buffers:
        set_slots(module, {key: slot for key, slot in slots.items() if key != name})
    elif slots[name].shape is None and buffers[name] is not None:
        set_slots(module, {**slots, name: Slot.like(buffers[name])})


def clear(module: nn.Module, init: bool, clear_filter: Filter) -> None:
    """Make the parameters of a tree dependents, module by module."""
    chosen = [(path, owner) for path, owner in walk(module) if clear_filter(owner)]
    for path, owner in chosen:
        require_materialised(path, owner)
    made: dict[Parameter, tuple[Slot, Tensor | None]] = {}
    for _, owner in chosen:
        _clear_one(owner, init, made)


def _clear_one(
    module: nn.Module, init: bool, made: dict[Parameter, tuple[Slot, Tensor | None]]
) -> None:
    """Move the parameters of one module into its buffers; `made` remembers tied ones."""
    parameters: dict[str, Parameter | None] = module.__dict__["_parameters"]
    used = {name: parameter for name, parameter in parameters.items() if parameter is not None}
    if not used:
        return
    for parameter in used.values():
        if parameter not in made:
            made[parameter] = Slot.like(parameter), (_detached(parameter) if init else None)
    # First, so that state_dict() keeps the order it had.
    values = {name: made[parameter][1] for name, parameter in used.items()}
    _refill(module.__dict__["_buffers"], {**values, **module.__dict__["_buffers"]})
    _refill(parameters, {name: None for name in parameters if name not in used})
    fresh = {name: made[parameter][0] for name, parameter in used.items()}
    set_slots(module, {**fresh, **slots_of(module)})


def _refill(table: dict[str, Any], entries: dict[str, Any]) -> None:
    """Change a table in place: others look at it to see whether the tree has changed."""
    table.clear()
    table.update(entries)


def _detached(parameter: Parameter) -> Tensor:
    """An independent leaf with the parameter's value."""
    return parameter.detach().clone().requires_grad_(parameter.requires_grad)


def substitute(
    module: nn.Module, given: Mapping[str, Tensor] | Iterable[tuple[str, Tensor]], strict: bool
) -> None:
    """Set dependents of a tree by name."""
    params, places = _by_name(given), places_of(module)
    if strict:
        try:
            places.write(places.layout.match(params))
        except SubstitutionError as error:
            _hint_at_parameters(module, params, error)
            raise
        return
    places.write_some(places.layout.choose(params, places.read()))


def _hint_at_parameters(
    module: nn.Module, params: Mapping[str, Tensor], error: SubstitutionError
) -> None:
    """Raise what says more, if a name is unknown since it is still that of a parameter."""
    # Not the module's own method, which lists dependents, too.
    held = [name for name, _ in nn.Module.named_parameters(module) if name in params]
    if held:
        raise SubstitutionError(
            f"{error} {', '.join(held)}: still a parameter here, and no dependent. Call "
            "clear_params() first: it makes the parameters dependents."
        ) from None


def _by_name(given: Any) -> dict[str, Tensor]:
    """A dict of a mapping or pairs; the pairs must be pairs, and each name may come once."""
    try:
        pairs = [*(given.items() if hasattr(given, "items") else given)]
        params: dict[str, Tensor] = dict(pairs)
    except (TypeError, ValueError) as error:
        raise ArgumentError(
            "nothing was changed: params must be a mapping of names and tensors, or pairs of them, "
            f"got {type(given).__name__}. named_dependents() lists the names."
        ) from error
    if len(params) != len(pairs):
        names = [name for name, _ in pairs]
        twice = ", ".join(name for name in params if names.count(name) > 1)
        raise SubstitutionError(f"nothing was changed: given twice: {twice}. Give each once.")
    return params


def substitute_in_order(module: nn.Module, params: Iterable[Tensor]) -> None:
    """Set all dependents of a tree, in the order of `named`."""
    places = places_of(module)
    places.write(places.layout.match(params))


def update_shapes(module: nn.Module) -> None:
    """Expect of each dependent of a tree the shape it has now."""
    made: dict[Slot, Slot] = {}
    for _, owner in walk(module):
        buffers, slots = owner.__dict__["_buffers"], slots_of(owner)
        for name, slot in slots.items():
            if slot not in made and buffers[name] is not None:
                made[slot] = Slot.like(buffers[name])
        if slots:
            set_slots(owner, {name: made.get(slot, slot) for name, slot in slots.items()})
