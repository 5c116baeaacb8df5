"""Walking a module tree without running any of the user's code.

Models override `children`, `named_modules`, `apply` or `parameters` for purposes of their own;
what is converted or substituted must not depend on that, so everything here reads torch's own
tables in the module's `__dict__`.
"""

from __future__ import annotations

from collections.abc import Iterator

from torch import nn
from torch.nn.parameter import UninitializedBuffer, UninitializedParameter

from metann.errors import ConversionError, UninitializedModuleError, shown


def children(module: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The submodules of `module` by name; entries that are None are left out."""
    table: dict[str, nn.Module | None] = module.__dict__.get("_modules", {})
    return ((name, child) for name, child in table.items() if child is not None)


def walk(module: nn.Module) -> list[tuple[str, nn.Module]]:
    """Each module of the tree once, with its dotted path, in the order of `named_modules()`.

    Example: `Sequential(Linear(1, 1))` -> `[("", Sequential), ("0", Linear)]`
    """
    seen: set[int] = set()
    found: list[tuple[str, nn.Module]] = []
    pending = [("", module)]
    while pending:
        path, current = pending.pop()
        if id(current) in seen:
            continue
        seen.add(id(current))
        found.append((path, current))
        pending.extend((join(path, name), child) for name, child in [*children(current)][::-1])
    return found


def join(path: str, name: str) -> str:
    """Join dotted path and name: `("", "weight")` -> `"weight"`, `("a", "b")` -> `"a.b"`."""
    return f"{path}.{name}" if path else name


def describe(path: str, module: nn.Module) -> str:
    """Name a module in an error message: `"encoder.0 (torch.nn.modules.linear.Linear)"`."""
    kind = type(module)
    return f"{path or 'the module itself'} ({kind.__module__}.{kind.__qualname__})"


def require_module(module: object) -> None:
    """Raise `ConversionError` unless `module` is a module.

    Raises:
        ConversionError: it is something else.
    """
    if not isinstance(module, nn.Module):
        raise ConversionError(
            f"cannot convert {shown(module)}: expected a torch.nn.Module, "
            f"got {type(module).__name__}"
        )


def require_materialised(path: str, module: nn.Module) -> None:
    """Raise `UninitializedModuleError` if a lazy module has not seen data.

    Raises:
        UninitializedModuleError: a parameter or buffer of `module` has no shape yet.
    """
    tables = (module.__dict__["_parameters"], module.__dict__["_buffers"])
    waiting = [
        name
        for table in tables
        for name, tensor in table.items()
        if isinstance(tensor, (UninitializedBuffer, UninitializedParameter))
    ]
    if waiting or "_initialize_hook" in module.__dict__:
        raise UninitializedModuleError(
            f"{describe(path, module)} is a lazy module that has not seen data: "
            f"{', '.join(waiting) or 'its weights'} have no shape yet. "
            "Call the model once on an example batch, then use metann on it."
        )
