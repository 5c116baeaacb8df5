"""Finding out that a forward is computed again in a backward pass."""

from __future__ import annotations

from collections.abc import Generator, Sequence
from contextlib import contextmanager

from torch import nn

from metann.compat.torchopt.weights import Weight
from metann.errors import ArgumentError


@contextmanager
def nothing_computed_again(weights: Sequence[Weight]) -> Generator[None, None, None]:
    """Raise at the end if a module that has one of the weights was called in between.

    It is for a backward pass whose graph is kept: what calls a module there, as activation
    checkpointing does, would do so again in a later one, when the module has newer weights.

    Args:
        weights: those that will be replaced.

    Raises:
        ArgumentError: a module was called.
    """
    called: list[nn.Module] = []

    def note(module: nn.Module, _args: object) -> None:
        called.append(module)

    owners = {id(owner): owner for weight in weights for owner, _ in weight.places}
    handles = [owner.register_forward_pre_hook(note) for owner in owners.values()]
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
    if called:
        raise ArgumentError(
            f"the backward pass has called a {type(called[0]).__name__} of the module again, as "
            "torch.utils.checkpoint does. The outer backward pass would do so with the weights of "
            "the last step, and the meta-gradient would be wrong. Use metann.MAML, or take away "
            "the checkpointing; a step under torch.no_grad() is right."
        )
