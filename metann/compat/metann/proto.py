"""`ProtoModule`: a module as a function that gives modules with other weights."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, overload

from torch import Tensor, nn
from torch.nn.parameter import Parameter
from typing_extensions import override

from metann.compat.metann.utils.containers import MultipleList
from metann.learner import Learner
from metann.module import DependentModule
from metann.typed import Called, Params


class ProtoModule(nn.Module):
    """A module that can be called with its own weights, or made anew with others.

    Args:
        module: any module; it is never touched.

    Example:
        >>> net = nn.Linear(3, 2)
        >>> proto = ProtoModule(net)
        >>> fast = [0.5 * p for p in net.parameters()]
        >>> proto.functional(fast, training=True)(torch.ones(4, 3)).shape
        torch.Size([4, 2])

    Source: the class of this name in MetaNN 0.3, where all modules that `functional` returns are
    one and the same object.
    """

    def __init__(self, module: nn.Module) -> None:
        super().__init__()
        self.module = module
        self._learner = Learner(module)

    if TYPE_CHECKING:
        __call__: Called  # pyright: ignore[reportIncompatibleMethodOverride]

    @override
    def forward(self, *args: Any, **kwargs: Any) -> Any:
        """What the module returns under its own weights."""
        return self.module(*args, **kwargs)

    def functional(self, params: Params, training: bool | None = None) -> DependentModule:
        """A module of its own with these weights, and with buffers of its own.

        Args:
            params: one a parameter, in the order of `parameters()`; or a mapping by name, in which
                there may be buffers, too.
            training: the mode that it is in; None for that of this module.

        Raises:
            SubstitutionError: a `ValueError`; the tensors do not fit.
        """
        mode = self.training if training is None else training
        bound: DependentModule = self._learner.bind(params, mode)
        return bound

    @override
    def named_parameters(
        self, prefix: str = "", recurse: bool = True, remove_duplicate: bool = True
    ) -> Iterator[tuple[str, Parameter]]:
        """Those of the module, by the names that they have there."""
        return self.module.named_parameters(prefix, recurse, remove_duplicate)


@overload
def tensor_copy(tensor_lst: None) -> None: ...
@overload
def tensor_copy(tensor_lst: Tensor) -> Tensor: ...
@overload
def tensor_copy(tensor_lst: Sequence[Any] | MultipleList[Any]) -> MultipleList[Any]: ...
def tensor_copy(tensor_lst: Any) -> Any:
    """A clone of a tensor, within its graph; or a `MultipleList` of those in a list.

    Source: the function of this name in MetaNN 0.3.
    """
    if tensor_lst is None:
        return None
    if isinstance(tensor_lst, Tensor):
        return tensor_lst.clone()
    copies: list[Any] = [tensor_copy(each) for each in tensor_lst]
    return MultipleList(copies)
