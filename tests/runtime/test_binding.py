"""`Learner.bind`: an instance with these weights, to keep; two of them never alias."""

from __future__ import annotations

import pytest
import torch
from small_nets import (
    Counting,
    Scaled,
    Shared,
    Tied,
    by_name,
    computed,
    expected,
    fresh,
    inputs,
    mlp,
    normalised,
    same,
    state_of,
)
from torch import nn

from metann import DependentModule, Learner
from metann.errors import SubstitutionError
from metann.generated import DependentLinear, DependentSequential


def test_a_bound_instance_is_a_converted_model_with_these_weights() -> None:
    net = nn.Sequential(nn.Linear(3, 2))
    weights = fresh(net)

    bound = Learner(net).bind(weights)

    assert [type(m) for m in bound.modules()] == [DependentSequential, DependentLinear]
    assert [id(d) for d in bound.dependents()] == [id(w) for w in weights]


@pytest.mark.parametrize("make", [mlp, normalised, Tied, Shared, Scaled, Counting])
def test_a_bound_instance_computes_what_torch_does_with_these_weights(make) -> None:
    net, x = make(), inputs()
    weights = fresh(net)

    assert same(Learner(net).bind(weights)(x), expected(net, weights, x))


@pytest.mark.parametrize("make", [mlp, normalised, Tied, Shared, Scaled, Counting])
def test_binding_and_calling_do_not_touch_the_module(make) -> None:
    net = make()
    before = state_of(net)

    Learner(net).bind(fresh(net), training=False)(inputs())

    assert state_of(net) == before


def test_the_names_of_the_dependents_are_those_of_the_parameters() -> None:
    net = Tied()

    bound = Learner(net).bind(fresh(net))

    assert [n for n, _ in bound.named_dependents()] == [n for n, _ in net.named_parameters()]


def test_training_none_keeps_the_mode_of_every_submodule() -> None:
    net = normalised()
    net[1].eval()

    for bound in (Learner(net).bind(fresh(net)), Learner(net).bind(fresh(net), training=None)):
        assert [m.training for m in bound.modules()] == [m.training for m in net.modules()]


@pytest.mark.parametrize("training", [True, False])
def test_training_sets_the_mode_of_every_submodule(training: bool) -> None:
    net = normalised().train(not training)

    bound = Learner(net).bind(fresh(net), training=training)

    assert {m.training for m in bound.modules()} == {training}


def test_a_mapping_may_be_bound() -> None:
    net, x = mlp(), inputs()
    weights = fresh(net)

    assert same(Learner(net).bind(by_name(net, weights))(x), expected(net, weights, x))


def test_T02_an_instance_keeps_its_weights_when_another_is_bound() -> None:
    net, x = mlp(), inputs()
    learner, weights = Learner(net), fresh(net)

    first = learner.bind(weights)
    learner.bind([2 * w for w in weights])

    assert same(first(x), expected(net, weights, x))


def test_substituting_one_instance_leaves_the_other() -> None:
    net, x = mlp(), inputs()
    learner, weights = Learner(net), fresh(net)
    one, two = learner.bind(weights), learner.bind(weights)

    one.substitute_from_list([-w for w in weights])

    assert same(two(x), expected(net, weights, x))


def test_T05_buffers_of_instances_are_their_own() -> None:
    net = normalised()
    learner = Learner(net)
    one, two = learner.bind(fresh(net), True), learner.bind(fresh(net), True)

    one(inputs())

    assert [int(m[1].num_batches_tracked) for m in (one, two, net)] == [1, 0, 0]


def test_replaced_buffers_stay_in_the_instance() -> None:
    net = Counting()
    one, two = (Learner(net).bind(fresh(net)) for _ in range(2))

    one(inputs())
    one(inputs())

    assert [int(m.calls) for m in (one, two, net)] == [2, 0, 0]


def test_no_two_instances_share_a_table() -> None:
    net = normalised()
    net[0].register_forward_hook(lambda *_: None)
    learner, weights = Learner(net), fresh(net)
    trees = [net, learner.bind(weights), learner.bind(weights)]

    for modules in zip(*(tree.modules() for tree in trees), strict=True):
        tables = [id(v) for m in modules for v in vars(m).values() if isinstance(v, (dict, set))]
        slots = {id(vars(m).get("_dependent_slots")) for m in modules}

        assert all(tables.count(t) == 1 for t in set(tables) - slots)


def test_T51_a_hook_added_to_an_instance_does_not_fire_on_the_original_or_on_others() -> None:
    net, calls = mlp(), []
    learner, weights = Learner(net), fresh(net)
    one, two = learner.bind(weights), learner.bind(weights)

    one[0].register_forward_hook(lambda *_: calls.append("forward"))
    one[0].register_forward_pre_hook(lambda *_: calls.append("pre"))
    for model in (net, two, learner.bind(weights)):
        model(inputs())

    assert calls == []


def test_a_hook_removed_from_the_original_goes_on_in_an_instance_bound_before() -> None:
    net, calls = mlp(), []
    handle = net[0].register_forward_hook(lambda *_: calls.append("hook"))
    bound = Learner(net).bind(fresh(net))

    handle.remove()
    bound(inputs())

    assert calls == ["hook"]


class Remembering(nn.Module):
    """Keeps things in plain attributes."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.outputs: list[torch.Tensor] = []
        self.nested = {"list": [], "set": set()}
        self.layers = [self.layer]

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        out = self.layers[0](x)
        self.outputs.append(out)
        self.nested["list"].append(out)
        self.nested["set"].add(1)
        return out


def test_lists_in_attributes_are_never_shared() -> None:
    net = Remembering()
    one, two = (Learner(net).bind(fresh(net)) for _ in range(2))

    one(inputs())

    assert [len(m.outputs) for m in (one, two, net)] == [1, 0, 0]
    assert [len(m.nested["list"]) for m in (one, two, net)] == [1, 0, 0]
    assert [len(m.nested["set"]) for m in (one, two, net)] == [1, 0, 0]


def test_a_submodule_added_to_an_instance_does_not_reach_the_original() -> None:
    net = mlp()
    bound = Learner(net).bind(fresh(net))

    bound.append(nn.Linear(2, 2))

    assert (len(bound), len(net)) == (4, 3)
    assert type(bound[3]) is DependentLinear


def test_a_buffer_registered_on_an_instance_does_not_reach_the_original() -> None:
    net = mlp()
    bound = Learner(net).bind(fresh(net))

    bound[0].register_buffer("extra", torch.randn(2), persistent=False)

    assert not hasattr(net[0], "extra")
    assert net[0]._non_persistent_buffers_set == set()


def test_a_non_persistent_buffer_stays_non_persistent() -> None:
    net = nn.Linear(3, 2)
    net.register_buffer("cache", torch.randn(2), persistent=False)

    bound = Learner(net).bind(fresh(net))

    assert set(bound.state_dict()) == {"weight", "bias"}


def test_eval_of_an_instance_leaves_the_others_in_training() -> None:
    net = normalised()
    one, two = (Learner(net).bind(fresh(net)) for _ in range(2))

    one.eval()

    assert [m.training for m in (one[1], two[1], net[1])] == [False, True, True]


def test_T54_a_shared_submodule_is_one_in_an_instance() -> None:
    net = Shared()
    bound = Learner(net).bind(fresh(net))

    assert bound.first is bound.second
    assert [n for n, _ in bound.named_parameters()] == [n for n, _ in net.named_parameters()]


def test_a_buffer_in_two_places_stays_one() -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 2))
    buffer = torch.randn(2)
    net[0].register_buffer("shared", buffer)
    net[1].register_buffer("shared", buffer)

    bound = Learner(net).bind(fresh(net))

    assert bound[0].shared is bound[1].shared
    assert bound[0].shared is not buffer


def test_an_instance_can_be_differentiated_at_second_order() -> None:
    net, x = mlp(), inputs()
    leaves, weights = computed(net)

    out = Learner(net).bind(weights)(x)
    first = torch.autograd.grad(out.square().sum(), leaves, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), leaves)

    assert all(g.abs().sum() > 0 for g in second)


def test_T33_a_submodule_of_an_instance_can_be_called_alone() -> None:
    net, x = mlp(), inputs()
    weights = fresh(net)

    assert same(Learner(net).bind(weights)[0](x), x @ weights[0].T + weights[1])


def test_an_instance_can_be_moved_to_another_dtype_and_leaves_its_weights_alone() -> None:
    net = normalised()
    weights = fresh(net)
    bound = Learner(net).bind(weights)

    bound.to(torch.float32)

    assert bound(inputs().float()).dtype is torch.float32
    assert {w.dtype for w in weights} == {torch.float64}
    assert net[1].running_mean.dtype is torch.float64


def test_moving_an_instance_keeps_the_gradient_to_the_leaves() -> None:
    net = mlp()
    leaves, weights = computed(net)

    Learner(net).bind(weights).to(torch.float32)(inputs().float()).sum().backward()

    assert all(leaf.grad is not None and leaf.grad.dtype is torch.float64 for leaf in leaves)


def test_an_instance_is_itself_a_module_for_a_learner() -> None:
    net, x = mlp(), inputs()
    weights, others = fresh(net), fresh(net)
    bound = Learner(net).bind(weights)

    assert same(Learner(bound).functional(others, True, x), expected(net, others, x))
    assert same(bound(x), expected(net, weights, x))


def test_bad_weights_cannot_be_bound() -> None:
    with pytest.raises(SubstitutionError, match=r"expected 4 tensors.*got 1"):
        Learner(mlp()).bind([torch.randn(4, 3)])


def test_an_instance_of_a_dependent_module_leaves_its_dependents_alone() -> None:
    net = DependentModule(mlp()).clear_params(init=True)
    before = [id(d) for d in net.dependents()]

    bound = Learner(net).bind(fresh(net))
    bound.substitute_from_list(fresh(net))

    assert [id(d) for d in net.dependents()] == before


def test_zero_grad_and_requires_grad_of_an_instance_work() -> None:
    net = mlp()
    bound = Learner(net).bind(fresh(net))
    bound(inputs()).sum().backward()

    bound.zero_grad()
    bound.requires_grad_(False)

    assert all(p.grad is None and not p.requires_grad for p in bound.parameters())


def test_a_parameter_that_is_set_beside_dependents_keeps_the_order_of_parameters() -> None:
    layer = DependentModule(nn.LayerNorm(3))
    layer.clear_params(init=True)
    layer.bias = nn.Parameter(torch.randn(3))
    x = torch.randn(2, 3)

    again = Learner(layer).bind([*layer.parameters()])
    stateless = DependentModule.stateless(layer)
    stateless.substitute_from_list([*layer.parameters()])

    assert [name for name, _ in again.named_parameters()] == [
        n for n, _ in layer.named_parameters()
    ]
    assert torch.equal(again(x), layer(x))
    assert torch.equal(stateless(x), layer(x))
