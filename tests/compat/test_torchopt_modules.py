"""`MetaOptimizer` in a module of the user's: what TorchOpt gets wrong there, and what stays."""

from __future__ import annotations

import copy
import gc
import warnings
import weakref
from collections.abc import Callable
from typing import Any

import pytest
import torch
from by_hand import CLOSE, slope, trained
from torch import Tensor, nn
from torchopt_snippets import OPTIMIZERS, data, small_net

import metann.compat.torchopt as torchopt
from metann import DependentModule, Learner
from metann.errors import ArgumentError, ConversionError, HistoryWarning, OptimizerError

every_optimizer = pytest.mark.parametrize("name", OPTIMIZERS)


def made(name: str, net: nn.Module) -> torchopt.MetaOptimizer:
    kind, settings = OPTIMIZERS[name]
    optimizer: torchopt.MetaOptimizer = getattr(torchopt, kind)(net, **settings)
    return optimizer


def squares(net: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    return net(x).square().mean()


class Tied(nn.Module):
    """A language model in small: the embedding is the output layer, too."""

    def __init__(self) -> None:
        super().__init__()
        self.embedding = nn.Embedding(5, 3)
        self.output = nn.Linear(3, 5, bias=False)
        self.output.weight = self.embedding.weight

    def forward(self, tokens: Tensor) -> Tensor:
        logits: Tensor = self.output(self.embedding(tokens))
        return logits


def test_T40_tied_weights_stay_tied_for_three_steps() -> None:
    net, tokens = Tied(), torch.tensor([0, 3, 3, 1])
    sgd = torch.optim.SGD
    expected = trained(
        net, lambda m: sgd(m.parameters(), lr=0.1), [lambda m: squares(m, tokens)] * 3
    )
    optimizer = torchopt.MetaSGD(net, lr=0.1)

    for _ in range(3):
        optimizer.step(squares(net, tokens))

    assert net.embedding.weight is net.output.weight
    assert len([*net.parameters()]) == 1
    torch.testing.assert_close(net.embedding.weight, expected.embedding.weight.data, **CLOSE)


def test_T12_frozen_and_unused_parameters_stay_as_they_are() -> None:
    net = nn.ModuleDict({"used": small_net(), "unused": nn.Linear(2, 2)})
    net["used"][0].weight.requires_grad_(False)  # type: ignore[index]
    before = dict(net.named_parameters())
    optimizer = torchopt.MetaAdam(net, lr=0.1)

    for _ in range(2):
        optimizer.step(squares(net["used"], data()[0]))

    after = dict(net.named_parameters())
    assert [*after] == [*before]
    kept = [name for name in before if after[name] is before[name]]
    assert kept == ["used.0.weight", "unused.weight", "unused.bias"]
    assert not after["used.0.weight"].requires_grad


def test_T41_an_error_in_a_step_leaves_the_module_as_it_was() -> None:
    net, x = small_net(), data()[0]
    optimizer = torchopt.MetaOptimizer(
        net, torchopt.chain(torchopt.clip_grad_norm(1.0, error_if_nonfinite=True), torchopt.adam())
    )
    optimizer.step(squares(net, x))
    before, state = [*net.parameters()], optimizer.state_dict()

    with pytest.raises(OptimizerError, match=r"gradients of parameters \[0, 2\] are not finite"):
        optimizer.step((net[0].weight.sum() + net[2].weight.sum()) / torch.tensor(0.0))  # type: ignore[index, operator]

    assert all(a is b for a, b in zip(net.parameters(), before, strict=True))
    assert optimizer.state_dict()[0] is state[0]


@every_optimizer
def test_T42_a_step_without_grad_keeps_no_graph(name: str) -> None:
    net, x = small_net(), data()[0]
    expected = copy.deepcopy(net)
    with_graph = made(name, expected)
    optimizer = made(name, net)

    seen: list[weakref.ref[Tensor]] = []
    for _ in range(3):
        with_graph.step(squares(expected, x))
        loss = squares(net, x)
        with torch.no_grad():
            optimizer.step(loss)
        seen.append(weakref.ref(next(net.parameters())))
    del loss

    assert [ref() is None for ref in seen] == [True, True, False]
    assert all(p.is_leaf and p.requires_grad for p in net.parameters())
    torch.testing.assert_close([*net.parameters()], [*expected.parameters()], **CLOSE)


@pytest.mark.parametrize("name", ["momentum", "adam", "rmsprop", "adagrad", "adadelta"])
def test_T43_a_second_outer_iteration_goes_backward(name: str) -> None:
    net, x = small_net(), data()[0]
    optimizer = made(name, net)
    states = torchopt.extract_state_dict(net), torchopt.extract_state_dict(optimizer)

    found = []
    for _ in range(2):
        for _ in range(2):
            optimizer.step(squares(net, x))
        squares(net, x).backward()
        torchopt.recover_state_dict(net, states[0])
        torchopt.recover_state_dict(optimizer, states[1])
        found.append([p.grad.clone() for p in net.parameters() if p.grad is not None])
        net.zero_grad()

    assert len(found[0]) == 4
    torch.testing.assert_close(found[0], found[1], rtol=0, atol=0)


def test_T43_a_state_that_leads_back_into_an_earlier_loop_is_warned_of() -> None:
    net, x = small_net(), data()[0]
    optimizer = torchopt.MetaAdam(net)
    state = torchopt.extract_state_dict(net)
    optimizer.step(squares(net, x))
    squares(net, x).backward()
    torchopt.recover_state_dict(net, state)

    with pytest.warns(HistoryWarning, match=r"remembers leads back into an earlier one"):
        optimizer.step(squares(net, x))
    with pytest.raises(RuntimeError, match=r"backward through the graph a second time"):
        squares(net, x).backward()


def test_T44_meta_gradients_are_finite_where_a_gradient_is_zero() -> None:
    """Behind a ReLU that is dead the gradients are exactly zero, and so are second moments."""
    for name in ("adam", "adamw", "rmsprop", "rmsprop centered", "adadelta", "adamax", "radam"):
        net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
        with torch.no_grad():
            net[0].bias[1] = -100.0
        first, x = [*net.parameters()], data()[0]
        optimizer = made(name, net)
        for _ in range(2):
            optimizer.step(squares(net, x))
        grads = torch.autograd.grad(squares(net, x), first)
        assert all(torch.isfinite(g).all() for g in grads), name
        assert any(g.abs().sum() > 0 for g in grads), name

    net = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 1))
    with torch.no_grad():
        net[0].bias[1] = -100.0
    optimizer, first = torchopt.MetaAdaGrad(net), [*net.parameters()]
    optimizer.step(squares(net, x))
    assert all(torch.isfinite(g).all() for g in torch.autograd.grad(squares(net, x), first))


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU])
def test_T25_the_fast_weights_of_a_recurrent_layer_are_used(kind: type[nn.LSTM]) -> None:
    net, x = kind(2, 3), torch.randn(4, 1, 2)
    along = [torch.randn_like(p) for p in net.parameters()]

    def loss(model: nn.Module) -> Tensor:
        outputs: Tensor = model(x)[0]
        return outputs.square().mean()

    sgd = torch.optim.SGD

    def outer(model: nn.Module) -> Tensor:
        return loss(trained(model, lambda m: sgd(m.parameters(), lr=0.5), [loss] * 2))

    expected = slope(outer, copy.deepcopy(net), along)
    first = [*net.parameters()]
    optimizer = torchopt.MetaSGD(net, lr=0.5)
    for _ in range(2):
        optimizer.step(loss(net))
    grads = torch.autograd.grad(loss(net), first)

    found = sum((g * d).sum() for g, d in zip(grads, along, strict=True))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)


def test_T57_a_transformer_is_meta_trained_to_second_order() -> None:
    net = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True)
    x, first = torch.randn(2, 3, 4), [*net.parameters()]
    along = [torch.randn_like(p) for p in first]
    sgd = torch.optim.SGD
    loss = lambda model: (model(x) ** 3).mean()  # noqa: E731

    def outer(model: nn.Module) -> Tensor:
        return loss(trained(model, lambda m: sgd(m.parameters(), lr=0.1), [loss]))  # type: ignore[no-any-return]

    expected = slope(outer, copy.deepcopy(net), along)
    optimizer = torchopt.MetaSGD(net, lr=0.1)
    optimizer.step(loss(net))
    grads = torch.autograd.grad(loss(net), first)

    found = sum((g * d).sum() for g, d in zip(grads, along, strict=True))
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)


def test_parameters_and_state_dict_keep_their_names_and_order() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 1, bias=False))
    before = [name for name, _ in net.named_parameters()], [*net.state_dict()]
    optimizer = torchopt.MetaSGD(net, lr=0.1)
    state = torchopt.extract_state_dict(net)

    optimizer.step(squares(net, data()[0]))
    during = [name for name, _ in net.named_parameters()], [*net.state_dict()]
    torchopt.recover_state_dict(net, state)
    after = [name for name, _ in net.named_parameters()], [*net.state_dict()]

    assert before == during == after


def test_the_module_is_that_of_before_once_it_is_recovered() -> None:
    net, x = small_net(), data()[0]
    first = [*net.parameters()]
    optimizer = torchopt.MetaSGD(net, lr=0.1)
    state = torchopt.extract_state_dict(net)
    for _ in range(2):
        optimizer.step(squares(net, x))
        assert isinstance(net, DependentModule)
        assert len([*net.named_dependents()]) == 4
        torchopt.recover_state_dict(net, state)

    assert all(a is b for a, b in zip(net.parameters(), first, strict=True))
    assert [*net.named_dependents()] == []
    net.to(torch.float32)  # Which would make results of dependents.
    assert all(p.is_leaf and p.dtype == torch.float32 for p in first)


def test_a_learner_made_before_sees_the_fast_weights() -> None:
    net, x = small_net(), data()[0]
    learner = Learner(net)
    torchopt.MetaSGD(net, lr=0.1).step(squares(net, x))

    torch.testing.assert_close(learner.functional(net.parameters(), True, x), net(x))


def test_several_modules_are_adapted_together() -> None:
    body, head, x = nn.Linear(3, 4), nn.Linear(4, 1), data()[0]
    whole = nn.Sequential(copy.deepcopy(body), nn.Tanh(), copy.deepcopy(head))
    optimizer = torchopt.MetaAdam(body, lr=0.1)
    optimizer.add_param_group(head)
    together = torchopt.MetaAdam(whole, lr=0.1)
    for _ in range(2):
        optimizer.step(squares(lambda x: head(torch.tanh(body(x))), x))
        together.step(squares(whole, x))

    found = [*body.parameters(), *head.parameters()]
    torch.testing.assert_close(found, [*whole.parameters()], **CLOSE)
    assert len(optimizer.state_dict()) == 2
    with pytest.raises(OptimizerError, match=r"of 1 modules, but the optimizer has 2"):
        optimizer.load_state_dict(together.state_dict())


def test_a_loss_of_other_weights_is_an_error() -> None:
    net, x = small_net(), data()[0]
    optimizer, state = torchopt.MetaSGD(net, lr=0.1), torchopt.extract_state_dict(net)
    optimizer.step(squares(net, x))
    loss = squares(net, x)
    torchopt.recover_state_dict(net, torchopt.extract_state_dict(copy.deepcopy(net), by="deepcopy"))

    with pytest.raises(ArgumentError, match=r"depends on none of them\. Compute it after recover"):
        optimizer.step(loss)
    with pytest.raises(ArgumentError, match=r"depends on none of them"):
        optimizer.step(loss.detach())
    torchopt.recover_state_dict(net, state)


def test_what_is_no_transformation_or_no_module_is_an_error() -> None:
    made_for: Any = torchopt.MetaOptimizer
    with pytest.raises(ArgumentError, match=r"got function\. Give torchopt\.adam\(1e-2\)"):
        made_for(nn.Linear(1, 1), torchopt.adam)
    with pytest.raises(ConversionError, match=r"expected a torch\.nn\.Module, got list"):
        made_for([torch.ones(1)], torchopt.adam())


def test_a_loop_leaves_nothing_behind() -> None:
    net, x = small_net(), data()[0]
    optimizer = torchopt.MetaAdam(net)
    states = torchopt.extract_state_dict(net), torchopt.extract_state_dict(optimizer)
    gc.disable()
    try:
        optimizer.step(squares(net, x))
        seen = [weakref.ref(p) for p in net.parameters()]
        torchopt.recover_state_dict(net, states[0])
        torchopt.recover_state_dict(optimizer, states[1])
        assert [ref() for ref in seen] == [None] * 4
    finally:
        gc.enable()


def test_a_learned_rate_gets_its_gradient() -> None:
    net, x = small_net(), data()[0]
    before = copy.deepcopy(net)
    lr = nn.Parameter(torch.tensor(0.1))

    def outer(rate: float) -> Tensor:
        adam = torch.optim.Adam
        adapted = trained(
            before, lambda m: adam(m.parameters(), lr=rate), [lambda m: squares(m, x)] * 2
        )
        return squares(adapted, x).detach()

    optimizer = torchopt.MetaAdam(net, lr=lr)
    for _ in range(2):
        optimizer.step(squares(net, x))
    (found,) = torch.autograd.grad(squares(net, x), lr)

    expected = (outer(0.1 + 1e-6) - outer(0.1 - 1e-6)) / 2e-6
    torch.testing.assert_close(found, expected, rtol=1e-5, atol=1e-8)


def test_the_first_moments_require_a_gradient_if_asked() -> None:
    net, x = small_net(), data()[0]
    with warnings.catch_warnings():
        warnings.simplefilter("error", HistoryWarning)
        optimizer = torchopt.MetaAdam(net, moment_requires_grad=True)
        impl = optimizer.impl
        state: Any = impl.init([*net.parameters()])
        optimizer.step(squares(net, x))

    assert all(moment.requires_grad for moment in state[1].slots["exp_avg"])
    plain: Any = torchopt.adam().init([*net.parameters()])
    assert not any(moment.requires_grad for moment in plain[1].slots["exp_avg"])
