from __future__ import annotations

import torch
import torch.nn
from torch import Tensor


class DoubleConv(torch.nn.Sequential):
    def __init__(self, inputs: int, outputs: int, norm: type | None = None) -> None:
        norm = norm or torch.nn.InstanceNorm2d
        super().__init__(
            torch.nn.Conv2d(inputs, outputs, 3, padding=1),
            norm(outputs, affine=True),
            torch.nn.SiLU(),
            torch.nn.Conv2d(outputs, outputs, 3, padding=1),
        )


class UNet(torch.nn.Module):
    def __init__(self, inputs: int = 2, widths: tuple[int, ...] = (3, 4)) -> None:
        super().__init__()
        self.downs, self.ups = torch.nn.ModuleList(), torch.nn.ModuleList()
        for width in widths:
            self.downs.append(DoubleConv(inputs, width))
            inputs = width
        self.pool = torch.nn.MaxPool2d(2)
        self.bottom = DoubleConv(inputs, 2 * inputs, torch.nn.BatchNorm2d)
        inputs *= 2
        for width in reversed(widths):
            self.ups.append(torch.nn.ConvTranspose2d(inputs, width, 2, stride=2))
            self.ups.append(DoubleConv(2 * width, width))
            inputs = width
        self.head = torch.nn.Conv2d(inputs, 1, 1)

    def forward(self, x: Tensor) -> Tensor:
        skips: list[Tensor] = []
        for down in self.downs:
            x = down(x)
            skips.append(x)
            x = self.pool(x)
        x = self.bottom(x)
        for up, conv in zip(self.ups[::2], self.ups[1::2], strict=True):
            x = conv(torch.cat([skips.pop(), up(x)], dim=1))
        return self.head(x)


def example() -> tuple[torch.nn.Module, tuple[Tensor, ...]]:
    return UNet(), (torch.randn(2, 2, 8, 8),)
