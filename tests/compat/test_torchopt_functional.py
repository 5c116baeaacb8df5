"""The functional optimisers of metann.compat.torchopt, and what TorchOpt gets wrong in them."""

from __future__ import annotations

from collections import OrderedDict
from typing import Any

import pytest
import torch
from by_hand import CLOSE
from torch import Tensor, nn

import metann.compat.torchopt as torchopt
from metann.compat.torchopt.trees import leaves_of_state
from metann.errors import ArgumentError, OptimizerError

FUNCTIONS = {
    "sgd": lambda: torchopt.sgd(0.1, momentum=0.9),
    "adam": lambda: torchopt.adam(0.1),
    "adamw": lambda: torchopt.adamw(0.1),
    "rmsprop": lambda: torchopt.rmsprop(0.1),
    "adagrad": lambda: torchopt.adagrad(0.1),
    "adadelta": lambda: torchopt.adadelta(0.1),
    "adamax": lambda: torchopt.adamax(0.1),
    "radam": lambda: torchopt.radam(0.1),
}
every_function = pytest.mark.parametrize("name", FUNCTIONS)


@every_function
def test_any_tree_of_tensors_will_do(name: str) -> None:
    a, b, c = (torch.randn(2, 3) for _ in range(3))
    tree: dict[str, Any] = OrderedDict(x=[a, (b,)], y=c)
    grads = OrderedDict(x=[torch.randn(2, 3), (None,)], y=torch.randn(2, 3))
    flat_grads = (grads["x"][0], None, grads["y"])  # type: ignore[index]

    of_tree, of_list = FUNCTIONS[name](), FUNCTIONS[name]()
    updates, state = of_tree.update(grads, of_tree.init(tree), params=tree)
    again, _ = of_tree.update(grads, state, params=tree)
    flat, flat_state = of_list.update(flat_grads, of_list.init((a, b, c)), params=(a, b, c))
    flat_again, _ = of_list.update(flat_grads, flat_state, params=(a, b, c))

    assert isinstance(updates, OrderedDict)
    assert updates["x"][1] == (None,)
    torch.testing.assert_close((updates["x"][0], updates["y"]), (flat[0], flat[2]))
    torch.testing.assert_close((again["x"][0], again["y"]), (flat_again[0], flat_again[2]))
    moved = torchopt.apply_updates(tree, updates, inplace=False)
    assert moved["x"][1][0] is b
    torch.testing.assert_close(moved["y"], c + updates["y"])


@every_function
def test_nothing_that_is_given_is_changed(name: str) -> None:
    params = (torch.randn(3), torch.randn(3))
    grads = (torch.randn(3), torch.randn(3))
    before = [t.clone() for t in (*params, *grads)]
    function = FUNCTIONS[name]()
    first = function.init(params)

    updates, second = function.update(grads, first, params=params, inplace=True)
    repeated, _ = function.update(grads, first, params=params, inplace=True)
    others = (-grads[0] + 1.0, 3.0 * grads[1])
    later, _ = function.update(others, second, params=params, inplace=True)
    at_once, _ = function.update(others, first, params=params, inplace=True)

    torch.testing.assert_close([*params, *grads], before, rtol=0, atol=0)
    torch.testing.assert_close(repeated, updates, rtol=0, atol=0)
    assert all((u - v).abs().max() > 1e-9 for u, v in zip(at_once, later, strict=True))


def test_dampening_begins_anew_with_every_state() -> None:
    """TorchOpt remembers in the transformation that there was a step, whatever the state."""
    sgd = torchopt.sgd(1.0, momentum=0.9, dampening=0.5)
    params, grads = (torch.randn(3),), (torch.randn(3),)

    for _ in range(2):
        updates, state = sgd.update(grads, sgd.init(params))
        second, _ = sgd.update(grads, state)

        torch.testing.assert_close(updates[0], -grads[0], **CLOSE)
        torch.testing.assert_close(second[0], -(0.9 + 0.5) * grads[0], **CLOSE)


def test_clipping_is_differentiated() -> None:
    """TorchOpt takes the factor for a constant."""
    clip = torchopt.clip_grad_norm(max_norm=0.5)
    first, second = torch.randn(3), torch.randn(2)

    def clipped(a: Tensor, b: Tensor) -> tuple[Tensor, ...]:
        updates, _ = clip.update((a, b), clip.init((a, b)))
        return updates

    assert clipped(first, second)[0].norm() < first.norm()
    inputs = (first.requires_grad_(), second.requires_grad_())
    assert torch.autograd.gradcheck(clipped, inputs)


@pytest.mark.parametrize("norm_type", [1.0, 2.0, 3.0, float("inf")])
def test_clipping_is_that_of_torch(norm_type: float) -> None:
    weights = [nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(2, 2))]
    grads = [torch.randn(3), torch.randn(2, 2)]
    for weight, grad in zip(weights, grads, strict=True):
        weight.grad = grad.clone()
    nn.utils.clip_grad_norm_(weights, 0.3, norm_type)

    clip = torchopt.clip_grad_norm(0.3, norm_type)
    found, _ = clip.update([*grads, None], clip.init(weights))

    torch.testing.assert_close(found[:2], [weight.grad for weight in weights], **CLOSE)
    assert found[2] is None


def test_numbers_in_place_of_what_is_none() -> None:
    change = torchopt.nan_to_num(nan=0.5, posinf=2.0, neginf=-3.0)
    bad = torch.tensor([1.0, float("nan"), float("inf"), float("-inf")])

    found, _ = change.update((bad, None), change.init((bad, bad)))

    torch.testing.assert_close(found[0], torch.tensor([1.0, 0.5, 2.0, -3.0]))
    assert found[1] is None


def test_a_hook_sees_only_what_flows_back_through_the_optimizer() -> None:
    weight, seen = torch.randn(3, requires_grad=True), list[Tensor]()
    chain = torchopt.chain(torchopt.register_hook(seen.append), torchopt.sgd(0.5))  # type: ignore[arg-type]
    (grad,) = torch.autograd.grad((weight**3).sum(), weight, create_graph=True)

    updates, _ = chain.update((grad,), chain.init((weight,)))
    (updates[0].sum() + 7 * grad.sum()).backward()

    torch.testing.assert_close(seen, [torch.full((3,), -0.5)])
    torch.testing.assert_close(weight.grad, (-0.5 + 7) * 6 * weight.detach(), **CLOSE)


def test_a_hook_can_replace_what_is_no_number() -> None:
    weight = torch.zeros(3, requires_grad=True)
    hook = torchopt.hook.nan_to_num_hook(nan=0.25)
    chain = torchopt.chain(torchopt.register_hook(hook), torchopt.sgd(1.0))
    (grad,) = torch.autograd.grad((weight**3).sum() + weight.sum(), weight, create_graph=True)
    updates, _ = chain.update((grad,), chain.init((weight,)))
    seen = (updates[0] * float("inf") * 0.0).sum()  # NaN flows back.

    (found,) = torch.autograd.grad(seen, grad)

    torch.testing.assert_close(found, torch.full((3,), 0.25))


def test_the_root_of_adam_is_taken_of_the_sum() -> None:
    param, grad = torch.randn(4), torch.randn(4)
    adam = torchopt.adam(0.1, eps_root=0.3)

    updates, _ = adam.update((grad,), adam.init((param,)))

    expected = -0.1 * grad / ((grad * grad + 0.3).sqrt() + 1e-8)
    torch.testing.assert_close(updates[0], expected, **CLOSE)


def test_rmsprop_begins_with_what_is_asked() -> None:
    param, grad = torch.randn(4), torch.randn(4)
    rmsprop = torchopt.rmsprop(0.1, alpha=0.9, eps=1e-3, initial_scale=2.0)

    updates, _ = rmsprop.update((grad,), rmsprop.init((param,)))

    expected = -0.1 * grad / ((0.9 * 2.0 + 0.1 * grad**2).sqrt() + 1e-3)
    torch.testing.assert_close(updates[0], expected, **CLOSE)


def test_rmsprop_with_nesterov_looks_ahead() -> None:
    param, grads = torch.randn(4), [torch.randn(4), torch.randn(4)]
    rmsprop = torchopt.rmsprop(0.1, alpha=0.9, eps=1e-3, momentum=0.8, nesterov=True)
    state = rmsprop.init((param,))
    square, trace, found = torch.zeros(4), torch.zeros(4), None

    for grad in grads:
        (found,), state = rmsprop.update((grad,), state)
        square = 0.9 * square + 0.1 * grad**2
        direction = grad / (square.sqrt() + 1e-3)
        trace = 0.8 * trace + direction
        expected = -0.1 * (direction + 0.8 * trace)

    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize(
    "mask", [{"w": True, "b": False}, lambda params: [p.ndim > 1 for p in params]]
)
def test_adamw_shrinks_what_the_mask_says(mask: Any) -> None:
    params = {"w": torch.randn(2, 2), "b": torch.randn(2)}
    grads = {"w": torch.randn(2, 2), "b": torch.randn(2)}
    masked, plain = torchopt.adamw(0.1, weight_decay=0.5, mask=mask), torchopt.adam(0.1)

    found, _ = masked.update(grads, masked.init(params), params=params)
    without, _ = plain.update(grads, plain.init(params))

    torch.testing.assert_close(found["w"], without["w"] - 0.1 * 0.5 * params["w"], **CLOSE)
    torch.testing.assert_close(found["b"], without["b"], **CLOSE)


def test_weight_decay_needs_the_parameters() -> None:
    params, grads = (torch.randn(2),), (torch.randn(2),)
    sgd = torchopt.sgd(0.1, weight_decay=0.5)

    with pytest.raises(OptimizerError, match=r"weight_decay=0\.5 needs the parameters.*params="):
        sgd.update(grads, sgd.init(params))
    updates, _ = sgd.update(grads, sgd.init(params), params=params)
    torch.testing.assert_close(updates[0], -0.1 * (grads[0] + 0.5 * params[0]), **CLOSE)


def test_a_schedule_may_be_learned_and_counts_for_each_parameter() -> None:
    start = torch.tensor(0.1, requires_grad=True)
    sgd = torchopt.sgd(torchopt.schedule.linear_schedule(start, 0.0, 2))
    params = (torch.randn(2), torch.randn(2))
    state = sgd.init(params)

    _, state = sgd.update((torch.ones(2), None), state)
    updates, _ = sgd.update((torch.ones(2), torch.ones(2)), state)

    torch.testing.assert_close(updates, (torch.full((2,), -0.05), torch.full((2,), -0.1)))
    (found,) = torch.autograd.grad(updates[0].sum() + updates[1].sum(), start)
    torch.testing.assert_close(found, torch.tensor(-2 * 0.5 - 2 * 1.0))


def test_writing_in_place_is_seen_by_autograd() -> None:
    """TorchOpt writes past it, and a backward pass that needs the old values is wrong."""
    weight = torch.randn(3, requires_grad=True)
    loss = (weight**2).sum()

    found = torchopt.apply_updates((weight,), (torch.ones(3),))

    assert found[0] is weight
    with pytest.raises(RuntimeError, match=r"modified by an inplace operation"):
        loss.backward()


def test_a_chain_of_chains_is_a_chain() -> None:
    params, grads = (torch.randn(3),), (torch.randn(3),)
    both = torchopt.nan_to_num().chain(torchopt.adam(0.1))
    plain = torchopt.adam(0.1)

    found, _ = both.update(grads, both.init(params))
    expected, _ = plain.update(grads, plain.init(params))

    torch.testing.assert_close(found, expected, rtol=0, atol=0)
    nothing = torchopt.chain()
    assert nothing.update(grads, nothing.init(params)) == (grads, ())
    init, update = torchopt.sgd(0.5)  # A pair, as it is there.
    torch.testing.assert_close(update(grads, init(params))[0][0], -0.5 * grads[0])


def test_the_func_optimizer_keeps_its_state_and_leaves_frozen_parameters() -> None:
    weight, frozen = torch.randn(3, requires_grad=True), torch.randn(3)
    optimizer = torchopt.FuncOptimizer(torchopt.sgd(0.1, momentum=0.9))
    other = torchopt.FuncOptimizer(torchopt.sgd(0.1, momentum=0.9), inplace=True)

    params = optimizer.step((weight * frozen).sum(), (weight, frozen))
    assert params[1] is frozen
    torch.testing.assert_close(params[0], weight - 0.1 * frozen)
    assert params[0].grad_fn is not None
    other.load_state_dict(optimizer.state_dict())
    moved = other.step((weight * frozen).sum(), (weight, frozen))
    assert moved[0] is weight
    expected = params[0] - 0.1 * 1.9 * frozen + 0.1 * frozen
    torch.testing.assert_close(weight.detach(), expected.detach(), **CLOSE)


@pytest.mark.parametrize("in_place", [True, False])
def test_the_func_optimizer_keeps_no_graph_in_place(in_place: bool) -> None:
    weight = torch.randn(3, requires_grad=True)
    start, rate = weight.detach().clone(), torch.tensor(0.1, requires_grad=True)
    optimizer = torchopt.FuncOptimizer(torchopt.adam(rate), inplace=in_place)
    by_torch = torch.optim.Adam([twin := nn.Parameter(start)], lr=0.1)

    params = (weight,)
    for _ in range(3):
        params = optimizer.step((params[0] ** 3).sum(), params)
        by_torch.zero_grad()
        (twin**3).sum().backward()
        by_torch.step()

    remembered = leaves_of_state(optimizer.state_dict())
    assert len(remembered) == 2
    assert [tensor.grad_fn is None for tensor in (*remembered, *params)] == [in_place] * 3
    torch.testing.assert_close(params[0].detach(), twin.detach(), **CLOSE)


def test_the_func_optimizer_goes_on_without_grad() -> None:
    weight, frozen = torch.randn(3, requires_grad=True), torch.randn(3)
    optimizer, with_graph = (torchopt.FuncOptimizer(torchopt.adam(0.1)) for _ in range(2))

    params, expected = (weight, frozen), (weight, frozen)
    for _ in range(3):
        expected = with_graph.step((expected[0] ** 3 * frozen).sum(), expected)
        loss = (params[0] ** 3 * frozen).sum()
        with torch.no_grad():
            params = optimizer.step(loss, params)

    assert params[0].is_leaf
    assert params[1] is frozen
    assert [param.requires_grad for param in params] == [True, False]
    torch.testing.assert_close(params[0], expected[0], **CLOSE)


def test_others_go_backward_through_a_loss_after_a_step_in_place() -> None:
    weight, other = torch.randn(3, requires_grad=True), torch.randn(3, requires_grad=True)
    loss = weight.sum() + (other**2).sum()

    torchopt.FuncOptimizer(torchopt.sgd(0.1), inplace=True).step(loss, (weight,))
    loss.backward()

    torch.testing.assert_close(other.grad, 2 * other.detach(), rtol=0, atol=0)


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda: torchopt.sgd(-1.0), OptimizerError, r"lr must be at least 0, got -1\.0"),
        (lambda: torchopt.sgd(0.1, nesterov=True), OptimizerError, r"nesterov=True needs a mom"),
        (lambda: torchopt.adam(betas=(1.5, 0.9)), OptimizerError, r"betas\.0 must be .* below 1"),
        (lambda: torchopt.adam(eps_root=-1.0), OptimizerError, r"eps_root must be at least 0"),
        (lambda: torchopt.adamw(weight_decay=-1.0), OptimizerError, r"weight_decay must be at"),
        (lambda: torchopt.adam().init([1.0]), ArgumentError, r"got a float in it"),
        (lambda: torchopt.adam().update((), ()), OptimizerError, r"a tuple of 3, got tuple"),
        (
            lambda: torchopt.apply_updates((torch.ones(1),), ()),
            OptimizerError,
            r"there must be one for each: tree is a tuple of 1, but for it there is a tuple of 0",
        ),
        (
            lambda: torchopt.adam().update((), (None, None, ())),
            OptimizerError,
            r"AdamWithRoot needs the state that init\(params\).*got NoneType",
        ),
    ],
)
def test_what_makes_no_sense_is_an_error(call: Any, error: type[Exception], message: str) -> None:
    with pytest.raises(error, match=message):
        call()
