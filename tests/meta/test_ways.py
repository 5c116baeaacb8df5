"""Every algorithm comes to the same, whether its steps are kept, recomputed or in mixed mode."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from few_shot_cases import NETS, classification, draw_tasks, dropping, stacked
from torch import Tensor, nn

from metann import optim
from metann.meta import ANIL, MAML, MAMLPlusPlus, MetaSGD, Reptile

# torch uses it itself, the first time that it differentiates in forward mode.
pytestmark = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")
CLOSE = {"rtol": 1e-10, "atol": 1e-12}
WAYS = {"checkpoint": {"checkpoint": True}, "mixed mode": {"mixed_mode": True}}

Maker = Callable[..., MAML[Any]]
ALGORITHMS: dict[str, Maker] = {
    "MAML": lambda model, **way: MAML(model, 3, 3, 0.3, classification, **way),
    "FOMAML": lambda model, **way: MAML(model, 3, 3, 0.3, classification, True, **way),
    "ANIL": lambda model, **way: ANIL(model, 3, 3, 0.3, classification, **way),
    "Meta-SGD": lambda model, **way: MetaSGD(model, 3, 3, 0.3, classification, **way),
    "MAML++": lambda model, **way: MAMLPlusPlus(model, 3, 3, 0.3, classification, **way),
    "clipping": lambda model, **way: MAML(
        model, 3, 3, None, classification, optimizer=clipped(), **way
    ),
    "statistics": lambda model, **way: MAML(
        model, 3, 3, 0.3, classification, buffers="writeback", **way
    ),
}


def clipped() -> optim.Optimizer:
    rate = nn.Parameter(torch.tensor(0.3))
    return optim.transformed(optim.SGD(lr=rate, momentum=0.5), optim.clip_by_norm(0.5))


Found = tuple[list[Tensor], list[Tensor]]


def found_by(maml: MAML[Any]) -> Found:
    """The meta-gradient by all parameters, and every buffer afterwards."""
    torch.manual_seed(11)
    support, query = stacked(draw_tasks())
    loss = maml.task_losses(support, query).sum()
    gradients = torch.autograd.grad(loss, [*maml.parameters()], materialize_grads=True)
    return [*gradients], [buffer.clone() for buffer in maml.buffers()]


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("net", ["convolution", "dropping"])
@pytest.mark.parametrize("algorithm", ALGORITHMS)
def test_the_same_meta_gradients_and_statistics(algorithm: str, net: str, way: str) -> None:
    make, kept = ALGORITHMS[algorithm], (NETS | {"dropping": dropping})[net]()
    other = (NETS | {"dropping": dropping})[net]()
    other.load_state_dict(kept.state_dict())

    torch.testing.assert_close(
        found_by(make(other, **WAYS[way])),
        found_by(make(kept)),
        **CLOSE,
    )


@pytest.mark.parametrize("way", WAYS)
def test_the_losses_after_every_step(way: str) -> None:
    model, (support, query) = NETS["mlp"](), stacked(draw_tasks())

    def gradients(**settings: bool) -> tuple[Tensor, ...]:
        maml = MAML(model, 3, 3, 0.3, classification, **settings)
        losses = maml.losses_by_step(support, query)
        return torch.autograd.grad((losses * torch.arange(1.0, 5.0)).sum(), [*model.parameters()])

    torch.testing.assert_close(gradients(**WAYS[way]), gradients(), **CLOSE)


@pytest.mark.parametrize("way", WAYS)
def test_an_adapted_model_and_one_that_goes_on_from_it(way: str) -> None:
    model, ((support, query), *_) = NETS["convolution"](), draw_tasks()

    def gradients(**settings: bool) -> tuple[Tensor, ...]:
        maml = MAML(model, 2, 2, 0.3, classification, **settings)
        adapted = maml.adapt(query, start=maml.adapt(support))
        loss = classification(adapted.model, query) + adapted.losses.sum()
        return torch.autograd.grad(loss, [*model.parameters()])

    torch.testing.assert_close(gradients(**WAYS[way]), gradients(), **CLOSE)


@pytest.mark.parametrize("way", WAYS)
def test_reptile_takes_no_notice(way: str) -> None:
    model, (support, _) = NETS["mlp"](), stacked(draw_tasks())

    def gradients(**settings: bool) -> tuple[Tensor, ...]:
        reptile = Reptile(model, 3, 3, 0.3, classification, **settings)
        losses = reptile.task_losses(support)
        return torch.autograd.grad(losses.sum(), [*model.parameters()])

    torch.testing.assert_close(gradients(**WAYS[way]), gradients(), **CLOSE)
