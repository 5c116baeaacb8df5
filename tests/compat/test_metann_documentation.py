"""What MetaNN 0.3 documents runs on metann.compat.metann, and gives what is written out by hand.

MetaNN 0.3.2 itself does not import on a torch of today (`torch._six`), and its package has the name
of this one, so that the two cannot be installed together.
"""

from __future__ import annotations

import copy
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from by_hand import CLOSE, descended, gradients, loss_at, slope, trained
from torch import Tensor, nn

from metann.compat.metann import DependentModule, ProtoModule, tensor_copy
from metann.compat.metann.meta import (
    MAML,
    GDLearner,
    Learner,
    MAMLpp,
    MultiModel,
    RMSPropLearner,
    SequentialGDLearner,
    mamlpp_evaluator,
)
from metann.compat.metann.meta import default_evaluator_classification as evaluator
from metann.compat.metann.utils import SubDict
from metann.compat.metann.utils.containers import DefaultList, MultipleList

Batch = tuple[Tensor, Tensor]


def classifier() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.Tanh(), nn.Linear(6, 3))


def batch() -> Batch:
    return torch.randn(5, 4), torch.randint(3, (5,))


def batches(count: int) -> list[Batch]:
    return [batch() for _ in range(count)]


def meta_gradient(model: Any, net: nn.Module, data: Batch) -> list[Tensor]:
    return [*torch.autograd.grad(evaluator(model, data), [*net.parameters()])]


# ── README ───────────────────────────────────────────────────────────────────────────────────


def test_a_net_becomes_a_dependent_module() -> None:
    net = torch.nn.Sequential(nn.Linear(10, 100), nn.Linear(100, 5))
    net = DependentModule(net)

    assert str(net).startswith("DependentSequential(\n  (0): DependentLinear(in_features=10")


@pytest.mark.parametrize("first_order", [False, True])
def test_maml(first_order: bool) -> None:
    net, data_train, data_test = classifier(), batch(), batch()
    order = 1 if first_order else 2
    first, weights = descended(net, [data_train] * 5, 0.1, order)
    expected = gradients(loss_at(net, weights, *data_test), first)

    maml = MAML(net, steps_train=5, steps_eval=10, lr=0.1, first_order=first_order)
    output = maml(data_train)
    loss = evaluator(output, data_test)
    loss.backward()

    torch.testing.assert_close([*output.parameters()], [*weights.values()], **CLOSE)
    found = [p.grad for p in net.parameters()]
    torch.testing.assert_close(found, [*expected.values()], **CLOSE)


# ── the API reference ────────────────────────────────────────────────────────────────────────


def test_a_proto_module_calls_the_net_with_other_weights() -> None:
    net, x = classifier(), batch()[0]
    learner = ProtoModule(net)
    outputs = learner.functional(net.parameters(), training=True)(x)

    torch.testing.assert_close(outputs, net(x), rtol=0, atol=0)
    torch.testing.assert_close(learner(x), net(x), rtol=0, atol=0)
    assert [name for name, _ in learner.named_parameters()] == [
        n for n, _ in net.named_parameters()
    ]
    halved = learner.functional([0.5 * p for p in net.parameters()])
    expected = copy.deepcopy(net)
    for p in expected.parameters():
        p.data.mul_(0.5)
    torch.testing.assert_close(halved(x), expected(x), rtol=0, atol=0)


def test_the_mode_is_that_which_is_asked_or_that_of_the_proto_module() -> None:
    net = classifier().eval()
    proto = ProtoModule(net)

    modes = [proto.functional(net.parameters(), mode).training for mode in (True, False, None)]
    proto.eval()

    assert modes == [True, False, True]
    assert not proto.functional(net.parameters()).training


def test_gradient_descent_on_the_same_data() -> None:
    net, data, query = classifier(), batch(), batch()
    first, weights = descended(net, [data] * 3, 0.2)
    expected = gradients(loss_at(net, weights, *query), first)

    model = GDLearner(steps=3, lr=0.2)(net, data)

    torch.testing.assert_close([*model.parameters()], [*weights.values()], **CLOSE)
    torch.testing.assert_close(meta_gradient(model, net, query), [*expected.values()], **CLOSE)


def test_gradient_descent_from_batch_to_batch_with_momentum() -> None:
    net, data, query = classifier(), batches(3), batch()
    first = {name: p.detach().clone().requires_grad_() for name, p in net.named_parameters()}
    weights, velocity = first, dict.fromkeys(first, 0.0)
    for x, y in data:
        grads = gradients(2 * loss_at(net, weights, x, y), weights)
        velocity = {n: g + 0.7 * velocity[n] for n, g in grads.items()}  # type: ignore[misc]
        weights = {n: w - 0.1 * velocity[n] for n, w in weights.items()}
    expected = gradients(loss_at(net, weights, *query), first)

    def twice(model: Any, data: Batch) -> Tensor:
        return 2 * evaluator(model, data)

    model = SequentialGDLearner(0.1, momentum=0.7)(net, data, evaluator=twice)

    torch.testing.assert_close([*model.parameters()], [*weights.values()], **CLOSE)
    torch.testing.assert_close(meta_gradient(model, net, query), [*expected.values()], **CLOSE)


RMSPROPS: dict[str, dict[str, Any]] = {
    "plain": {"lr": 0.02, "alpha": 0.9, "eps": 1e-3},
    "centered": {"lr": 0.02, "eps": 1e-3, "centered": True},
}


@pytest.mark.parametrize("settings", RMSPROPS.values(), ids=RMSPROPS)
def test_rmsprop_from_batch_to_batch(settings: dict[str, Any]) -> None:
    net, data, query = classifier(), batches(3), batch()
    losses: list[Any] = [lambda model, data=each: evaluator(model, data) for each in data]
    along = [torch.randn_like(p) for p in net.parameters()]

    def after(model: nn.Module) -> nn.Module:
        make = torch.optim.RMSprop
        return trained(model, lambda m: make(m.parameters(), **settings), losses)

    model = RMSPropLearner(**settings)(net, data)
    grads = meta_gradient(model, net, query)

    torch.testing.assert_close([*model.parameters()], [*after(net).parameters()], **CLOSE)
    found = sum((g * d).sum() for g, d in zip(grads, along, strict=True))
    expected = slope(lambda m: evaluator(after(m), query), net, along)
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-7)


def test_rmsprop_takes_many_steps_on_the_same_data_if_asked() -> None:
    net, data = classifier(), batch()

    many = RMSPropLearner(steps=3)(net, data)
    batchwise = RMSPropLearner()(net, [data] * 3)

    torch.testing.assert_close([*many.parameters()], [*batchwise.parameters()], rtol=0, atol=0)


INPLACE: dict[str, tuple[Any, Any]] = {
    "gd": (lambda: GDLearner(2, 0.1), lambda p: torch.optim.SGD(p, 0.1)),
    "sequential": (
        lambda: SequentialGDLearner(0.1),
        lambda p: torch.optim.SGD(p, 0.1, momentum=0.5),
    ),
    "rmsprop": (
        lambda: RMSPropLearner(0.1, 0.9, centered=True),
        lambda p: torch.optim.RMSprop(p, 0.1, 0.9, centered=True),
    ),
}


@pytest.mark.parametrize("name", INPLACE)
def test_the_model_itself_is_trained_in_place(name: str) -> None:
    make, torchs = INPLACE[name]
    net, data = classifier(), batches(2)
    used = [data[0]] * 2 if name == "gd" else data
    losses: list[Any] = [lambda model, data=each: evaluator(model, data) for each in used]
    expected = trained(net, lambda m: torchs(m.parameters()), losses)

    given = data[0] if name == "gd" else data
    found = make()(net, given, inplace=True)

    assert found is net
    torch.testing.assert_close([*net.parameters()], [*expected.parameters()], **CLOSE)


def test_mamlpp_gives_a_model_for_each_step_and_its_evaluator_weighs_them() -> None:
    net, data, query = classifier(), batch(), batch()
    losses = []
    for steps in range(4):
        _, weights = descended(net, [data] * steps, 0.2)
        losses.append(loss_at(net, weights, *query))
    total = sum(0.6 ** (3 - step) * loss for step, loss in enumerate(losses))

    mimo = MAMLpp(net, 3, 5, 0.2)(data)
    found, last = mamlpp_evaluator(mimo, query, 3, evaluator)

    assert isinstance(mimo, MultiModel)
    assert len(mimo) == 4
    torch.testing.assert_close([found, last], [total, losses[-1]], **CLOSE)
    torch.testing.assert_close([evaluator(model, query) for model in mimo], losses, **CLOSE)
    torch.testing.assert_close(evaluator(mimo[-1], query), losses[-1], **CLOSE)


def test_a_sum_of_losses_is_differentiated() -> None:
    net, data, query = classifier(), batch(), batch()
    along = [torch.randn_like(p) for p in net.parameters()]

    def total(model: nn.Module) -> Tensor:
        mimo = MAMLpp(model, 2, 2, 0.2)(data)
        return mamlpp_evaluator(mimo, query, 2, evaluator, gamma=0.3)[0]

    grads = torch.autograd.grad(total(net), [*net.parameters()])
    found = sum((g * d).sum() for g, d in zip(grads, along, strict=True))

    torch.testing.assert_close(found, slope(total, net, along), rtol=1e-5, atol=1e-7)


def test_a_learner_of_ones_own() -> None:
    class Halving(Learner):
        def forward_pure(self, model: nn.Module, data: float) -> Any:
            return ProtoModule(model).functional([data * p for p in model.parameters()])

        def forward_inplace(self, model: nn.Module, data: float) -> Any:
            with torch.no_grad():
                for p in model.parameters():
                    p.mul_(data)
            return model

    net = classifier()
    expected = [0.5 * p.detach() for p in net.parameters()]

    torch.testing.assert_close([*Halving()(net, 0.5).parameters()], expected, **CLOSE)
    assert Halving()(net, 0.5, inplace=True) is net
    torch.testing.assert_close([p.data for p in net.parameters()], expected, **CLOSE)


def test_tensors_are_copied_within_their_graph() -> None:
    a, b = torch.randn(3, requires_grad=True), torch.randn(2, requires_grad=True)

    copied = tensor_copy([a, [b, None]])

    assert isinstance(copied, MultipleList)
    assert copied[1][1] is None
    assert copied[0] is not a
    grads = torch.autograd.grad((copied[0] ** 2).sum() + (copied[1][0] ** 2).sum(), [a, b])
    torch.testing.assert_close(grads, (2 * a, 2 * b))
    assert tensor_copy(None) is None


def test_a_list_without_end() -> None:
    made = iter(range(100))
    states = DefaultList(lambda: next(made), fill=[7, 8])

    assert [value for value, _ in zip(states, "abcd", strict=False)] == [7, 8, 0, 1]
    states[9] = 5
    states.fill([1])
    assert (states[0], states[1], states[9]) == (1, 8, 5)
    assert DefaultList()[3] is None
    with pytest.raises(KeyError, match=r"the items have the indices 0, 1, 2, …, got -1"):
        states[-1]


def test_a_list_with_many_indices_at_once() -> None:
    items = [10, 11, 12]
    several = MultipleList(items)

    several[[0, 2]] = [20, 22]
    several[1] = 21

    assert items == [20, 21, 22] == [*several]
    assert several[[2, 0]] == [22, 20]
    assert (several[-1], len(several)) == (22, 3)
    with pytest.raises(ValueError, match=r"got 2 indices and 1 values\. Nothing was changed"):
        several[[0, 1]] = [1]
    assert items == [20, 21, 22]


def test_some_keys_of_a_dict() -> None:
    sub_dict = SubDict({"a": 1, "b": 2, "c": 3}, keys=["a", "b"])

    assert dict(sub_dict) == {"a": 1, "b": 2}


def test_the_loss_may_be_another() -> None:
    logits, y = torch.randn(5, 3), torch.randint(3, (5,))

    found = evaluator(lambda x: 2 * x, (logits, y), nn.CrossEntropyLoss(reduction="sum"))

    torch.testing.assert_close(found, F.cross_entropy(2 * logits, y, reduction="sum"))
