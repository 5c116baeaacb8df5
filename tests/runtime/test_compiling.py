"""torch.compile: calls, dependent modules and instances become one graph."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

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
from torch import Tensor, nn

from metann import DependentModule, Learner

# torch looks at `.grad` of every tensor that it traces, whoever holds it.
traced = pytest.mark.filterwarnings("ignore:The .grad attribute of a Tensor that is not a leaf")


@pytest.fixture
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@traced
def test_a_call_in_a_compiled_function_is_right(fresh_compiler) -> None:
    net, x = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)), inputs()
    learner, weights = Learner(net), fresh(net)

    @torch.compile(backend="eager")
    def call(ws: list[Tensor], x: Tensor) -> Tensor:
        return learner.functional(ws, True, x)

    assert same(call(weights, x), expected(net, weights, x))
    others = fresh(net)
    assert same(call(others, x), expected(net, others, x))


@traced
def test_a_dependent_module_compiles_into_one_graph(fresh_compiler) -> None:
    plain, x = mlp(), inputs()
    net = DependentModule.stateless(plain)
    compiled = torch.compile(net, fullgraph=True, backend="eager")

    for _ in range(2):
        net.substitute_from_list(weights := fresh(plain))
        assert same(compiled(x), expected(plain, weights, x))


@traced
def test_a_converted_users_class_compiles_into_one_graph(fresh_compiler) -> None:
    net, x = DependentModule(Scaled()), inputs()
    wanted = net(x)

    assert same(torch.compile(net, fullgraph=True, backend="eager")(x), wanted)


@traced
def test_a_bound_instance_compiles_into_one_graph(fresh_compiler) -> None:
    net, x = normalised(), inputs()
    weights = fresh(net)
    bound = Learner(net).bind(weights, training=False)

    compiled = torch.compile(bound, fullgraph=True, backend="eager")

    assert same(compiled(x), expected(net, weights, x, training=False))


@traced
def test_a_compiled_instance_lists_all_weights_of_equal_shapes(fresh_compiler) -> None:
    class Regularised(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layers = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3))

        def forward(self, x: Tensor) -> Tensor:
            return self.layers(x).sum() + sum(w.square().sum() for w in self.parameters())

    net, x = Regularised(), inputs()
    bound = Learner(net).bind(fresh(net))

    assert same(torch.compile(bound, fullgraph=True, backend="eager")(x), bound(x))


@traced
def test_gradients_go_through_a_compiled_instance(fresh_compiler) -> None:
    net, x = mlp(), inputs()
    leaves, weights = computed(net)
    bound = Learner(net).bind(weights)

    out = torch.compile(bound, fullgraph=True, backend="aot_eager")(x)
    found = torch.autograd.grad(out.square().sum(), leaves, retain_graph=True)

    wanted = torch.autograd.grad(bound(x).square().sum(), leaves)
    assert all(map(same, found, wanted))


@traced
def test_a_dependent_module_can_be_compiled_in_place(fresh_compiler) -> None:
    net, x = DependentModule(mlp()), inputs()
    wanted = net(x)

    net.compile(fullgraph=True, backend="eager")

    assert same(net(x), wanted)


def compiled_call(net: nn.Module, training: bool = True, backend: str = "eager", whole=True):
    """`learner.functional` of `net` in a compiled function, as one graph."""
    learner = Learner(net)

    @torch.compile(backend=backend, fullgraph=whole)
    def call(weights: object, x: Tensor) -> Tensor:
        return learner.functional(weights, training, x)

    return call


MODELS = [mlp, normalised, Tied, Shared, Scaled, Counting]


@traced
@pytest.mark.parametrize("make", MODELS)
@pytest.mark.parametrize("training", [True, False])
def test_a_compiled_call_computes_what_torch_does(make, training: bool, fresh_compiler) -> None:
    net, x = make(), inputs()
    call = compiled_call(net, training)

    for _ in range(2):
        weights = fresh(net)
        assert same(call(weights, x), expected(net, weights, x, training=training))


@traced
@pytest.mark.parametrize("make", MODELS)
def test_a_compiled_call_does_not_touch_the_module(make, fresh_compiler) -> None:
    net, x = make(), inputs()
    call, before = compiled_call(net, False), state_of(net)

    call(fresh(net), x)
    call(fresh(net), x)

    assert state_of(net) == before


@traced
def test_a_compiled_call_takes_a_mapping_too(fresh_compiler) -> None:
    net, x = mlp(), inputs()
    weights = fresh(net)

    assert same(compiled_call(net)(by_name(net, weights), x), expected(net, weights, x))


@traced
def test_gradients_of_a_compiled_call_reach_the_leaves(fresh_compiler) -> None:
    net, x = normalised(), inputs()
    leaves, weights = computed(net)

    out = compiled_call(net, backend="aot_eager")(weights, x)
    found = torch.autograd.grad(out.square().sum(), leaves, retain_graph=True)

    wanted = torch.autograd.grad(expected(net, weights, x).square().sum(), leaves)
    assert all(torch.allclose(f, w, atol=1e-12) for f, w in zip(found, wanted, strict=True))


@traced
def test_a_compiled_call_follows_a_changed_module(fresh_compiler) -> None:
    net, x = mlp(), inputs()
    call = compiled_call(net)
    call(fresh(net), x)

    net[1] = nn.ReLU()

    weights = fresh(net)
    assert same(call(weights, x), expected(net, weights, x))


@traced
@pytest.mark.parametrize("kind", ["list", "mapping"])
def test_weights_that_do_not_fit_a_compiled_call_are_an_error_not_a_result(
    kind: str, fresh_compiler
) -> None:
    net = mlp()
    weights = fresh(net)[:3]
    params = weights if kind == "list" else by_name_so_far(net, weights)

    with pytest.raises(Exception, match=r"2\.bias|expected 4 tensors|do not fit"):
        compiled_call(net)(params, inputs())


def by_name_so_far(net: nn.Module, weights: list[Tensor]) -> dict[str, Tensor]:
    """The first of the names, with these weights."""
    return dict(zip(dict(net.named_parameters()), weights, strict=False))


@traced
def test_a_compiled_call_leaves_a_list_in_an_attribute_alone(fresh_compiler) -> None:
    class Remembering(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)
            self.outputs: list[Tensor] = []

        def forward(self, x: Tensor) -> Tensor:
            self.outputs.append(self.layer(x))
            return self.outputs[-1]

    net, x = Remembering(), inputs()
    weights = fresh(net)
    wanted = expected(net, weights, x)

    assert same(compiled_call(net)(weights, x), wanted)
    assert net.outputs == []


@traced
def test_what_refers_to_the_model_is_right_though_not_one_graph(fresh_compiler) -> None:
    class Listing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)
            self.parts = [self.layer]

        def forward(self, x: Tensor) -> Tensor:
            return self.parts[0](x)

    net, x = Listing(), inputs()
    weights = fresh(net)

    assert same(compiled_call(net, whole=False)(weights, x), expected(net, weights, x))


@traced
def test_hooks_run_in_a_compiled_call(fresh_compiler) -> None:
    net, x = mlp(), inputs()
    net[0].register_forward_hook(lambda module, args, output: output * module.weight.sum())
    net[2].register_forward_pre_hook(lambda module, args, kwargs: (args, kwargs), with_kwargs=True)
    weights = fresh(net)

    assert same(compiled_call(net)(weights, x), expected(net, weights, x))


@traced
def test_an_inner_step_and_its_gradient_compile_into_one_graph(fresh_compiler) -> None:
    net, x = normalised(), inputs()
    learner, weights = Learner(net), fresh(net)

    def adapted_loss(ws: list[Tensor], x: Tensor) -> Tensor:
        def loss(ws: list[Tensor]) -> Tensor:
            return learner.functional(ws, True, x).square().mean()

        steps = torch.func.grad(loss)(ws)
        return loss([w - 0.1 * step for w, step in zip(ws, steps, strict=True)])

    meta_gradient = torch.func.grad(adapted_loss)
    found = torch.compile(meta_gradient, fullgraph=True, backend="aot_eager")(weights, x)

    wanted = meta_gradient(weights, x)
    assert all(torch.allclose(f, w, atol=1e-12) for f, w in zip(found, wanted, strict=True))


# There it is torch's own attention, which is then batched by a loop.
@pytest.mark.filterwarnings("ignore:There is a performance drop")
@traced
@pytest.mark.parametrize(
    "make", [mlp, partial(nn.GRUCell, 3, 4), partial(nn.TransformerEncoderLayer, 3, 1, 5, 0.0)]
)
def test_a_vmap_over_weights_compiles_into_one_graph(make, fresh_compiler) -> None:
    net, x = make(), inputs()
    learner, sets = Learner(net), [torch.stack([w, 2 * w]) for w in fresh(net)]

    def both(sets: list[Tensor], x: Tensor) -> Tensor:
        return torch.vmap(lambda ws: learner.functional(ws, True, x))(sets)

    found = torch.compile(both, fullgraph=True, backend="eager")(sets, x)

    assert torch.allclose(found, both(sets, x), atol=1e-12)


@traced
def test_buffers_of_a_compiled_call_are_returned_and_written_back(fresh_compiler) -> None:
    net, x = normalised(), inputs()
    learner, weights = Learner(net), fresh(net)
    _, wanted = learner.functional(weights, True, x, buffers="return")
    before = state_of(net)

    def call(ws: object, x: Tensor, policy: str) -> object:
        return learner.functional(ws, True, x, buffers=policy)

    compiled = torch.compile(call, fullgraph=True, backend="eager")
    _, found = compiled(weights, x, "return")
    _, again = compiled({**by_name(net, weights), **found}, x, "return")
    untouched = state_of(net) == before
    compiled(weights, x, "writeback")
    compiled(weights, x, "writeback")

    assert untouched
    assert [*found] == [*again] == [*wanted] == [name for name, _ in net.named_buffers()]
    assert all(same(found[name], wanted[name]) for name in wanted)
    assert all(same(buffer, again[name]) for name, buffer in net.named_buffers())


@traced
def test_an_unknown_policy_is_refused_by_a_compiled_call_too(fresh_compiler) -> None:
    learner = Learner(mlp())
    call = torch.compile(
        lambda ws, x: learner.functional(ws, True, x, buffers="share"), backend="eager"
    )

    with pytest.raises(Exception, match=r"buffers must be one of"):
        call(fresh(learner.module), inputs())


@traced
def test_tied_weights_may_be_named_by_any_of_their_names_in_a_compiled_call(fresh_compiler) -> None:
    net, x = Tied(), inputs()
    weights = fresh(net)
    named, call = by_name(net, weights), compiled_call(net)
    tied = next(n for n, _ in net.named_parameters(remove_duplicate=False) if n not in named)
    first = next(n for n, p in net.named_parameters() if p is net.get_parameter(tied))
    wanted = expected(net, weights, x)

    assert same(call({**named, tied: named[first]}, x), wanted)
    assert same(call({tied if n == first else n: w for n, w in named.items()}, x), wanted)


@traced
def test_a_compiled_call_leaves_nested_containers_alone(fresh_compiler) -> None:
    class Nested(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)
            self.seen = [[1]]

        def forward(self, x: Tensor) -> Tensor:
            self.seen[0].append(2)
            return self.layer(x) * len(self.seen[0])

    net, x = Nested(), inputs()
    weights = fresh(net)

    found = compiled_call(net, whole=False)(weights, x)

    assert net.seen == [[1]]
    assert same(found, expected(net, weights, x))
