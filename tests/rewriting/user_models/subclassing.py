"""Layers of torch as bases: constructors called by name, forwards overridden."""

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm


class StandardisedConv(nn.Conv2d):
    def forward(self, input: Tensor) -> Tensor:
        weight = self.weight - self.weight.mean(dim=(1, 2, 3), keepdim=True)
        return self._conv_forward(input, weight, self.bias)


class Depthwise(StandardisedConv):
    def __init__(self, width: int) -> None:
        nn.Conv2d.__init__(self, width, width, 3, groups=width, padding="same")


class ScaledLinear(nn.Linear):
    def __init__(self, inputs: int, outputs: int, bias: bool = True) -> None:
        super(ScaledLinear, self).__init__(inputs, outputs, bias)  # noqa: UP008
        self.scale = nn.Parameter(torch.randn(outputs))

    def reset_parameters(self) -> None:
        super().reset_parameters()
        nn.init.normal_(self.weight)

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) * self.scale + nn.Linear.forward(self, input)


class FrozenNorm(_BatchNorm):
    def _check_input_dim(self, input: Tensor) -> None:
        if input.dim() != 4:
            raise ValueError(f"expected 4 dimensions, got {input.dim()}")

    def forward(self, input: Tensor) -> Tensor:
        self._check_input_dim(input)
        return F.batch_norm(input, self.running_mean, self.running_var, self.weight, self.bias)


class Blocks(nn.Sequential):
    def forward(self, input: Tensor) -> Tensor:
        for block in self:
            input = input + block(input)
        return input


class Net(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.blocks = Blocks(StandardisedConv(2, 2, 3, padding=1), Depthwise(2), FrozenNorm(2))
        self.rnn = Recurrent(2, 3)
        self.head = ScaledLinear(3, 2, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(x).flatten(2).permute(2, 0, 1)
        return self.head(self.rnn(x))


class Recurrent(nn.GRU):
    def forward(self, x: Tensor) -> Tensor:  # type: ignore[override]
        return super().forward(x)[0]


def example() -> tuple[nn.Module, tuple[Tensor, ...]]:
    return Net(), (torch.randn(2, 2, 4, 4),)
