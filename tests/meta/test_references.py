"""The references of the other tests, against finite differences and against each other."""

from __future__ import annotations

import pytest
import references
import torch
from few_shot_cases import NETS, classification, draw_tasks
from references import constant
from torch import nn

# Torch's fused attention has no second derivative: metann alone goes there.
OF_TORCH = sorted({*NETS} - {"transformer"})


@pytest.mark.parametrize("steps", [1, 3])
@pytest.mark.parametrize("net", OF_TORCH)
def test_products_with_hessians_give_the_slope_of_the_loss_after_training(
    net: str, steps: int
) -> None:
    model, tasks = NETS[net](), draw_tasks()
    rates = constant(model, steps, 0.3)

    outcome = references.maml(model, tasks, classification, rates)
    drawn = {name: torch.randn_like(slope) for name, slope in outcome.by_weight.items()}
    length = torch.cat([part.flatten() for part in drawn.values()]).norm()
    direction = {name: part / length for name, part in drawn.items()}
    expected = references.slope_along(model, tasks, classification, rates, direction)

    found = sum((outcome.by_weight[n] * d).sum() for n, d in direction.items())
    torch.testing.assert_close(found, expected, rtol=1e-8, atol=1e-9)


def test_the_two_ways_agree_on_losses_after_each_step_and_on_learned_rates() -> None:
    model, tasks, importance = NETS["mlp"](), draw_tasks(), [0.2, 0.3, 0.5]
    rates = [
        {name: 0.1 + 0.3 * torch.rand_like(p) for name, p in model.named_parameters()}
        for _ in range(3)
    ]

    first = references.maml(model, tasks, classification, rates, importance)
    second = references.maml_plus_plus(
        model, tasks, classification, rates, importance, [{}] * 3, [{}] * 3
    )

    torch.testing.assert_close(first.losses, second.losses, rtol=1e-12, atol=0)
    torch.testing.assert_close(first.by_weight, second.by_weight, rtol=1e-10, atol=1e-12)
    torch.testing.assert_close(first.by_rate, second.by_rate, rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("net", OF_TORCH)
def test_first_order_is_the_gradient_at_the_adapted_weights(net: str) -> None:
    model, tasks = NETS[net](), draw_tasks()

    general = references.maml(
        model, tasks, classification, constant(model, 3, 0.3), first_order=True
    )
    plain = references.fomaml(model, tasks, classification, 3, 0.3)

    torch.testing.assert_close(general.losses, plain.losses, rtol=1e-12, atol=0)
    torch.testing.assert_close(general.by_weight, plain.by_weight, rtol=1e-10, atol=1e-12)


def test_training_leaves_the_model_alone() -> None:
    model = NETS["convolution"]()
    before = {name: tensor.clone() for name, tensor in model.state_dict().items()}

    references.maml(model, draw_tasks(), classification, constant(model, 2, 0.3))
    references.reptile(model, [s for s, _ in draw_tasks()], classification, 2, 0.3)

    torch.testing.assert_close(dict(model.state_dict()), before, rtol=0, atol=0)
    assert isinstance(model[2], nn.BatchNorm2d)
