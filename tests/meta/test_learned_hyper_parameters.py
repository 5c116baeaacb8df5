"""Learned hyper-parameters are those that the module holds, however they came there."""

from __future__ import annotations

import copy

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F
from torch.nn.utils import parametrize

from metann import optim
from metann.meta import IMAML, MAML, MAMLPlusPlus, MetaSGD, TaskLosses

Data = tuple[Tensor, Tensor]


def evaluator(model: nn.Module, data: Data) -> Tensor:
    return F.mse_loss(model(data[0]), data[1])


def net() -> nn.Sequential:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


def data() -> Data:
    return torch.randn(3, 5, 3), torch.randn(3, 5, 2)


def rate(value: float = 0.1) -> nn.Parameter:
    return nn.Parameter(torch.tensor(value))


def clipped() -> optim.Optimizer:
    return optim.transformed(optim.Adam(lr=rate()), optim.clip_by_norm(rate(0.5)))


MAKE = {
    "lr": lambda: MAML(net(), 2, 2, rate(), evaluator),
    "a rate a parameter and step": lambda: MAMLPlusPlus(net(), 2, 2, 0.1, evaluator),
    "a rate a weight": lambda: MetaSGD(net(), 2, 2, 0.1, evaluator),
    "clipping": lambda: MAML(net(), 2, 2, None, evaluator, optimizer=clipped()),
    "strength": lambda: IMAML(net(), 60, 60, 0.2, evaluator, strength=rate(2.0)),
}


def meta_gradients(maml: MAML[Data], support: Data, query: Data) -> dict[str, Tensor]:
    maml.zero_grad()
    maml.task_losses(support, query).sum().backward()
    return {name: parameter.grad for name, parameter in maml.named_parameters()}


@pytest.mark.parametrize("kind", MAKE)
def test_they_are_those_of_a_state_dict_that_was_assigned(kind: str) -> None:
    maml, support, query = MAKE[kind](), data(), data()
    state = {name: 1.1 * value for name, value in maml.state_dict().items()}
    expected = copy.deepcopy(maml)
    expected.load_state_dict(state)

    maml.load_state_dict(state, assign=True)

    found = meta_gradients(maml, support, query)
    wanted = meta_gradients(expected, support, query)
    assert all(gradient.abs().max() > 0 for gradient in found.values())
    torch.testing.assert_close(found, wanted)


@pytest.mark.parametrize("kind", [kind for kind in MAKE if kind != "strength"])
def test_they_are_those_of_a_functional_call(kind: str) -> None:
    maml, support, query = MAKE[kind](), data(), data()
    objective = TaskLosses(maml)
    params = {name: p.detach().clone() for name, p in objective.named_parameters()}
    wanted = meta_gradients(maml, support, query)

    def total(params: dict[str, Tensor]) -> Tensor:
        return torch.func.functional_call(objective, params, (support, query)).sum()

    found = {name: p.requires_grad_() for name, p in params.items()}
    gradients = torch.autograd.grad(total(found), [*found.values()])
    torch.testing.assert_close(gradients, (*wanted.values(),))


def test_a_parametrization_keeps_a_rate_positive() -> None:
    maml, support, query = MAML(net(), 2, 2, rate(-1.0), evaluator), data(), data()
    parametrize.register_parametrization(maml.hyper_parameters, "lr", nn.Softplus())
    value = F.softplus(torch.tensor(-1.0)).item()
    expected = MAML(maml.model, 2, 2, value, evaluator)

    torch.testing.assert_close(
        maml.task_losses(support, query), expected.task_losses(support, query)
    )


def test_another_optimizer_is_learned_from_then_on() -> None:
    maml, support, query = MAML(net(), 2, 2, rate(), evaluator), data(), data()

    maml.optimizer = optim.SGD(lr=[0.1, rate(0.3), 0.1, 0.1])

    assert [name for name, _ in maml.named_parameters() if "hyper" in name] == [
        "hyper_parameters.lr_1"
    ]
    assert meta_gradients(maml, support, query)["hyper_parameters.lr_1"].abs() > 0


class Scaling(nn.Module):
    """A learned transform of gradients, with a buffer."""

    def __init__(self) -> None:
        super().__init__()
        self.factor = nn.Parameter(torch.tensor(0.5))
        self.register_buffer("bound", torch.tensor(1.0))

    def forward(self, gradients: list[Tensor | None]) -> list[Tensor | None]:
        return [
            None if g is None else self.factor * g.clamp(-self.bound, self.bound) for g in gradients
        ]


def test_a_module_that_transforms_gradients_is_part_of_the_module() -> None:
    optimizer = optim.transformed(optim.SGD(lr=0.1), Scaling())
    maml, support, query = MAML(net(), 2, 2, None, evaluator, optimizer=optimizer), data(), data()

    gradients = meta_gradients(maml, support, query)

    assert gradients["hyper_modules.0.factor"].abs() > 0
    assert "hyper_modules.0.bound" in maml.state_dict()
    assert maml.float().optimizer.transforms[0].bound.dtype is torch.float32
