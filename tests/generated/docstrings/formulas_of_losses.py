"""Losses whose formula is about one example, or one class of it."""

from __future__ import annotations

from collections.abc import Iterator

import torch
from torch import Tensor, nn

from docstrings.formulas import Case


def of_classes() -> Iterator[Case]:
    """Losses of one target class."""
    x, target, weight = torch.randn(5), 3, torch.rand(5)
    log_x = x.log_softmax(0)
    nll = nn.NLLLoss(weight, reduction="none")
    yield Case(nll, {"input": log_x, "target": target}, nll(log_x, torch.tensor(target)))
    cross_entropy = nn.CrossEntropyLoss()
    names = {"input": x, "target": target, "sum": torch.sum}
    yield Case(cross_entropy, names, cross_entropy(x, torch.tensor(target)))
    for p in (1, 2):
        margin = nn.MultiMarginLoss(p, margin=0.7)
        loss = margin(x, torch.tensor(target))
        others = [i for i in range(5) if i != target]
        names = {"input": x, "target": target, "C": 5, "max": at_least}
        yield summed(margin, [names | {"i": i} for i in others], loss)
    labels = nn.MultiLabelMarginLoss()
    loss = labels(x, torch.tensor([3, 1, -1, 0, 0]))
    names = {"input": x, "C": 5, "max": at_least}
    yield summed(labels, [names | {"i": i, "j": j} for i in (0, 2, 4) for j in (3, 1)], loss)


def at_least(limit: float, x: Tensor) -> Tensor:
    """`max` of a number and a tensor."""
    return x.clamp_min(limit)


class Summed(Case):
    """A formula that is summed over several meanings of its names."""

    def value(self) -> Tensor:
        cases = [Case(self.layer, names, self.expected) for names in self.names["each"]]
        return torch.stack([case.value() for case in cases]).sum()


def summed(layer: nn.Module, each: list[dict[str, object]], expected: Tensor) -> Case:
    """The sum of the formula over `each`."""
    return Summed(layer, {"each": each}, expected)


def of_pairs() -> Iterator[Case]:
    """Losses of two or three vectors."""
    x, y, z = torch.randn(3, 2, 4)
    for target, margin in ((1, 0.1), (-1, 0.1), (-1, -2.0)):
        cosine = nn.CosineEmbeddingLoss(margin, reduction="none")
        for one, other in zip(x, y, strict=True):
            loss = cosine(one, other, torch.tensor(target))
            cos = torch.cosine_similarity(one, other, dim=0)
            yield Case(cosine, {"cos": cos, "target": target, "max": at_least}, loss)
    for p in (1.0, 2.0):
        triplet = nn.TripletMarginLoss(0.7, p, eps=0.1, reduction="none")
        names = {"anchor": x, "positive": y, "negative": z, "max": at_least}
        yield Case(triplet, names | {"d": nn.PairwiseDistance(p, 0.1)}, triplet(x, y, z))
    distance = nn.PairwiseDistance(3.0)
    by_distance = nn.TripletMarginWithDistanceLoss(
        distance_function=distance, margin=0.7, reduction="none"
    )
    yield Case(by_distance, names | {"d": distance}, by_distance(x, y, z))


def of_a_layer() -> Iterator[Case]:
    """The loss that has a layer."""
    loss, x = nn.LinearCrossEntropyLoss(4, 5), torch.randn(3, 4)
    target = torch.tensor([1, 4, 0])
    torch.testing.assert_close(loss(x, target), nn.CrossEntropyLoss()(loss.linear(x), target))
    yield Case(loss, {"input": x}, loss.linear(x))
