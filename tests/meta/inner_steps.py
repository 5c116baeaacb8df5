"""Inner loops to differentiate in several ways: the same gradients must come out of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
import torch.nn.functional as F
from few_shot_cases import NETS
from torch import Tensor, nn

from metann import Learner
from metann.meta import Fast, InnerStep
from metann.meta.inner_loop import Taking, unrolled
from metann.meta.steps import Buffers
from metann.optim import SGD, Adam, Optimizer

# A learning rate -> an optimiser.
OPTIMIZERS: dict[str, Callable[[Tensor], Optimizer]] = {
    "SGD": lambda lr: SGD(lr=lr),
    "momentum": lambda lr: SGD(lr=lr, momentum=0.9, nesterov=True, weight_decay=0.1),
    "Adam": lambda lr: Adam(lr=lr),
}
Start = tuple[InnerStep, list[Tensor]]


@dataclass
class Problem:
    """A meta-gradient by `inputs`; `begin` gives a step and the weights to start from."""

    inputs: dict[str, Tensor]
    begin: Callable[[], Start]

    def meta_loss(self, taking: Taking, steps: int = 3) -> Tensor:
        """The loss after some steps, from the same random numbers each time."""
        torch.manual_seed(7)
        step, start = self.begin()
        fast = Fast(start, step.optimizer.init(start), {})
        for _ in range(steps):
            fast, _ = taking(step, fast)
        return step.loss(fast.weights, fast.buffers)[0].sum()

    def gradients(self, taking: Taking, steps: int = 3) -> dict[str, Tensor]:
        """The meta-gradient by every input."""
        loss = self.meta_loss(taking, steps)
        found = torch.autograd.grad(loss, [*self.inputs.values()], materialize_grads=True)
        return dict(zip(self.inputs, found, strict=True))

    def expected(self, steps: int = 3) -> dict[str, Tensor]:
        """The same, from the whole graph."""
        return self.gradients(unrolled, steps)


def problem(net: str | nn.Module, optimizer: str = "SGD", *, of_results: bool = False) -> Problem:
    """A net of which all weights but the first adapt.

    The loss closes over the first weight, the data and a learned weight for each class, the
    optimiser over its learning rate: leaves, or results of other computations.
    """
    model = NETS[net]() if isinstance(net, str) else net
    learner, classes = Learner(model), torch.randint(4, (6,))
    inputs = {name: parameter.detach() for name, parameter in model.named_parameters()}
    inputs |= {"x": torch.randn(6, 4), "learned": torch.rand(4), "lr": torch.rand(()) - 2}
    inputs = {name: leaf.requires_grad_() for name, leaf in inputs.items()}

    def begin() -> Start:
        read = {n: leaf.sin() * 1.5 for n, leaf in inputs.items()} if of_results else inputs
        first, *start = [read[name] for name, _ in model.named_parameters()]
        start = [weight.view_as(weight) for weight in start]  # As in `InnerLoop.start`.

        def loss(weights: list[Tensor], buffers: Buffers) -> tuple[Tensor, Buffers]:
            output = learner.functional([first, *weights], None, read["x"])
            return F.cross_entropy(output * read["learned"].exp(), classes), buffers

        return InnerStep(loss, OPTIMIZERS[optimizer](F.softplus(read["lr"])), True), start

    return Problem(inputs, begin)
