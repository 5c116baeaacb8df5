"""Calls and instances inside the rest of PyTorch: torch.func, autocast, meta, parametrizations."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest
import torch
from small_nets import (
    Scaled,
    Tied,
    by_name,
    computed,
    expected,
    fresh,
    inputs,
    mlp,
    normalised,
    same,
)
from torch import Tensor, nn
from torch.func import functional_call, grad, hessian, jacfwd, jacrev, jvp, vmap

from metann import DependentModule, Learner
from metann.generated import DependentLinear

# The first use of forward mode loads a part of torch that torch itself calls deprecated.
forward_mode = pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")


def loss_of(net: nn.Module, x: Tensor) -> tuple[Callable[..., Tensor], Callable[..., Tensor]]:
    """The loss as a function of the weights: by metann, and by torch."""
    learner, names = Learner(net), list(dict(net.named_parameters()))

    def mine(*weights: Tensor) -> Tensor:
        return learner.functional(weights, True, x).square().sum()

    def torchs(*weights: Tensor) -> Tensor:
        return functional_call(net, dict(zip(names, weights, strict=True)), (x,)).square().sum()

    return mine, torchs


every = pytest.mark.parametrize("make", [mlp, Scaled])


@every
def test_grad_over_a_call(make) -> None:
    net = make()
    mine, torchs = loss_of(net, inputs())
    weights, which = [w.detach() for w in fresh(net)], tuple(range(len(fresh(net))))

    assert all(map(same, grad(mine, which)(*weights), grad(torchs, which)(*weights)))


@every
def test_grad_of_grad_over_a_call(make) -> None:
    net = make()
    weights = [w.detach() for w in fresh(net)]

    def twice(loss: Callable[..., Tensor]) -> Tensor:
        return grad(lambda *ws: grad(loss)(*ws).square().sum())(*weights)

    mine, torchs = loss_of(net, inputs())

    assert same(twice(mine), twice(torchs))


@every
def test_vmap_over_weights(make) -> None:
    net = make()
    mine, torchs = loss_of(net, inputs())
    stacked = [torch.randn(4, *p.shape) for p in net.parameters()]

    assert same(vmap(mine)(*stacked), vmap(torchs)(*stacked))


def test_vmap_over_weights_and_inputs_by_name() -> None:
    net, xs = mlp(), inputs(4, 5, 3)
    learner = Learner(net)
    named = {name: torch.randn(4, *p.shape) for name, p in net.named_parameters()}

    found = vmap(lambda ws, x: learner.functional(ws, True, x))(named, xs)

    wanted = [expected(net, [w[i] for w in named.values()], xs[i]) for i in range(4)]
    assert same(found, torch.stack(wanted))


def test_vmap_of_grad() -> None:
    net = mlp()
    mine, torchs = loss_of(net, inputs())
    stacked = [torch.randn(4, *p.shape) for p in net.parameters()]

    assert same(vmap(grad(mine))(*stacked), vmap(grad(torchs))(*stacked))


def test_T06_after_vmap_the_module_is_as_usable_as_before() -> None:
    net, x = mlp(), inputs()
    wanted = net(x)
    learner = Learner(net)

    vmap(lambda w: learner.functional([w, *list(net.parameters())[1:]], True, x))(
        torch.randn(4, 4, 3)
    )

    assert same(net(x), wanted)
    assert same(learner.functional(net.parameters(), True, x), wanted)


def test_T06_after_vmap_over_a_substituted_module_it_can_be_substituted_again() -> None:
    plain, x = nn.Linear(3, 2), inputs()
    net = DependentModule.stateless(plain)

    def use(weight: Tensor, bias: Tensor) -> Tensor:
        net.substitute_from_list([weight, bias])
        return net(x)

    vmap(use)(torch.randn(4, 2, 3), torch.randn(4, 2))
    net.substitute_from_list(weights := fresh(plain))

    assert same(net(x), expected(plain, weights, x))


@forward_mode
@every
def test_jvp_over_a_call(make) -> None:
    net = make()
    mine, torchs = loss_of(net, inputs())
    weights = tuple(w.detach() for w in fresh(net))
    tangents = tuple(torch.randn_like(w) for w in weights)

    assert all(map(same, jvp(mine, weights, tangents), jvp(torchs, weights, tangents)))


@forward_mode
@pytest.mark.parametrize("transform", [jacrev, jacfwd, hessian])
def test_jacobians_and_hessians_over_a_call(transform) -> None:
    net = mlp()
    mine, torchs = loss_of(net, inputs())
    weights = [w.detach() for w in fresh(net)]

    assert same(transform(mine)(*weights), transform(torchs)(*weights))


def test_torchs_functional_call_works_on_a_dependent_module() -> None:
    net, x = DependentModule(mlp()), inputs()
    weights = fresh(net)

    assert same(functional_call(net, by_name(net, weights), (x,)), expected(net, weights, x))


def test_torchs_functional_call_works_on_a_bound_instance() -> None:
    net, x = mlp(), inputs()
    bound, weights = Learner(net).bind(fresh(net)), fresh(net)

    found = functional_call(bound, by_name(net, weights), (x,))

    assert same(found, expected(net, weights, x))


def test_a_call_under_autocast_runs_in_bfloat16() -> None:
    net, x = mlp().float(), inputs().float()
    weights = fresh(net)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = Learner(net).functional(weights, True, x)
        wanted = expected(net, weights, x)

    assert found.dtype is torch.bfloat16
    assert torch.equal(found, wanted)


def test_gradients_of_a_call_under_autocast_reach_the_weights() -> None:
    net = mlp().float()
    leaves, weights = computed(net)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = Learner(net).functional(weights, True, inputs().float()).square().sum()
    loss.backward()

    assert all(leaf.grad.dtype is torch.float32 and leaf.grad.abs().sum() > 0 for leaf in leaves)


def test_two_calls_with_other_weights_under_one_autocast_do_not_meet_in_its_cache() -> None:
    net, x = nn.Linear(3, 2).float(), inputs().float()
    learner = Learner(net)

    with torch.autocast("cpu", dtype=torch.bfloat16):
        one = learner.functional(first := fresh(net), True, x)
        two = learner.functional(second := fresh(net), True, x)

    with torch.autocast("cpu", dtype=torch.bfloat16, cache_enabled=False):
        assert torch.equal(one, expected(net, first, x))
        assert torch.equal(two, expected(net, second, x))


def test_a_model_on_meta_can_be_called_with_weights_on_meta() -> None:
    net = mlp().to("meta")
    weights = [torch.empty_like(p) for p in net.parameters()]

    assert Learner(net).functional(weights, True, inputs().to("meta")).shape == (5, 2)


def test_a_model_on_meta_is_a_shape_for_weights_elsewhere() -> None:
    plain, x = mlp(), inputs()
    weights = fresh(plain)
    with torch.device("meta"):
        net = mlp()

    assert same(Learner(net).functional(weights, True, x), expected(plain, weights, x))


def test_a_converted_model_on_meta_can_be_emptied_onto_the_cpu() -> None:
    with torch.device("meta"):
        net = DependentModule(mlp())

    assert {p.device.type for p in net.to_empty(device="cpu").parameters()} == {"cpu"}


def test_a_counterpart_can_be_constructed_on_meta() -> None:
    assert DependentLinear(3, 2, device="meta").weight.device.type == "meta"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_dependents_move_with_the_module(dtype: torch.dtype) -> None:
    net = DependentModule(normalised()).clear_params(init=True)

    net.to(dtype)

    assert {d.dtype for d in net.dependents()} == {dtype}
    assert net[1].running_mean.dtype is dtype


def test_moving_a_cleared_module_without_values_works() -> None:
    net = DependentModule(mlp()).clear_params()

    net.to(torch.float32)
    net.substitute_from_list([w.float() for w in fresh(mlp())])

    assert net(inputs().float()).dtype is torch.float32


def test_moving_keeps_ties_of_dependents() -> None:
    net = DependentModule(Tied()).clear_params(init=True)

    net.to(torch.float32)

    assert net.encoder.weight is net.decoder.weight


@pytest.fixture
def by_swapping() -> Iterator[None]:
    """torch's other way to move modules: it exchanges the contents of tensors."""
    before = torch.__future__.get_swap_module_params_on_conversion()
    torch.__future__.set_swap_module_params_on_conversion(True)
    yield
    torch.__future__.set_swap_module_params_on_conversion(before)


def test_moving_a_converted_tied_model_moves_its_weights_and_gradients_once() -> None:
    net = DependentModule(Tied())
    net(inputs()).sum().backward()

    net.to(torch.float32)

    assert net.encoder.weight is net.decoder.weight
    assert {p.dtype for p in net.parameters()} == {torch.float32}
    assert {p.grad.dtype for p in net.parameters()} == {torch.float32}


def test_moving_by_swapping_moves_a_converted_tied_model(by_swapping) -> None:
    net = DependentModule(Tied())
    wanted = net.encoder.weight.detach().clone()

    net.to(torch.float32)

    assert net.encoder.weight is net.decoder.weight
    assert net.encoder.weight.dtype is torch.float32
    assert torch.allclose(net.encoder.weight.double(), wanted, atol=1e-6)


def test_moving_by_swapping_moves_a_cleared_tied_model(by_swapping) -> None:
    net = DependentModule(Tied()).clear_params(init=True)

    net.to(torch.float32)

    assert net.encoder.weight is net.decoder.weight
    assert net.encoder.weight.dtype is torch.float32


def test_a_module_half_of_which_is_plain_can_be_moved() -> None:
    net = DependentModule.to_dependentmodule(mlp(), recurse=False)

    net.to(torch.float32)

    assert {p.dtype for p in net.parameters()} == {torch.float32}


def test_share_memory_and_a_data_loaders_fork_need_nothing_special() -> None:
    net = DependentModule(mlp())

    net.share_memory()

    assert all(p.is_shared() for p in net.parameters())


def test_under_no_grad_a_call_records_nothing() -> None:
    net = mlp()

    with torch.no_grad():
        assert not Learner(net).functional(fresh(net), True, inputs()).requires_grad


def test_under_inference_mode_a_call_works() -> None:
    net, x = normalised(), inputs()
    weights = fresh(net)
    wanted = expected(net, weights, x)

    with torch.inference_mode():
        found = Learner(net).functional(weights, True, x)

    assert torch.allclose(found, wanted)


def test_weights_made_under_inference_mode_can_be_used_outside() -> None:
    net, x = mlp(), inputs()
    with torch.inference_mode():
        weights = [torch.randn(p.shape) for p in net.parameters()]

    with torch.no_grad():
        assert Learner(net).functional(weights, True, x).shape == (5, 2)
