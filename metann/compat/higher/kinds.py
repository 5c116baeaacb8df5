"""A differentiable form of each class of torch.optim, under higher's names."""

from __future__ import annotations

from typing import ClassVar

from metann import optim
from metann.compat.higher.stateful import OfTorch


class DifferentiableSGD(OfTorch):
    """`torch.optim.SGD`; see `DifferentiableOptimizer`."""

    kind: ClassVar[type[optim.Optimizer]] = optim.SGD


class DifferentiableAdam(OfTorch):
    """`torch.optim.Adam`; see `DifferentiableOptimizer`."""

    kind: ClassVar[type[optim.Optimizer]] = optim.Adam


class DifferentiableAdamW(OfTorch):
    """`torch.optim.AdamW`; see `DifferentiableOptimizer`."""

    kind: ClassVar[type[optim.Optimizer]] = optim.AdamW


class DifferentiableNAdam(OfTorch):
    """`torch.optim.NAdam`; see `DifferentiableOptimizer`."""

    kind: ClassVar[type[optim.Optimizer]] = optim.NAdam


class DifferentiableRAdam(OfTorch):
    """`torch.optim.RAdam`; see `DifferentiableOptimizer`."""

    kind: ClassVar[type[optim.Optimizer]] = optim.RAdam


class DifferentiableAdamax(OfTorch):
    """`torch.optim.Adamax`; see `DifferentiableOptimizer`."""

    kind: ClassVar[type[optim.Optimizer]] = optim.Adamax


class DifferentiableAdagrad(OfTorch):
    """`torch.optim.Adagrad`; see `DifferentiableOptimizer`."""

    kind: ClassVar[type[optim.Optimizer]] = optim.Adagrad


class DifferentiableAdadelta(OfTorch):
    """`torch.optim.Adadelta`; see `DifferentiableOptimizer`."""

    kind: ClassVar[type[optim.Optimizer]] = optim.Adadelta


class DifferentiableRMSprop(OfTorch):
    """`torch.optim.RMSprop`; see `DifferentiableOptimizer`."""

    kind: ClassVar[type[optim.Optimizer]] = optim.RMSprop


class DifferentiableASGD(OfTorch):
    """`torch.optim.ASGD`; see `DifferentiableOptimizer`."""

    kind: ClassVar[type[optim.Optimizer]] = optim.ASGD


class DifferentiableRprop(OfTorch):
    """`torch.optim.Rprop`; see `DifferentiableOptimizer`."""

    kind: ClassVar[type[optim.Optimizer]] = optim.Rprop


class DifferentiableAdafactor(OfTorch):
    """`torch.optim.Adafactor`; see `DifferentiableOptimizer`."""

    kind: ClassVar[type[optim.Optimizer]] = optim.Adafactor


class DifferentiableMuon(OfTorch):
    """`torch.optim.Muon`; see `DifferentiableOptimizer`."""

    kind: ClassVar[type[optim.Optimizer]] = optim.Muon


KINDS: tuple[type[OfTorch], ...] = (
    DifferentiableSGD,
    DifferentiableAdam,
    DifferentiableAdamW,
    DifferentiableNAdam,
    DifferentiableRAdam,
    DifferentiableAdamax,
    DifferentiableAdagrad,
    DifferentiableAdadelta,
    DifferentiableRMSprop,
    DifferentiableASGD,
    DifferentiableRprop,
    DifferentiableAdafactor,
    DifferentiableMuon,
)
"""For the class of torch.optim that has the name of its `kind`."""
