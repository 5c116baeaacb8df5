"""Every optimiser of torch in metann.compat.higher, parts and windows of training; the errors."""

from __future__ import annotations

import copy
import weakref
from collections.abc import Callable
from typing import Any

import higher_snippets as snippets
import pytest
import torch
import torch.nn.functional as F
from by_hand import CLOSE, descended, loss_at, require_slope, trained
from torch import Tensor, nn

import metann.optim
from metann.compat import higher
from metann.errors import CompatError, OptimizerError, SubstitutionError


def sgd(model: nn.Module, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr)


OPTIMIZERS: dict[str, Callable[[Any], torch.optim.Optimizer]] = {
    "SGD": lambda p: torch.optim.SGD(p, lr=0.1, momentum=0.9, nesterov=True, weight_decay=0.1),
    "Adam": lambda p: torch.optim.Adam(p, lr=0.1, amsgrad=True),
    "AdamW": lambda p: torch.optim.AdamW(p, lr=0.1),
    "NAdam": lambda p: torch.optim.NAdam(p, lr=0.1),
    "RAdam": lambda p: torch.optim.RAdam(p, lr=0.1),
    "Adamax": lambda p: torch.optim.Adamax(p, lr=0.1),
    "Adagrad": lambda p: torch.optim.Adagrad(p, lr=0.1),
    "Adadelta": lambda p: torch.optim.Adadelta(p),
    "RMSprop": lambda p: torch.optim.RMSprop(p, lr=0.01, centered=True, momentum=0.5),
    "ASGD": lambda p: torch.optim.ASGD(p, lr=0.1),
    "Rprop": lambda p: torch.optim.Rprop(p, lr=0.01),
    "Adafactor": lambda p: torch.optim.Adafactor(p, lr=0.1),
    "Muon": lambda p: torch.optim.Muon([each for each in p if each.ndim == 2], lr=0.1),
}


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_T26_T28_every_optimizer_goes_on_as_torchs_does(name: str) -> None:
    model, data = snippets.small_net(), snippets.batches(4)
    make = OPTIMIZERS[name]
    losses = [lambda net, x=x, y=y: F.cross_entropy(net(x), y) for x, y in data]
    begun = copy.deepcopy(model)
    opt = make(begun.parameters())
    for loss in losses[:2]:
        opt.zero_grad()
        loss(begun).backward()
        opt.step()

    with higher.innerloop_ctx(begun, opt) as (fmodel, diffopt):
        for loss in losses[2:]:
            diffopt.step(loss(fmodel))

    expected = trained(model, lambda net: make(net.parameters()), losses)
    torch.testing.assert_close(
        [p.detach() for p in fmodel.parameters()],
        [p.detach() for p in expected.parameters()],
        rtol=1e-7,  # Adadelta and Adafactor sum in another order than torch's foreach kernels.
        atol=1e-10,
    )


# Muon rounds to bfloat16 on the way: differences of its steps are noise.
@pytest.mark.parametrize("name", [name for name in OPTIMIZERS if name != "Muon"])
def test_the_meta_gradient_through_every_optimizer(name: str) -> None:
    model, data = snippets.small_net(), snippets.batches(2)
    make = OPTIMIZERS[name]

    def run(net: nn.Module) -> Tensor:
        opt = make(net.parameters())
        with higher.innerloop_ctx(net, opt, copy_initial_weights=False) as (fmodel, diffopt):
            for x, y in data:
                diffopt.step(F.cross_entropy(fmodel(x), y))
            return F.cross_entropy(fmodel(data[0][0]), data[0][1])

    require_slope(run, model, rtol=1e-5, atol=1e-8)


@pytest.mark.parametrize("name", ["Adam", "RMSprop", "Adagrad"])
def test_T27_a_gradient_of_zero_leaves_the_meta_gradient_finite(name: str) -> None:
    model, x = nn.Sequential(nn.Linear(3, 4), nn.ReLU(), nn.Linear(4, 2)), torch.randn(5, 3)
    with torch.no_grad():
        model[0].bias[0] = -100.0  # A unit that is dead.
    opt = OPTIMIZERS[name](model.parameters())

    with higher.innerloop_ctx(model, opt, copy_initial_weights=False) as (fmodel, diffopt):
        for _ in range(2):
            diffopt.step(fmodel(x).square().sum())
        fmodel(x).square().sum().backward()

    assert all(p.grad.isfinite().all() for p in model.parameters())
    assert any(p.grad.abs().max() > 0 for p in model.parameters())


def test_T26_an_unknown_optimizer_is_told_which_there_are() -> None:
    model = snippets.small_net()

    with (
        pytest.raises(CompatError, match=r"no differentiable form of torch\.optim\.lbfgs\.LBFGS"),
        higher.innerloop_ctx(model, torch.optim.LBFGS(model.parameters())),
    ):
        pass
    with pytest.raises(CompatError, match=r"SGD, Adam, AdamW, .* Muon; and of your own after"):
        higher.create_diff_optim(torch.optim.SparseAdam, params=[torch.ones(2)])


def test_T30_a_window_ends_where_weights_and_state_are_detached() -> None:
    model, data = snippets.small_net(), snippets.batches(3)
    opt = torch.optim.Adam(model.parameters(), lr=0.1)
    alive: list[weakref.ref[Any]] = []
    with higher.innerloop_ctx(model, opt) as (fmodel, diffopt):
        for x, y in data:
            diffopt.step(F.cross_entropy(fmodel(x), y))
            alive += map(weakref.ref, fmodel.parameters())
            fmodel.track_higher_grads = False  # What came before is forgotten.
            fmodel.update_params([p.detach().requires_grad_() for p in fmodel.parameters()])
            fmodel.track_higher_grads = True
            for group in diffopt.state:
                for kept in group.values():
                    kept.update({n: v.detach() for n, v in kept.items() if isinstance(v, Tensor)})
            assert [ref for ref in alive if ref() is not None] == []

    make: Any = lambda net: torch.optim.Adam(net.parameters(), lr=0.1)  # noqa: E731
    losses = [lambda net, x=x, y=y: F.cross_entropy(net(x), y) for x, y in data]
    expected = trained(model, make, losses)
    torch.testing.assert_close([*fmodel.parameters()], [*expected.parameters()], **CLOSE)


def test_T31_a_subset_adapts_and_the_rest_is_meta_trained() -> None:
    model, (x, y) = snippets.small_net(), snippets.batches(1)[0]
    head = [*model.parameters()][2:]
    weights = dict(model.named_parameters())
    grads = torch.autograd.grad(loss_at(model, weights, x, y), head, create_graph=True)
    moved = [p - 0.1 * g for p, g in zip(head, grads, strict=True)]
    adapted = dict(zip(weights, [*[*weights.values()][:2], *moved], strict=True))
    expected = torch.autograd.grad(loss_at(model, adapted, x, y), [*weights.values()])

    opt = torch.optim.SGD(head, lr=0.1)
    with higher.innerloop_ctx(model, opt, copy_initial_weights=False) as (fmodel, diffopt):
        diffopt.step(F.cross_entropy(fmodel(x), y))
        F.cross_entropy(fmodel(x), y).backward()

    torch.testing.assert_close([p.grad for p in model.parameters()], [*expected], **CLOSE)


def test_T32_an_optimizer_of_metann_needs_no_class_of_torch() -> None:
    model, data = snippets.small_net(), snippets.batches(2)
    rate = torch.tensor(0.1, requires_grad=True)
    first, weights = descended(model, data, rate)
    expected = torch.autograd.grad(loss_at(model, weights, *data[0]), [rate, *first.values()])

    with higher.innerloop_ctx(model, metann.optim.SGD(rate)) as (fmodel, diffopt):
        for x, y in data:
            diffopt.step(F.cross_entropy(fmodel(x), y))
        loss = F.cross_entropy(fmodel(data[0][0]), data[0][1])

    found = torch.autograd.grad(loss, [rate, *fmodel.parameters(time=0)])
    torch.testing.assert_close(found, expected, **CLOSE)


def test_frozen_parameters_stay_frozen() -> None:
    model, data = snippets.small_net(), snippets.batches(1)
    model[0].requires_grad_(False)  # type: ignore[index]

    for tracks in (True, False):
        opt = sgd(model)
        with higher.innerloop_ctx(model, opt, track_higher_grads=tracks) as (fmodel, diffopt):
            diffopt.step(F.cross_entropy(fmodel(data[0][0]), data[0][1]))

        assert [p.requires_grad for p in fmodel.parameters()] == [False, False, True, True]
        assert torch.equal(fmodel.fast_params[0], model[0].weight)  # type: ignore[index]


@pytest.mark.parametrize("tracks", [True, False])
@pytest.mark.parametrize("copies", [True, False])
def test_steps_go_on_where_gradients_are_switched_off(tracks: bool, copies: bool) -> None:
    model, (x, y) = snippets.small_net(), snippets.batches(1)[0]

    def make(net: nn.Module) -> torch.optim.Optimizer:
        return OPTIMIZERS["SGD"](net.parameters())

    expected = trained(model, make, [lambda net: F.cross_entropy(net(x), y)] * 4)
    settings = {"track_higher_grads": tracks, "copy_initial_weights": copies}

    with torch.no_grad(), higher.innerloop_ctx(model, make(model), **settings) as loop:
        fmodel, diffopt = loop
        for _ in range(4):
            with torch.enable_grad():
                loss = F.cross_entropy(fmodel(x), y)
            diffopt.step(loss)

    assert all(p.is_leaf and p.requires_grad for p in fmodel.parameters())
    assert all(slot["momentum_buffer"].is_leaf for slot in diffopt.state[0].values())
    torch.testing.assert_close(
        [p.detach() for p in fmodel.parameters()],
        [p.detach() for p in expected.parameters()],
        **CLOSE,
    )


def test_flags_of_an_optimizer_are_not_learned() -> None:
    opt = torch.optim.SGD(snippets.small_net().parameters(), lr=0.1, momentum=0.9, nesterov=True)

    found = higher.optim.get_trainable_opt_params(opt)

    assert sorted(found) == ["dampening", "lr", "momentum", "weight_decay"]
    higher.optim.apply_trainable_opt_params(opt, found)
    assert opt.param_groups[0]["nesterov"] is True


# ── errors ───────────────────────────────────────────────────────────────────────────────────


def test_errors_say_what_to_do() -> None:
    model, (x, y) = snippets.small_net(), snippets.batches(1)[0]
    other = snippets.small_net()
    with higher.innerloop_ctx(model, sgd(model)) as (fmodel, diffopt):
        loss = F.cross_entropy(model(x), y)
        with pytest.raises(CompatError, match=r"depends on none of the weights .* Compute it with"):
            diffopt.step(loss)
        loss = F.cross_entropy(fmodel(x), y)
        with pytest.raises(CompatError, match=r"no option 'rate' to override; it has: lr, mom"):
            diffopt.step(loss, override={"rate": [0.1]})
        with pytest.raises(CompatError, match=r"of the 1 groups of parameters, got 2 values\. Put"):
            diffopt.step(loss, override={"lr": [0.1, 0.2]})
        with pytest.raises(CompatError, match=r"for each of the 4 weights .*, got 1\. Return"):
            diffopt.step(loss, grad_callback=lambda grads: grads[:1])
    with pytest.raises(CompatError, match=r"no weights of time 7: 1 sets are remembered\. Ask"):
        fmodel.parameters(time=7)
    with pytest.raises(CompatError, match=r"shape \(4, 3\) that is none of the 4 reference"):
        higher.get_diff_optim(sgd(other), model.parameters())
    with pytest.raises(SubstitutionError, match=r"expected 4 tensors"):
        fmodel(x, params=[torch.ones(4, 3)])
    with pytest.raises(CompatError, match=r"must be True or False, got 1\. Assign"):
        fmodel.track_higher_grads = 1
    fmodel.track_higher_grads = False
    with pytest.raises(CompatError, match=r"not remembered, as track_higher_grads is False"):
        _ = fmodel.init_fast_params


@pytest.mark.parametrize("of_another", [True, False])
def test_a_step_of_frozen_weights_alone_is_told(of_another: bool) -> None:
    model, (x, y) = snippets.small_net().requires_grad_(False), snippets.batches(1)[0]
    with higher.innerloop_ctx(model, sgd(model)) as (fmodel, diffopt):
        loss = F.cross_entropy((snippets.small_net() if of_another else fmodel)(x), y)

        with pytest.raises(CompatError, match=r"None of the weights .* requires a gradient.* Let"):
            diffopt.step(loss)


def test_errors_of_what_has_no_weights_or_cannot_be_carried_over() -> None:
    model, (x, y) = snippets.small_net(), snippets.batches(1)[0]

    with pytest.raises(CompatError, match=r"no fast weights yet.* fmodel\(x, params=\.\.\.\)"):
        higher.patch.make_functional(model)(x)
    diffopt = higher.get_diff_optim(sgd(model), model.parameters())
    with pytest.raises(CompatError, match=r"A step needs weights.* diffopt\.step\(loss, params="):
        diffopt.step(F.cross_entropy(model(x), y))
    with pytest.raises(CompatError, match=r"got neither params nor fmodel\. Give one\."):
        higher.create_diff_optim(torch.optim.SGD, {"lr": 0.1})
    opt = sgd(model)
    opt.register_step_post_hook(lambda *args: None)
    with pytest.raises(OptimizerError, match=r"cannot carry over what a step calls"):
        higher.get_diff_optim(opt, model.parameters())
