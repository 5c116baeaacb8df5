"""Residual blocks; the normalisation is an argument, the layers are made in a loop."""

from __future__ import annotations

from collections.abc import Callable

import torch
import torch.nn as nn
from torch import Tensor


def conv3x3(inputs: int, outputs: int, stride: int = 1) -> nn.Conv2d:
    """A convolution that keeps the size."""
    return nn.Conv2d(inputs, outputs, kernel_size=3, stride=stride, padding=1, bias=False)


class BasicBlock(nn.Module):
    expansion: int = 1

    def __init__(
        self,
        inputs: int,
        width: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        if norm_layer is None:
            norm_layer = nn.BatchNorm2d
        self.conv1 = conv3x3(inputs, width, stride)
        self.bn1 = norm_layer(width)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(width, width)
        self.bn2 = norm_layer(width)
        self.downsample = downsample

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out = out + identity
        return torch.relu(out)


class ResNet(nn.Module):
    def __init__(
        self,
        block: type[BasicBlock],
        layers: list[int],
        classes: int = 5,
        norm_layer: Callable[..., nn.Module] = nn.BatchNorm2d,
    ) -> None:
        super(ResNet, self).__init__()  # noqa: UP008
        self.width = 4
        self.norm_layer = norm_layer
        self.conv1 = nn.Conv2d(3, self.width, 3, padding=1, bias=False)
        self.stages = nn.Sequential(
            self._make_layer(block, 4, layers[0]),
            self._make_layer(block, 8, layers[1], stride=2),
        )
        self.pool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * block.expansion, classes)
        for m in self.modules():
            if isinstance(m, nn.Conv2d):
                nn.init.kaiming_normal_(m.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(m, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(m.weight, 1)
                nn.init.constant_(m.bias, 0)

    def _make_layer(
        self, block: type[BasicBlock], width: int, blocks: int, stride: int = 1
    ) -> nn.Sequential:
        downsample = None
        if stride != 1 or self.width != width * block.expansion:
            downsample = nn.Sequential(
                nn.Conv2d(self.width, width, 1, stride, bias=False),
                self.norm_layer(width),
            )
        layers: list[nn.Module] = [
            block(self.width, width, stride, downsample, self.norm_layer),
        ]
        self.width = width * block.expansion
        for _ in range(1, blocks):
            layers.append(block(self.width, width, norm_layer=self.norm_layer))
        return nn.Sequential(*layers)

    def forward(self, x: Tensor) -> Tensor:
        x = self.stages(self.conv1(x))
        output: Tensor = self.fc(torch.flatten(self.pool(x), 1))
        return output


def resnet(norm_layer: Callable[..., nn.Module] = nn.BatchNorm2d) -> ResNet:
    """A small one."""
    return ResNet(BasicBlock, [1, 2], norm_layer=norm_layer)


def example() -> tuple[nn.Module, tuple[Tensor, ...]]:
    """A model, and what it is called with."""
    return resnet(), (torch.randn(4, 3, 8, 8),)
