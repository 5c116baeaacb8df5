"""What MetaNN 0.3 gets wrong, by the numbers of the findings, is right in metann.compat.metann."""

from __future__ import annotations

import gc
import pickle
import weakref
from itertools import pairwise
from typing import Any

import pytest
import torch
from by_hand import CLOSE, descended
from torch import Tensor, nn

from metann.compat.metann import ProtoModule
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
from metann.errors import ArgumentError, SubstitutionError


def classifier() -> nn.Module:
    return nn.Sequential(nn.Linear(4, 6), nn.BatchNorm1d(6), nn.Tanh(), nn.Linear(6, 3))


def batch() -> tuple[Tensor, Tensor]:
    return torch.randn(5, 4), torch.randint(3, (5,))


def test_T02_what_functional_returned_before_keeps_its_weights() -> None:
    net, (x, _) = classifier(), batch()
    proto = ProtoModule(net)
    one = proto.functional(net.parameters())
    expected = one(x)
    two = proto.functional([2 * p for p in net.parameters()])

    torch.testing.assert_close(one(x), expected, rtol=0, atol=0)
    assert (two(x) - expected).abs().max() > 1e-3


def test_T02_the_models_of_a_multi_model_are_different_ones() -> None:
    net, data = classifier(), batch()
    losses = [evaluator(model, data) for model in [*MAMLpp(net, 3, 3, 0.2)(data)]]

    assert all(a > b for a, b in pairwise(losses))


@pytest.mark.parametrize(
    "made", [GDLearner, lambda steps, lr: RMSPropLearner(lr, steps=steps)], ids=["gd", "rmsprop"]
)
def test_T05_a_multi_model_has_the_statistics_of_each_step(made: Any) -> None:
    net, (x, y), (query, _) = classifier(), batch(), batch()
    x = x + 2.0
    models = made(3, 0.1)(net, (x, y), mimo=True)
    models[3](query)  # Its statistics are its own, each time that it is made.

    for steps in range(4):
        alone = made(steps, 0.1)(net, (x, y))
        found = models[steps]
        assert found[1].num_batches_tracked == steps
        torch.testing.assert_close(
            dict(found.named_buffers()), dict(alone.named_buffers()), rtol=0, atol=0
        )
        torch.testing.assert_close(found.eval()(query), alone.eval()(query), rtol=0, atol=0)
    assert net[1].num_batches_tracked == 0  # type: ignore[index]


def test_buffers_that_are_too_few_are_an_error() -> None:
    net = classifier()
    weights = [[*net.parameters()]] * 2

    with pytest.raises(ArgumentError, match=r"buffers for each of 2 sets of weights, got 1\."):
        MultiModel(ProtoModule(net), weights, [{}])
    without = MultiModel(ProtoModule(net), weights)
    x, _ = batch()
    torch.testing.assert_close(without[-1].eval()(x), net.eval()(x), rtol=0, atol=0)


def test_T03_tied_weights() -> None:
    net = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
    net[2].weight = net[0].weight
    x, y = batch()

    torch.testing.assert_close(ProtoModule(net).functional([*net.parameters()])(x), net(x))
    _, weights = descended(net, [(x, y)] * 3, 0.2)
    adapted = GDLearner(3, 0.2)(net, (x, y))
    assert adapted[0].weight is adapted[2].weight
    torch.testing.assert_close([*adapted.parameters()], [*weights.values()], **CLOSE)


def test_T05_tasks_do_not_see_each_others_statistics() -> None:
    net = classifier()
    before = {name: value.clone() for name, value in net.named_buffers()}
    learner, (x, y) = GDLearner(2, 0.1), batch()

    first = learner(net, (x, y))
    learner(net, (x + 5.0, y))
    again = learner(net, (x, y))

    torch.testing.assert_close(dict(net.named_buffers()), before, rtol=0, atol=0)
    torch.testing.assert_close(dict(first.named_buffers()), dict(again.named_buffers()))
    assert first[1].num_batches_tracked == 2


def test_the_mode_of_the_model_is_left_alone() -> None:
    net = classifier().eval()

    adapted = GDLearner(2, 0.1)(net, batch())

    assert adapted.training
    assert not any(module.training for module in net.modules())


def test_T06_after_vmap_the_module_is_as_before() -> None:
    net, (x, _) = nn.Linear(4, 3), batch()
    proto, expected = ProtoModule(net), net(x)
    weights = [torch.randn(7, *p.shape) for p in net.parameters()]

    found = torch.vmap(lambda *w: proto.functional(w)(x))(*weights)

    torch.testing.assert_close(found, x @ weights[0].mT + weights[1][:, None])
    torch.testing.assert_close(proto.functional(net.parameters())(x), expected)


def test_T07_nothing_is_kept_alive() -> None:
    net, data = classifier(), batch()
    maml = MAML(net, 2, 2, 0.1)
    gc.disable()
    try:
        adapted = maml(data)
        seen = [weakref.ref(p) for p in adapted.parameters()]
        del adapted
        assert [ref() for ref in seen] == [None] * 6
    finally:
        gc.enable()


def test_T08_learners_and_proto_modules_are_pickled() -> None:
    net, (x, y) = classifier(), batch()
    maml, proto = pickle.loads(pickle.dumps((MAML(net, 1, 2, 0.1, evaluator), ProtoModule(net))))

    torch.testing.assert_close(proto(x), net(x))
    found, expected = maml((x, y)), MAML(net, 1, 2, 0.1)((x, y))
    torch.testing.assert_close([*found.parameters()], [*expected.parameters()], **CLOSE)


@pytest.mark.parametrize("kind", [MAML, MAMLpp])
def test_T11_steps_eval_are_taken_in_eval_mode(kind: type[MAML]) -> None:
    net, data = classifier(), batch()
    calls = []

    def counting(model: Any, data: Any) -> Tensor:
        calls.append(model)
        return evaluator(model, data)

    maml = kind(net, 1, 10, 0.01, counting)
    maml(data)
    in_train_mode = len(calls)
    adapted = maml.eval()(data)

    assert (in_train_mode, len(calls)) == (1, 11)
    # As in MetaNN, the copy that is adapted is in train mode, always.
    _, weights = descended(net.train(), [data] * 10, 0.01)
    torch.testing.assert_close([*adapted.parameters()], [*weights.values()], **CLOSE)


class Awkward(nn.Module):
    """No bias, a parameter that is not used, and a frozen one."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(4, 5, bias=False)
        self.unused = nn.Parameter(torch.randn(2))
        self.frozen = nn.Linear(5, 3)
        self.frozen.weight.requires_grad_(False)

    def forward(self, x: Tensor) -> Tensor:
        output: Tensor = self.frozen(self.first(x).tanh())
        return output


@pytest.mark.parametrize(
    "learner", [SequentialGDLearner(0.1), RMSPropLearner(0.1)], ids=["gd", "rmsprop"]
)
@pytest.mark.parametrize("mimo", [False, True])
def test_T12_unused_and_frozen_parameters_stay_as_they_are(learner: Any, mimo: bool) -> None:
    net, data = Awkward(), batch()

    found = learner(net, [data, data], mimo=mimo)

    after = dict((found[-1] if mimo else found).named_parameters())
    kept = [name for name, p in net.named_parameters() if after[name] is p]
    assert kept == ["unused", "frozen.weight"]


def test_T44_rmsprop_has_finite_meta_gradients_where_a_gradient_is_zero() -> None:
    """The bias in front of a batch normalisation has none."""
    net, data = classifier(), batch()
    for centered in (False, True):
        model = RMSPropLearner(0.01, centered=centered)(net, [data, data])
        grads = torch.autograd.grad(evaluator(model, data), [*net.parameters()])

        assert all(torch.isfinite(g).all() for g in grads)
        assert grads[0].abs().max() > 1e-6


def test_T55_without_grad_no_graph_is_kept() -> None:
    net, data = classifier(), batch()
    expected = GDLearner(3, 0.1)(net, data)

    with torch.no_grad():
        adapted = GDLearner(3, 0.1)(net, data)

    assert all(p.is_leaf for p in adapted.parameters())
    torch.testing.assert_close([*adapted.parameters()], [*expected.parameters()], **CLOSE)


def test_T57_a_transformer_is_adapted_to_second_order() -> None:
    net = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)
    x = torch.randn(2, 3, 4)

    adapted = GDLearner(2, 0.1, evaluator=lambda model, x: (model(x) ** 3).mean())(net, x)
    grads = torch.autograd.grad((adapted(x) ** 3).mean(), [*net.parameters()])

    assert all(torch.isfinite(g).all() for g in grads)


def test_a_learned_step_size_gets_its_gradient() -> None:
    net, data, lr = classifier(), batch(), torch.tensor(0.1, requires_grad=True)

    def outer(rate: Any) -> Tensor:
        return evaluator(GDLearner(2, rate)(net, data), data)

    (found,) = torch.autograd.grad(outer(lr), lr)

    expected = (outer(0.1 + 1e-6) - outer(0.1 - 1e-6)) / 2e-6
    torch.testing.assert_close(found, expected.detach(), rtol=1e-5, atol=1e-8)


# ── what makes no sense is an error ──────────────────────────────────────────────────────────


def test_weights_that_do_not_fit() -> None:
    net = nn.Linear(4, 3)
    with pytest.raises(SubstitutionError, match=r"expected 2 tensors.*got 1"):
        ProtoModule(net).functional([torch.randn(3, 4)])


def test_a_loss_that_depends_on_no_weight() -> None:
    learner = GDLearner(1, 0.1, evaluator=lambda model, data: data)
    with pytest.raises(ArgumentError, match=r"depends on no weight that adapts"):
        learner(nn.Linear(4, 3), torch.tensor(1.0))


def test_a_multi_model_is_not_one_model() -> None:
    mimo = MAMLpp(nn.Linear(4, 3), 2, 2, 0.1)(batch())
    assert isinstance(mimo, MultiModel)

    with pytest.raises(NotImplementedError, match=r"a MultiModel is 3 models\. .*multi\[-1\]\(x\)"):
        mimo(batch()[0])
    with pytest.raises(IndexError, match=r"there are 3 models, .*got the index 3"):
        mimo[3]
    with pytest.raises(ArgumentError, match=r"steps must be from 0 to 2, .*got 3"):
        mamlpp_evaluator(mimo, batch(), 3, evaluator)


def test_a_learner_without_a_way_to_learn() -> None:
    with pytest.raises(NotImplementedError, match=r"Learner has no forward_pure\(model, data\)"):
        Learner()(nn.Linear(1, 1), None)
    with pytest.raises(NotImplementedError, match=r"Learner has no forward_inplace\(model, data\)"):
        Learner()(nn.Linear(1, 1), None, inplace=True)
