"""Characters of an invented alphabet, in place of Omniglot's: drawn from a seed, not downloaded."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cached_property

import torch
from torch import Tensor
from torch.utils.data import TensorDataset

from metann.tasks.alphabet import Alphabet, invent
from metann.tasks.checks import require_classes, require_counts, require_ranges, require_ways
from metann.tasks.drawing import uniform
from metann.tasks.episodes import Episodes, Examples
from metann.tasks.hand import Hand
from metann.tasks.strokes import draw_points, trace

_AT_ONCE = 128  # images: their blots, 7 MB, stay in the cache of a processor


@dataclass(frozen=True)
class Glyphs:
    """Invented characters: each class some strokes, each image of it drawn by another hand.

    A stand-in for Omniglot (Lake et al., Science 2015), whose characters are pen strokes, too:
    paper is 0, ink is 1. A class is two to four strokes, straight, with corners or curved.

    Args:
        classes: how many. The glyphs depend on this number, `strokes` and `seed`.
        seed: of the glyphs; what is done with them takes generators of its own.
        strokes: fewest and most of a glyph.
        size: of the images, in pixels.
        hand: how much the images of a class differ.
        device, dtype: of the images; None for torch's defaults. The glyphs are the same on all.

    Raises:
        TaskError: a count is below one, or a range the wrong way round.

    Example:
        >>> glyphs = Glyphs(classes=1200, seed=0)
        >>> known, new = split_classes(range(glyphs.classes), 1000, 200)
        >>> support, query = glyphs.draw(32, ways=5, shots=1, queries=15, classes=known)
        >>> support.inputs.shape, support.targets.shape
        (torch.Size([32, 5, 1, 28, 28]), torch.Size([32, 5]))
    """

    classes: int = 1000
    seed: int = 0
    strokes: tuple[int, int] = (2, 4)
    size: int = 28
    hand: Hand = field(default_factory=Hand)
    device: torch.device | str | None = None
    dtype: torch.dtype | None = None

    def __post_init__(self) -> None:
        require_counts(classes=self.classes, size=self.size, strokes=self.strokes[0])
        require_ranges(strokes=self.strokes)

    def draw(
        self,
        tasks: int,
        ways: int,
        shots: int,
        queries: int,
        classes: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
    ) -> Episodes:
        """Draw N-way K-shot tasks, all at once; every image is drawn anew.

        Args:
            tasks: how many, T.
            ways: classes of each task, N. Its labels are 0 to N - 1, in random order.
            shots: images of each class to adapt on, K.
            queries: images of each class to measure on.
            classes: those that may occur; None for all.
            generator: what is drawn depends on it alone; None for torch's own. On `device`.

        Returns:
            Images of shapes (T, N * shots, 1, size, size) and (T, N * queries, 1, size, size),
            labels of shapes (T, N * shots) and (T, N * queries), both in order of the labels.

        Raises:
            TaskError: a count is below one, a task has more classes than there are, or one of
                the classes does not exist.
        """
        require_counts(tasks=tasks, ways=ways, shots=shots, queries=queries)
        allowed = self._allowed(classes)
        require_ways(ways, len(allowed))
        dice = torch.rand(tasks, len(allowed), generator=generator, device=self.device)
        chosen = allowed[dice.argsort(dim=1)[:, :ways]]
        return Episodes(
            self._examples(chosen, shots, generator), self._examples(chosen, queries, generator)
        )

    def render(self, classes: Tensor, generator: torch.Generator | None = None) -> Tensor:
        """An image of each of these classes, each by a hand of its own.

        Shape: (n,), integers -> (n, 1, size, size), from 0 (paper) to 1 (ink).
        """
        return torch.cat([self._render(part, generator) for part in torch.split(classes, _AT_ONCE)])

    def dataset(
        self,
        samples: int,
        classes: Sequence[int] | None = None,
        generator: torch.Generator | None = None,
    ) -> TensorDataset:
        """So many images of each class, rendered once, as a dataset of (image, class).

        Raises:
            TaskError: a count is below one, or one of the classes does not exist.

        Example:
            >>> tasks = FewShot(glyphs.dataset(20), ways=5, shots=1, queries=15)
        """
        require_counts(samples=samples)
        targets = self._allowed(classes).repeat_interleave(samples)
        return TensorDataset(self.render(targets, generator), targets)

    @cached_property
    def _alphabet(self) -> Alphabet:
        dtype = self.dtype or torch.get_default_dtype()
        device = self.device or torch.get_default_device()
        return invent(self.classes, self.strokes, self.seed).to(device, dtype)

    def _allowed(self, classes: Sequence[int] | None) -> Tensor:
        existing = range(self.classes)
        chosen = existing if classes is None else require_classes(classes, existing)
        return torch.tensor(chosen, device=self.device)

    def _examples(self, chosen: Tensor, each: int, generator: torch.Generator | None) -> Examples:
        """So many images of each chosen class (T, N), and its label."""
        tasks, ways = chosen.shape
        images = self.render(chosen.repeat_interleave(each, dim=1).flatten(), generator)
        labels = torch.arange(ways, device=chosen.device).repeat_interleave(each)
        return Examples(images.view(tasks, ways * each, *images.shape[1:]), labels.repeat(tasks, 1))

    def _render(self, classes: Tensor, generator: torch.Generator | None) -> Tensor:
        controls, shapes, present = (tensor[classes] for tensor in self._alphabet)
        points, lengths = trace(self.hand.move(controls, generator), shapes)
        drawn = lengths * present.unsqueeze(-1)
        thin, thick = (width * self.size / 28 for width in self.hand.width)
        width = uniform((thin, thick), (len(classes),), generator, points.device, points.dtype)
        return draw_points(points.flatten(1, 2), drawn.flatten(1, 2), width, self.size)
