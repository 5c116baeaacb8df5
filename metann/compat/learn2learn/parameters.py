"""Small helpers by learn2learn's names, on tensors alone."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any, TypeVar, cast

import torch
from torch import Tensor

ValueT = TypeVar("ValueT")


def magic_box(x: ValueT) -> ValueT:
    """A tensor of ones whose gradient is that of `x`; what is no tensor is returned as it is.

    Shape: (*) -> (*).

    Source: DiCE (Foerster et al. 2018, arXiv 1802.05098); the function of this name in learn2learn.
    """
    value: Any = x
    return cast("ValueT", torch.exp(value - value.detach())) if isinstance(x, Tensor) else x


def clone_parameters(param_list: Iterable[Tensor]) -> list[Tensor]:
    """Clones within the graph.

    Source: the function of this name in learn2learn.
    """
    return [param.clone() for param in param_list]


def clone_named_parameters(param_dict: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Clones within the graph, under the same names.

    Source: the function of this name in learn2learn.
    """
    return {name: param.clone() for name, param in param_dict.items()}


def accuracy(preds: Tensor, targets: Tensor) -> Tensor:
    """How many of the largest entries stand at the targets, as a share.

    Shape: (N, C), (N,) -> ().

    Source: the function of this name in learn2learn.
    """
    return (preds.argmax(dim=1) == targets).float().mean()
