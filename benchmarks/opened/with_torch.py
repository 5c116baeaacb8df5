"""A net of two parts, and a step of its training."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call
from torch.nn import Conv2d, Linear


class Net(nn.Module):
    """A convolution, a recurrent layer and a head."""

    def __init__(self, width: int = 8) -> None:
        super().__init__()
        self.conv = Conv2d(1, width, kernel_size=3, padding=1)
        self.recur = nn.GRU(width, width, batch_first=True)
        self.out = Linear(width, 2)

    def forward(self, x: Tensor) -> Tensor:
        """Two numbers for each picture."""
        seen = torch.relu(self.conv(x)).mean(-1).transpose(1, 2)
        kept, _ = self.recur(seen)
        answer: Tensor = self.out(kept[:, -1])
        return answer


def step(net: Net, x: Tensor, y: Tensor, rate: float = 0.1) -> Tensor:
    """The loss after one step."""
    names, params = zip(*net.named_parameters(), strict=True)
    given: dict[str, Tensor] = dict(zip(names, params, strict=True))
    loss = F.cross_entropy(functional_call(net, given, (x,)), y)
    grads = torch.autograd.grad(loss, params, create_graph=True)
    fast = {name: p - rate * g for name, p, g in zip(names, params, grads, strict=True)}
    return F.cross_entropy(functional_call(net, fast, (x,)), y)
