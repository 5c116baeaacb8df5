"""A net of two parts, and a step of its training."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metann import DependentModule, Learner, to_dependent
from metann.generated import DependentConv2d, DependentLinear


class Net(DependentModule):
    """A convolution, a recurrent layer and a head."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.conv = DependentConv2d(1, width, kernel_size=3, padding=1)
        self.recur = to_dependent(nn.GRU(width, width, batch_first=True))
        self.out = DependentLinear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Two numbers for each picture."""
        seen = torch.relu(self.conv(x)).mean(-1).transpose(1, 2)
        kept, _ = self.recur(seen)
        answer: Tensor = self.out(kept[:, -1])
        return answer


def step(net: Net, x: Tensor, y: Tensor, rate: float = 0.1) -> Tensor:
    """The loss after one step."""
    learner, params = Learner(net), [*net.parameters()]
    loss = F.cross_entropy(learner.functional(params, True, x), y)
    grads = torch.autograd.grad(loss, params, create_graph=True)
    fast = [p - rate * g for p, g in zip(params, grads, strict=True)]
    kept = learner.bind(fast)
    return F.cross_entropy(kept(x), y)
