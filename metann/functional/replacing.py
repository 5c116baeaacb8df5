"""Putting our forms in the place of torch's functions, where a user's own module calls these."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext
from importlib import import_module
from typing import Any

from torch.overrides import TorchFunctionMode
from typing_extensions import override

from metann.functional.transforms import settled_while_tracing
from metann.replaced import FASTER_BATCHED, REPLACED


class Replacing(TorchFunctionMode):
    """While it is entered, torch's functions in the tables of `metann.replaced` are ours.

    For transforms only: it looks at each call of torch, which takes about a microsecond.
    """

    def __init__(self) -> None:
        _look_up()
        super().__init__()

    @override
    def __torch_function__(
        self,
        func: Callable[..., Any],
        types: Any,
        args: tuple[Any, ...] = (),
        kwargs: dict[str, Any] | None = None,
    ) -> Any:
        """Call our form if there is one."""
        return _forms.get(func, func)(*args, **(kwargs or {}))


def replacing() -> AbstractContextManager[object]:
    """`Replacing`, or nothing where that is the innermost mode already: twice costs twice."""
    return nullcontext() if isinstance(_innermost_mode(), Replacing) else Replacing()


_innermost_mode: Callable[[], object] = import_module("torch.overrides")._get_current_function_mode
_forms: dict[Callable[..., Any], Callable[..., Any]] = {}


@settled_while_tracing
def _look_up() -> None:
    """Fill the table, once; at import the forms are not there yet."""
    if not _forms:
        ours = import_module("metann.functional")
        found = {
            _torchs(row.original): getattr(ours, row.by) for row in (*REPLACED, *FASTER_BATCHED)
        }
        # In one step: another thread takes a table that is not empty for complete.
        _forms.update({torchs: form for torchs, form in found.items() if torchs is not None})


def _torchs(name: str) -> Callable[..., Any] | None:
    """The function of this name; None if this torch has none."""
    module, _, attribute = name.rpartition(".")
    return getattr(import_module(module), attribute, None)
