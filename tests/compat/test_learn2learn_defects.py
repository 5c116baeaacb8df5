"""What is wrong in learn2learn is right in metann.compat.learn2learn; by the number of findings."""

from __future__ import annotations

import copy
import gc
import weakref
from collections.abc import Callable
from typing import Any

import learn2learn_snippets as snippets
import pytest
import torch
import torch.nn.functional as F
from by_hand import CLOSE, descended, loss_at, require_slope, slope, trained
from models_of_many import Encoder
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import metann.compat.learn2learn as l2l
import metann.optim
from metann import Learner
from metann.errors import CompatError

MAML, MetaSGD = l2l.algorithms.MAML, l2l.algorithms.MetaSGD


def adapted_loss(learner: Any, data: Any, steps: int = 2) -> Tensor:
    """The loss on the last batch of a clone that has adapted to the first."""
    clone = learner.clone()
    for _ in range(steps):
        clone.adapt(F.cross_entropy(clone(data[0][0]), data[0][1]))
    return F.cross_entropy(clone(data[-1][0]), data[-1][1])


def expected_gradients(model: nn.Module, data: Any, steps: int = 2) -> list[Tensor]:
    first, weights = descended(model, [data[0]] * steps, 0.1)
    return [*torch.autograd.grad(loss_at(model, weights, *data[-1]), [*first.values()])]


def test_T50_running_statistics_of_the_original_stay() -> None:
    model, data = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2)), snippets.batches()
    before = copy.deepcopy(model.state_dict())
    clone = MAML(model, lr=0.1).clone()

    clone.adapt(F.cross_entropy(clone(data[0][0]), data[0][1]))
    clone(data[1][0])

    torch.testing.assert_close(model.state_dict(), before, rtol=0, atol=0)
    assert clone.module[1].num_batches_tracked == 2


def test_T51_a_hook_on_a_clone_is_not_the_originals() -> None:
    model, seen = snippets.small_net(), []
    model[1].register_forward_hook(lambda *args: seen.append("own"))  # type: ignore[index]
    maml = MAML(model, lr=0.1)
    clone = maml.clone()
    clone.module[0].register_forward_hook(lambda *args: seen.append("clone"))
    x = torch.randn(2, 3)

    maml(x)
    assert seen == ["own"]
    clone(x)
    assert seen == ["own", "clone", "own"]


class PartlyUsed(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.used, self.spare = nn.Linear(3, 2), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.used(x)


def test_T52_unused_and_frozen_weights_are_named_or_left_alone() -> None:
    model, data = PartlyUsed(), snippets.batches()
    message = r"does not depend on these weights: spare\.weight, spare\.bias\. .* allow_unused=True"
    for learner in (MAML(model, lr=0.1), MetaSGD(model, lr=0.1)):
        with pytest.raises(CompatError, match=message):
            adapted_loss(learner, data)
    loss = adapted_loss(MAML(model, lr=0.1, allow_unused=True), data)
    loss.backward()
    assert [p.grad is None for p in model.parameters()] == [False, False, True, True]

    model.spare.requires_grad_(False)
    with pytest.raises(CompatError, match=r"require a gradient: spare\.weight, spare\.bias\. .*no"):
        adapted_loss(MAML(model, lr=0.1), data)
    torch.testing.assert_close(adapted_loss(MAML(model, lr=0.1, allow_nograd=True), data), loss)


def test_a_loss_of_another_model_is_told() -> None:
    model, (x, y) = snippets.small_net(), snippets.batches(1)[0]
    maml = MAML(model, lr=0.1, allow_unused=True)

    with pytest.raises(CompatError, match=r"depends on none of the weights .* very clone"):
        maml.clone().adapt(F.cross_entropy(maml(x), y))


def test_T53_another_inner_optimizer() -> None:
    model, data = snippets.small_net(), snippets.batches()
    made = MAML(model, lr=0.1, optimizer=metann.optim.Adam(0.05))
    copied = copy.deepcopy(model)
    opt = torch.optim.Adam(copied.parameters(), lr=0.05)
    for _ in range(2):
        opt.zero_grad()
        F.cross_entropy(copied(data[0][0]), data[0][1]).backward()
        opt.step()

    loss = adapted_loss(made, data)

    torch.testing.assert_close(loss, F.cross_entropy(copied(data[1][0]), data[1][1]), **CLOSE)


def test_T54_shared_modules_and_tied_weights() -> None:
    class Shared(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a = nn.Linear(3, 3)
            self.b, self.tied = self.a, nn.Linear(3, 3)
            self.tied.weight = self.a.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.tied(self.b(self.a(x).tanh()).tanh())

    model, data = Shared(), [(torch.randn(4, 3), torch.randint(3, (4,))) for _ in range(2)]
    losses = [lambda net: F.cross_entropy(net(data[0][0]), data[0][1])] * 2
    along = [torch.randn_like(p) for p in model.parameters()]

    def plain(net: nn.Module) -> Tensor:  # torch.func cannot be the reference: it tears this net.
        made = trained(net, lambda net: torch.optim.SGD(net.parameters(), lr=0.1), losses)
        return F.cross_entropy(made(data[1][0]), data[1][1])

    expected = slope(plain, model, along)
    for learner in (MAML(model, lr=0.1), MetaSGD(model, lr=0.1)):
        clone = learner.clone()
        assert clone.module.a is clone.module.b
        assert [n for n, _ in clone.module.named_parameters()] == [
            n for n, _ in model.named_parameters()
        ]
        loss = adapted_loss(learner, data)
        grads = torch.autograd.grad(loss, [*model.parameters()])
        found = sum((g * v).sum() for g, v in zip(grads, along, strict=True))
        torch.testing.assert_close(found, expected, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("first_order", [False, True])
def test_T55_nothing_is_left_of_a_task(first_order: bool) -> None:
    maml, data = MAML(snippets.small_net(), lr=0.1, first_order=first_order), snippets.batches()
    alive: list[weakref.ref[Any]] = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            clone = maml.clone()
            hidden = clone[0](data[0][0])
            loss = F.cross_entropy(clone(data[0][0]), data[0][1]) + hidden.sum()
            clone.adapt(loss)
            alive += map(weakref.ref, (hidden, loss, clone, clone.module, *clone.parameters()))
            del hidden, loss
            if first_order:  # Not even while the clone is there.
                assert [ref() for ref in alive[-8:-6]] == [None, None]
            del clone
    finally:
        gc.enable()

    assert [ref for ref in alive if ref() is not None] == []


def test_T56_a_learner_is_used_like_its_model() -> None:
    model = snippets.small_net()
    maml = MAML(model, lr=0.1)
    clone = maml.clone()

    assert maml[0] is model[0]  # type: ignore[index]
    assert (len(maml), len([*clone])) == (3, 3)
    assert maml.eval().training is False
    assert maml.clone().training is False
    assert [*maml.state_dict()] == ["module." + name for name in model.state_dict()]
    assert [name for name, _ in clone.named_parameters()] == [*maml.state_dict()]
    assert [*clone.named_buffers()] == []
    snippets.small_net().load_state_dict(clone.module.state_dict())
    with pytest.raises(AttributeError, match=r"no attribute 'absent'"):
        _ = maml.absent


def test_T57_a_transformer_to_second_order() -> None:
    model, data = Encoder(), [(torch.randn(3, 5, 4), torch.randint(4, (3,)))] * 2

    def run(changed: nn.Module) -> Tensor:
        return adapted_loss(MAML(changed, lr=0.1), data)

    require_slope(run, model, rtol=1e-5, atol=1e-9)


def test_T58_attributes_that_cannot_be_copied() -> None:
    class Holds(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.items = nn.Linear(3, 2), iter(range(3))

        def forward(self, x: Tensor) -> Tensor:
            return self.linear(x)

    model, data = Holds(), snippets.batches()
    expected = expected_gradients(model, data)

    found = torch.autograd.grad(adapted_loss(MAML(model, lr=0.1), data), [*model.parameters()])

    torch.testing.assert_close([*found], expected, **CLOSE)


WAYS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "a call": lambda clone, x: clone(x),
    "forward": lambda clone, x: clone.forward(x),
    "a method": lambda clone, x: bound(clone).encode(x),
}


def bound(clone: Any) -> Any:
    return Learner(clone.module).bind([*clone.module.parameters()])


@pytest.mark.parametrize("way", WAYS)
def test_T83_activation_checkpointing_inside_the_model(way: str) -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = snippets.small_net()

        def forward(self, x: Tensor) -> Tensor:
            return checkpoint(self.net, x, use_reentrant=False)

        def encode(self, x: Tensor) -> Tensor:
            return checkpoint(self.net, x, use_reentrant=False)

    model, data = Checkpointed(), snippets.batches()
    expected = expected_gradients(model.net, data)
    clone = MAML(model, lr=0.1).clone()

    for _ in range(2):
        clone.adapt(F.cross_entropy(WAYS[way](clone, data[0][0]), data[0][1]))
    loss = F.cross_entropy(WAYS[way](clone, data[1][0]), data[1][1])
    found = torch.autograd.grad(loss, [*model.parameters()])

    torch.testing.assert_close([*found], expected, **CLOSE)


def test_updates_that_adapt_to_first_order() -> None:
    model, (x, y) = snippets.small_net(), snippets.batches(1)[0]
    made = l2l.algorithms.GBML(
        model, snippets.scaled, lr=0.1, adapt_transform=True, first_order=True
    )
    clone, start = made.clone(), [rate.detach() for rate in made.compute_update.parameters()]
    weights = {name: p.detach().clone().requires_grad_() for name, p in model.named_parameters()}
    before: dict[str, Tensor] = {}
    for _ in range(2):
        clone.adapt(F.cross_entropy(clone(x), y))
        loss = loss_at(model, weights, x, y)
        grads = dict(zip(weights, torch.autograd.grad(loss, [*weights.values()]), strict=True))
        # The loss by a rate, through the last step: - lr * (last gradient) * (this gradient).
        slopes = {name: -0.1 * before[name] * grads[name] for name in before}
        rates = {
            name: rate - 0.1 * slopes[name] if slopes else rate
            for name, rate in zip(weights, start, strict=True)
        }
        weights = {
            name: (p - 0.1 * rates[name] * grads[name]).detach().requires_grad_()
            for name, p in weights.items()
        }
        before = grads

    found = [p.detach() for p in clone.module.parameters()]
    torch.testing.assert_close(found, [p.detach() for p in weights.values()], **CLOSE)


def test_a_learned_rate_and_a_clone_of_a_clone() -> None:
    model, data = snippets.small_net(), snippets.batches()
    rate = nn.Parameter(torch.tensor([0.1]))
    first, weights = descended(model, [data[0]] * 2, rate)
    expected = torch.autograd.grad(loss_at(model, weights, *data[1]), [rate, *first.values()])

    found = torch.autograd.grad(
        adapted_loss(MAML(model, lr=rate).clone(), data), [rate, *model.parameters()]
    )

    torch.testing.assert_close([*found], [*expected], **CLOSE)


def test_T07_a_module_that_is_updated_itself_becomes_its_counterpart() -> None:
    model, x = snippets.small_net(), torch.randn(4, 3)
    before = [*model.parameters()]

    same = l2l.update_module(model, updates=[-0.5 * p for p in before])

    assert same is model
    torch.testing.assert_close([*model.parameters()], [0.5 * p for p in before])
    assert all(p.grad_fn is not None for p in model.parameters())
    model(x).sum().backward()
    assert all(p.grad is not None for p in before)


def test_a_memo_ties_the_clones_of_two_modules() -> None:
    one, other = nn.Linear(3, 3), nn.Linear(3, 3)
    other.weight = one.weight
    memo: dict[Tensor, Tensor] = {}

    clones = [l2l.clone_module(module, memo) for module in (one, other)]

    assert clones[0].weight is clones[1].weight
    assert clones[0].bias is not clones[1].bias


def test_errors_of_what_does_not_fit() -> None:
    clone = l2l.clone_module(snippets.small_net())
    with pytest.raises(CompatError, match=r"each of the 4 weights, got 1\. .*: 0\.weight, 0\.bias"):
        l2l.update_module(clone, updates=[torch.zeros(4, 3)])
    with pytest.raises(CompatError, match=r"got 1 rates and 2 gradients\. Give one of each"):
        l2l.algorithms.meta_sgd_update(clone, [torch.ones(1)], [None, None])
    with pytest.raises(CompatError, match=r"must make a module or None for a parameter, got 3\."):
        l2l.optim.ParameterUpdate(clone.parameters(), lambda param: 3)  # type: ignore[arg-type]
