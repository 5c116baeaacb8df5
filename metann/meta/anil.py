"""Almost no inner loop: only the head adapts."""

from __future__ import annotations

from collections.abc import Collection

from torch import nn
from typing_extensions import Unpack

from metann.errors import ArgumentError
from metann.meta.evaluated import DataT, Evaluator
from metann.meta.maml import MAML
from metann.meta.settings import Settings
from metann.optim import Hyper, Optimizer
from metann.tree import walk


class ANIL(MAML[DataT]):
    """MAML whose head alone adapts; the body learns features in the outer loop only.

    Args:
        model: any module.
        steps_train: inner steps in train mode.
        steps_eval: inner steps in eval mode.
        lr: step size, as in `MAML`.
        evaluator: `(model, data) -> loss`.
        first_order: take the gradients in the inner loop for constants.
        head: name of a submodule or a parameter, or several; None for the last submodule that has
            parameters of its own, in the order of `model.modules()`.
        optimizer: the inner optimiser, with lr=None.
        settings: as in `MAML`.

    Raises:
        ArgumentError: a `TypeError`; the model has no parameters, or `names` is given, too.
        SubstitutionError: in a call; the model has nothing of the head's name.

    Example:
        >>> net = nn.Sequential(nn.Linear(2, 8), nn.Tanh(), nn.Linear(8, 3))
        >>> anil = ANIL(net, 5, 5, 0.1, lambda model, data: model(data).square().mean())
        >>> anil.head
        ('2',)

    Source: Raghu, Raghu, Bengio, Vinyals, "Rapid Learning or Feature Reuse? Towards Understanding
    the Effectiveness of MAML", arXiv 1909.09157.
    """

    def __init__(
        self,
        model: nn.Module,
        steps_train: int,
        steps_eval: int,
        lr: Hyper | None,
        evaluator: Evaluator[DataT],
        first_order: bool = False,
        *,
        head: str | Collection[str] | None = None,
        optimizer: Optimizer | None = None,
        **settings: Unpack[Settings],
    ) -> None:
        if (chosen := settings.get("names")) is not None:
            raise ArgumentError(
                f"ANIL adapts its head, got names={chosen!r}. "
                "Give head=…, or use MAML with names."
            )
        head = _head_of(model) if head is None else head
        names = (head,) if isinstance(head, str) else tuple(head)
        settings["names"] = names
        super().__init__(
            model,
            steps_train,
            steps_eval,
            lr,
            evaluator,
            first_order,
            optimizer=optimizer,
            **settings,
        )
        self.head = names


def _head_of(model: nn.Module) -> str:
    """The last submodule with parameters of its own."""
    owners = [
        name
        for name, module in walk(model)
        if name and next(module.parameters(recurse=False), None) is not None
    ]
    if not owners:
        raise ArgumentError(
            f"ANIL adapts the last submodule with parameters, {type(model).__name__} has none. "
            "Name what adapts by head=…"
        )
    return owners[-1]
