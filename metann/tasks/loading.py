"""The inputs of some samples as one tensor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import torch
from torch import Tensor
from torch.utils.data import (
    default_collate,  # pyright: ignore[reportUnknownVariableType]  # torch's says `list`
)

from metann.errors import TaskError
from metann.tasks.labels import parts_of


def stacked_inputs(samples: Mapping[int, object]) -> Tensor:
    """The inputs of samples, each (x, y) or x alone, stacked; keys are indices, for messages.

    Raises:
        TaskError: an input is no tensor, array or number, or their shapes differ.
    """
    inputs = {index: _tensor(parts_of(sample), index) for index, sample in samples.items()}
    (first, shape), *_ = [(index, tensor.shape) for index, tensor in inputs.items()]
    for index, tensor in inputs.items():
        if tensor.shape != shape:
            raise TaskError(
                f"the inputs of a task must be of one shape, but sample {first} has "
                f"{tuple(shape)} and sample {index} has {tuple(tensor.shape)}; bring them to one "
                f"size in the dataset, by a transform for example"
            )
    return torch.stack([*inputs.values()])


def _tensor(parts: Sequence[object], index: int) -> Tensor:
    """The first part as a tensor; arrays and numbers as DataLoader itself would have them."""
    value = parts[0] if parts else None
    if isinstance(value, Tensor):
        return value
    try:
        collated: object = default_collate([value])
    except TypeError:
        collated = None
    if not isinstance(collated, Tensor):
        raise TaskError(
            f"the input of sample {index} is a {type(value).__name__}, which is no tensor, array "
            f"or number; give the dataset a transform that makes it one"
        )
    return collated[0]
