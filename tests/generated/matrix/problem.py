"""A sample in one mode, as the questions of the matrix see it: a function of real tensors."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial

import torch
from measuring import constructed, inputs_of, leaves_of, mapped, run, scalar, tensors_in
from samples.sample import Given, Sample
from torch import Tensor

from matrix.sides import Side, Torch


@dataclass(frozen=True)
class Use:
    """One sample, in train or in eval mode."""

    sample: Sample
    training: bool

    @property
    def holds_something_constant(self) -> bool:
        """Whether torch's derivative is, deliberately, not that of the output."""
        held = self.sample.held_constant
        return held is not None and self.training in held.modes

    def __str__(self) -> str:
        return f"{self.sample}, {'train' if self.training else 'eval'}"


class Problem:
    """One use of a layer, computed by one side.

    Attributes:
        leaves: weights, in the order of the parameters, then the real inputs; no two share memory.
        count: how many of them are weights.
    """

    def __init__(self, use: Use, kind: type[Side]) -> None:
        self.use = use
        self.plain = constructed(use.sample, use.sample.layer).train(use.training)
        self.side = kind(self.plain)
        self.inputs = inputs_of(use.sample)
        real = [*_other_weights(self.plain.parameters()), *leaves_of(self.inputs)]
        self.leaves = [tensor.detach().clone() for tensor in real]
        self.count = len(real) - len(leaves_of(self.inputs))

    @property
    def weights(self) -> list[Tensor]:
        """Weights other than the module's own."""
        return self.leaves[: self.count]

    def fresh(self) -> list[Tensor]:
        """The leaves, to be differentiated by."""
        return [leaf.detach().clone().requires_grad_() for leaf in self.leaves]

    def given(self, real_inputs: Sequence[Tensor]) -> Given:
        """The inputs with these in the place of the real ones."""
        replaced = iter(real_inputs)
        args, kwargs = mapped(
            lambda t: next(replaced) if t.requires_grad else t,
            [self.inputs.args, self.inputs.kwargs],
        )
        return Given(tuple(args), kwargs)

    def outputs(
        self, *leaves: Tensor, buffers: Sequence[Tensor] | None = None, seed: int = 3
    ) -> list[Tensor]:
        """The real outputs as a function of all leaves; random layers draw from the seed."""
        held = self.side.buffers() if buffers is None else buffers
        call = partial(self.side.call, leaves[: self.count], held)
        return real_tensors(run(call, self.given(leaves[self.count :]), seed=seed))

    def plainly(self) -> tuple[list[Tensor], list[Tensor]]:
        """What the others are measured by: the outputs of a plain module, and its leaves.

        It has the weights as its parameters. Not `functional_call`, which leaves the list of
        weights that nn.RNNBase keeps as it was.
        """
        model, parameters = Torch(self.plain).model(self.weights)
        real = self.fresh()[self.count :]
        return real_tensors(run(model, self.given(real))), [*parameters, *real]

    def value(self, *leaves: Tensor) -> Tensor:
        """A number that depends on every real output, curved and not symmetric."""
        return scalar(self.outputs(*leaves))


def real_tensors(output: object) -> list[Tensor]:
    """The floating-point tensors in what a layer returns."""
    return [tensor for tensor in tensors_in(output) if tensor.is_floating_point()]


def directions(leaves: Sequence[Tensor], seed: int = 5) -> list[Tensor]:
    """A random direction for each leaf, the same ones each time."""
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(leaf.shape, generator=generator) for leaf in leaves]


def _other_weights(parameters: object) -> list[Tensor]:
    return [1.1 * parameter.detach() + 0.01 for parameter in parameters]
