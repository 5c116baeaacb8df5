"""Small labelled datasets of every kind that `FewShot` takes; the input of sample i is i."""

from __future__ import annotations

from collections.abc import Hashable, Sequence

import torch
from torch import Tensor
from torch.utils.data import Dataset, TensorDataset


class Pairs(Dataset[tuple[Tensor, Hashable]]):
    """Samples (x, y) that can be had only one by one; it counts how many were."""

    def __init__(self, labels: Sequence[Hashable]) -> None:
        self.given = labels
        self.loaded = 0

    def __len__(self) -> int:
        return len(self.given)

    def __getitem__(self, index: int) -> tuple[Tensor, Hashable]:
        self.loaded += 1
        return torch.tensor([float(index)]), self.given[index]


class WithTargets(Pairs):
    """As those of torchvision."""

    def __init__(self, labels: Sequence[Hashable], targets: object = None) -> None:
        super().__init__(labels)
        self.targets = labels if targets is None else targets


class WithLabels(Pairs):
    """As torchvision's SVHN and STL10."""

    def __init__(self, labels: Sequence[Hashable], listed: object = None) -> None:
        super().__init__(labels)
        self.labels = labels if listed is None else listed


def numbered(classes: int, each: int) -> TensorDataset:
    """So many samples of each class; the class of sample i is i modulo the number of classes."""
    numbers = torch.arange(classes * each)
    return TensorDataset(numbers.float().unsqueeze(1), numbers % classes)
