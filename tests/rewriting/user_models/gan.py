from functools import partial

import torch
import torch.nn as N
from torch import Tensor
from torch.nn.utils import parametrizations


def weights_init(m: N.Module) -> None:
    if type(m) is N.ConvTranspose2d or type(m) is N.Conv2d:
        N.init.normal_(m.weight, 0.0, 0.2)
    elif m.__class__.__name__.find("BatchNorm") != -1:
        N.init.normal_(m.weight, 1.0, 0.2)


class Generator(N.Module):
    def __init__(self, width: int = 3) -> None:
        super().__init__()
        norm = partial(N.BatchNorm2d, momentum=0.2)
        self.main = N.Sequential(
            N.ConvTranspose2d(width, 4, 2, bias=False),
            norm(4),
            N.ReLU(True),
            N.ConvTranspose2d(4, 2, 2, 2),
            N.Tanh(),
        )
        self.apply(weights_init)

    def forward(self, z: Tensor) -> Tensor:
        return self.main(z)


class Discriminator(N.Module):
    def __init__(self) -> None:
        super().__init__()
        layer = parametrizations.weight_norm(N.Conv2d(2, 4, 2))
        self.main = N.Sequential(layer, N.LeakyReLU(0.2, inplace=True), N.Flatten())
        self.out = N.Linear(4 * 9, 1)

    def forward(self, x: Tensor) -> Tensor:
        return self.out(self.main(x))


class GAN(N.Module):
    def __init__(self) -> None:
        super().__init__()
        self.generator, self.discriminator = Generator(), Discriminator()

    def forward(self, z: Tensor) -> Tensor:
        return self.discriminator(self.generator(z))


def example() -> tuple[N.Module, tuple[Tensor, ...]]:
    return GAN(), (torch.randn(3, 3, 1, 1),)
