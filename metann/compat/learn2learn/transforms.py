"""Updates that are computed by learned modules: `ParameterUpdate`, `ModuleTransform`."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence

import torch
from torch import Tensor, nn

from metann.compat.learn2learn.modules import update_module
from metann.errors import CompatError


class ModuleTransform:
    """Makes a module that maps the gradient of a parameter, flattened, to an update.

    Args:
        module_cls: called as `module_cls(n, n)` for a parameter of n entries, as `nn.Linear` is.

    Source: the class of this name in learn2learn.
    """

    def __init__(self, module_cls: Callable[[int, int], nn.Module]) -> None:
        self.module_cls: Callable[[int, int], nn.Module] = module_cls

    def __call__(self, parameter: Tensor) -> nn.Module:
        """A module for this parameter."""
        return Flattened(self.module_cls(parameter.numel(), parameter.numel()))


class Flattened(nn.Module):
    """Calls a module on one row with all entries of a gradient.

    Args:
        transform: (1, n) -> (1, n).
    """

    def __init__(self, transform: nn.Module) -> None:
        super().__init__()
        self.transform: nn.Module = transform

    def forward(self, grad: Tensor) -> Tensor:
        """The update, of the shape of the gradient."""
        update: Tensor = self.transform(grad.reshape(1, -1))
        return update.view(grad.shape)


class ParameterUpdate(nn.Module):
    """Called like `torch.autograd.grad`, returns gradients that went through learned modules.

    Args:
        parameters: of the model to be updated.
        transform: makes a module for a parameter, or None for one whose gradient is the update.

    Raises:
        CompatError: a `ValueError`; it makes something else.

    Source: the class of this name in learn2learn.
    """

    def __init__(
        self, parameters: Iterable[Tensor], transform: Callable[[Tensor], nn.Module | None]
    ) -> None:
        super().__init__()
        made = [transform(param) for param in parameters]
        others: list[object] = [*made]
        wrong = [each for each in others if each is not None and not isinstance(each, nn.Module)]
        if wrong:
            raise CompatError(
                f"A transform must make a module or None for a parameter, got {wrong[0]!r}. Let it "
                "return one."
            )
        self.transforms_modules: nn.ModuleList = nn.ModuleList(
            each for each in made if each is not None
        )
        places = iter(range(len(made)))
        self.transforms_indices: list[int | None] = [
            None if each is None else next(places) for each in made
        ]

    def forward(
        self,
        loss: Tensor,
        parameters: Iterable[Tensor],
        create_graph: bool = False,
        retain_graph: bool = False,
        allow_unused: bool = False,
        allow_nograd: bool = False,
    ) -> list[Tensor | None]:
        """An update for each parameter; None for one that has no gradient.

        Args:
            loss: a scalar.
            parameters: as many as at construction, in the same order.
            create_graph: as in `torch.autograd.grad`.
            retain_graph: as there.
            allow_unused: as there.
            allow_nograd: parameters that do not require a gradient have no update.
        """
        weights = [*parameters]
        chosen = [i for i, p in enumerate(weights) if p.requires_grad or not allow_nograd]
        found = torch.autograd.grad(
            loss,
            [weights[index] for index in chosen],
            create_graph=create_graph,
            retain_graph=create_graph or retain_graph,
            allow_unused=allow_unused,
        )
        grads: dict[int, Tensor | None] = dict(zip(chosen, found, strict=True))
        return [
            self._transformed(grads.get(index), place)
            for index, place in enumerate(self.transforms_indices)
        ]

    def _transformed(self, grad: Tensor | None, place: int | None) -> Tensor | None:
        if grad is None or place is None:
            return grad
        update: Tensor = self.transforms_modules[place](grad)
        return update


class DifferentiableSGD(nn.Module):
    """Takes steps of gradient descent on modules, in place, with a graph.

    Args:
        lr: the size of the steps.

    Source: the class of this name in learn2learn.
    """

    def __init__(self, lr: float | Tensor) -> None:
        super().__init__()
        self.lr: float | Tensor = lr

    def forward(self, module: nn.Module, gradients: Sequence[Tensor | None] | None = None) -> None:
        """Step; see `update_module`.

        Args:
            module: any module.
            gradients: in the order of its parameters; by default their attributes `grad`.
        """
        given = [p.grad for p in module.parameters()] if gradients is None else gradients
        update_module(module, [None if grad is None else -self.lr * grad for grad in given])
