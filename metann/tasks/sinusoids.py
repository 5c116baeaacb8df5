"""Sinusoid regression, the first experiment of the MAML paper (arXiv 1703.03400, section 5.1)."""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from metann.tasks.checks import require_counts, require_ranges, require_sizes
from metann.tasks.drawing import Range, uniform
from metann.tasks.episodes import Episodes, Examples


@dataclass(frozen=True)
class Curves:
    """T sine curves: `amplitude * sin(frequency * x - phase)`, each tensor of shape (T, 1, 1)."""

    amplitude: Tensor
    phase: Tensor
    frequency: Tensor

    def __call__(self, x: Tensor) -> Tensor:
        """The curves at these points.

        Shape: (T, n, 1), or (n, 1) for the same points on every curve -> (T, n, 1).
        """
        return self.amplitude * torch.sin(self.frequency * x - self.phase)


@dataclass(frozen=True)
class Sinusoids:
    """Draws regression tasks: each is a sine curve, of which n points are given.

    The defaults are those of the MAML paper: amplitude from U[0.1, 5], phase from U[0, pi], points
    x from U[-5, 5]. With `frequency=(0.8, 1.2)` they are those of Meta-SGD (arXiv 1707.09835).

    Args:
        amplitude, phase, frequency: the lowest and the highest value of a curve.
        x: the lowest and the highest point.
        noise: standard deviation of the normal noise on the targets, of support and query.
        device, dtype: of what is drawn; None for torch's defaults.

    Raises:
        TaskError: a range is the wrong way round, or the noise negative.

    Example:
        >>> dice = torch.Generator().manual_seed(0)
        >>> support, query = Sinusoids().draw(25, shots=10, generator=dice)
        >>> support.inputs.shape, query.targets.shape
        (torch.Size([25, 10, 1]), torch.Size([25, 10, 1]))
    """

    amplitude: Range = (0.1, 5.0)
    phase: Range = (0.0, math.pi)
    frequency: Range = (1.0, 1.0)
    x: Range = (-5.0, 5.0)
    noise: float = 0.0
    device: torch.device | str | None = None
    dtype: torch.dtype | None = None

    def __post_init__(self) -> None:
        require_ranges(amplitude=self.amplitude, phase=self.phase)
        require_ranges(frequency=self.frequency, x=self.x)
        require_sizes(noise=self.noise)

    def draw(
        self,
        tasks: int,
        shots: int,
        queries: int | None = None,
        generator: torch.Generator | None = None,
    ) -> Episodes:
        """Draw all tasks at once.

        Args:
            tasks: how many, T.
            shots: points of each curve to adapt on.
            queries: points of each curve to measure on; None for as many as `shots`.
            generator: what is drawn depends on it alone; None for torch's own. On `device`.

        Returns:
            Inputs and targets of shapes (T, shots, 1) and (T, queries, 1).

        Raises:
            TaskError: a count is below one.
        """
        queries = shots if queries is None else queries
        require_counts(tasks=tasks, shots=shots, queries=queries)
        curves = self.draw_curves(tasks, generator)
        x = self._uniform(self.x, (tasks, shots + queries, 1), generator)
        y = self._noisy(curves(x), generator)
        return Episodes(
            Examples(x[:, :shots], y[:, :shots]),
            Examples(x[:, shots:], y[:, shots:]),
        )

    def draw_curves(self, tasks: int, generator: torch.Generator | None = None) -> Curves:
        """Draw the curves alone, to be evaluated at any points, without noise."""
        require_counts(tasks=tasks)
        amplitude = self._uniform(self.amplitude, (tasks, 1, 1), generator)
        phase = self._uniform(self.phase, (tasks, 1, 1), generator)
        return Curves(amplitude, phase, self._uniform(self.frequency, (tasks, 1, 1), generator))

    def _uniform(
        self, span: Range, shape: tuple[int, ...], generator: torch.Generator | None
    ) -> Tensor:
        return uniform(span, shape, generator, self.device, self.dtype)

    def _noisy(self, y: Tensor, generator: torch.Generator | None) -> Tensor:
        if not self.noise:
            return y
        return y + self.noise * torch.randn(
            y.shape, generator=generator, device=y.device, dtype=y.dtype
        )
