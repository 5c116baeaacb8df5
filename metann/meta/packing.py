"""Lists of tensors as one matrix: a row for each task, a column for each unknown."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor


@dataclass(frozen=True)
class Packing:
    """How tensors lie in the rows of a matrix.

    Complex tensors lie there as pairs of reals. The matrix has the widest dtype among them, and
    at least float32, so that sums over many unknowns keep their digits.

    Attributes:
        shapes: of the tensors, as reals; their leading axis counts the rows if there are tasks.
        dtypes: of the tensors.
        rows: the number of tasks, 1 without a task axis.
    """

    shapes: tuple[torch.Size, ...]
    dtypes: tuple[torch.dtype, ...]
    rows: int

    @classmethod
    def of(cls, tensors: Sequence[Tensor], task_axis: bool) -> Packing:
        """The packing of tensors like these."""
        shapes = tuple(_as_real(tensor).shape for tensor in tensors)
        dtypes = tuple(tensor.dtype for tensor in tensors)
        return cls(shapes, dtypes, tensors[0].shape[0] if task_axis else 1)

    def pack(self, tensors: Sequence[Tensor]) -> Tensor:
        """The matrix (rows, unknowns) of these tensors."""
        dtype = reduce(torch.promote_types, self.dtypes, torch.float32).to_real()
        pairs = zip(tensors, self.columns(), strict=True)
        return torch.cat([_as_real(t).reshape(self.rows, n).to(dtype) for t, n in pairs], dim=1)

    def unpack(self, matrix: Tensor) -> list[Tensor]:
        """The tensors whose matrix this is, each in its own dtype."""
        pieces = torch.split(matrix, self.columns(), dim=1)
        return [
            _as_dtype(piece.reshape(shape), dtype)
            for piece, shape, dtype in zip(pieces, self.shapes, self.dtypes, strict=True)
        ]

    def columns(self) -> list[int]:
        """How many columns belong to each tensor."""
        return [math.prod(shape) // self.rows for shape in self.shapes]

    def operator(
        self, product: Callable[[list[Tensor]], Sequence[Tensor]], damping: float
    ) -> Callable[[Tensor], Tensor]:
        """A product with `A + damping * I` on matrices, from one with `A` on lists of tensors."""

        def apply(matrix: Tensor) -> Tensor:
            image = self.pack(product(self.unpack(matrix)))
            return image + damping * matrix if damping else image

        return apply


def _as_real(tensor: Tensor) -> Tensor:
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def _as_dtype(tensor: Tensor, dtype: torch.dtype) -> Tensor:
    if not dtype.is_complex:
        return tensor.to(dtype)
    return torch.view_as_complex(tensor.contiguous()).to(dtype)
