"""A sample, called by `Learner.functional`, as a function of its weights and its real inputs."""

from __future__ import annotations

from functools import partial

from measuring import constructed, inputs_of, leaves_of, mapped, run, scalar, tensors_in
from samples.sample import Sample, on
from torch import Tensor

from metann import Learner


class AsAFunction:
    """What `Learner.functional` makes of one use of a layer.

    Attributes:
        leaves: where to differentiate: the weights, then the real inputs.
    """

    def __init__(self, sample: Sample, training: bool) -> None:
        plain = constructed(sample, sample.layer)
        self.training = training
        self.learner = Learner(plain)
        self.inputs = inputs_of(sample)
        weights = [parameter.detach().clone() for parameter in plain.parameters()]
        self.count = len(weights)
        self.leaves = [*weights, *(leaf.detach().clone() for leaf in leaves_of(self.inputs))]

    def outputs(self, *leaves: Tensor) -> tuple[Tensor, ...]:
        """The real outputs; random layers draw the same numbers each time."""
        replaced = iter(leaves[self.count :])
        given = [self.inputs.args, self.inputs.kwargs]
        args, kwargs = mapped(lambda t: next(replaced) if t.requires_grad else t, given)
        call = partial(self.learner.functional, list(leaves[: self.count]), self.training)
        output = run(call, on(*args, **kwargs))
        return tuple(t for t in tensors_in(output) if t.is_floating_point())

    def value(self, *leaves: Tensor) -> Tensor:
        """A number that depends on all of them."""
        return scalar(self.outputs(*leaves))

    def fresh(self) -> list[Tensor]:
        """The leaves, to be differentiated by."""
        return [leaf.clone().requires_grad_() for leaf in self.leaves]
