"""Calls do not reach each other, nor the module: the contracts that peers break."""

from __future__ import annotations

import gc
import weakref
from collections.abc import Iterator

import pytest
import torch
from small_nets import (
    Counting,
    Scaled,
    Shared,
    Tied,
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
from torch.autograd.graph import saved_tensors_hooks

from metann import DependentModule, Learner


@pytest.fixture
def no_gc() -> Iterator[None]:
    """What dies in the test dies by reference counts alone."""
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def alive(references: list[weakref.ref]) -> int:
    return sum(r() is not None for r in references)


class Saved:
    """What autograd keeps for the backward pass: lives exactly as long as the graph."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    @classmethod
    def noted(cls, tensor: Tensor, notes: list[weakref.ref]) -> Saved:
        """Keep `tensor`, and note a weak reference."""
        kept = cls(tensor.detach())
        notes.append(weakref.ref(kept))
        return kept


def test_T02_a_call_does_not_change_what_an_earlier_instance_uses() -> None:
    net, x = mlp(), inputs()
    learner, weights = Learner(net), fresh(net)
    bound = learner.bind(weights)

    learner.functional([2 * w for w in weights], True, x)

    assert same(bound(x), expected(net, weights, x))


def test_T03_a_tied_weight_given_once_is_used_in_both_places() -> None:
    net, x = Tied(), inputs()

    assert same(Learner(net).functional(list(net.parameters()), True, x), net(x))


def test_T05_running_statistics_of_one_task_do_not_reach_another() -> None:
    net = normalised()
    learner, weights = Learner(net), fresh(net)
    first, second = inputs(), inputs()
    wanted = expected(net, weights, first, training=True)

    learner.functional(weights, True, second * 100)

    assert same(learner.functional(weights, True, first), wanted)
    assert int(net[1].num_batches_tracked) == 0


def test_T50_a_call_in_train_mode_does_not_touch_the_running_statistics() -> None:
    net = normalised()
    before = state_of(net)

    Learner(net).functional(fresh(net), True, inputs())

    assert state_of(net) == before


@pytest.mark.parametrize("make", [mlp, normalised, Scaled, Tied, Shared, Counting])
def test_T07_nothing_of_a_call_lives_on_once_its_result_is_gone(make, no_gc) -> None:
    net, x = make(), inputs()
    learner, saved = Learner(net), []
    leaves, weights = computed(net)

    with saved_tensors_hooks(lambda t: Saved.noted(t, saved), lambda s: s.tensor):
        out = learner.functional(weights, True, x)
    references = [*map(weakref.ref, weights), *map(weakref.ref, leaves), weakref.ref(out), *saved]
    assert alive(references) == len(references) > 3
    del out, weights, leaves

    assert alive(references) == 0


def test_T07_the_instance_of_a_call_dies_with_the_call(no_gc) -> None:
    seen = []

    class Watching(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            seen.extend([weakref.ref(self), weakref.ref(self.layer)])
            return self.layer(x)

    net = Watching()
    out = Learner(net).functional(fresh(net), True, inputs())

    assert out.requires_grad
    assert len(seen) == 2
    assert alive(seen) == 0


@pytest.mark.parametrize("make", [mlp, normalised, Scaled, Tied, Shared, Counting])
def test_T07_a_bound_instance_is_in_no_reference_cycle(make, no_gc) -> None:
    net = make()
    learner, weights = Learner(net), fresh(net)
    bound = learner.bind(weights)
    bound(inputs())
    references = [*map(weakref.ref, bound.modules()), *map(weakref.ref, weights)]

    del bound, weights

    assert alive(references) == 0


def test_T07_a_stateless_copy_that_was_substituted_and_called_is_in_no_cycle(no_gc) -> None:
    net = mlp()
    copied = DependentModule.stateless(net)
    weights = fresh(net)
    copied.substitute_from_list(weights)
    copied(inputs())
    references = [*map(weakref.ref, copied.modules()), *map(weakref.ref, weights)]

    del copied, weights

    assert alive(references) == 0


def test_T07_the_learner_keeps_no_weights_of_a_call_that_failed(no_gc) -> None:
    net = mlp()
    learner, weights = Learner(net), fresh(net)
    references = [*map(weakref.ref, weights)]

    with pytest.raises(RuntimeError, match=r"shape|size"):
        learner.functional(weights, True, inputs(5, 7))
    del weights

    assert alive(references) == 0


def test_T07_a_learner_and_its_module_die_together(no_gc) -> None:
    net = mlp()
    learner = Learner(net)
    learner.functional(fresh(net), True, inputs())
    references = [*map(weakref.ref, net.modules()), *map(weakref.ref, net.parameters())]

    del net, learner

    assert alive(references) == 0


def test_T07_an_old_model_does_not_live_on_in_the_plan_after_its_layer_was_replaced(no_gc) -> None:
    net = mlp()
    learner = Learner(net)
    old = weakref.ref(net[0])

    net[0] = nn.Linear(3, 4)
    learner.functional(fresh(net), True, inputs())

    assert old() is None


def test_T51_a_hook_added_inside_a_forward_does_not_reach_the_original() -> None:
    class Hooking(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            self.layer.register_forward_hook(lambda *_: None)
            return self.layer(x)

    net = Hooking()
    Learner(net).functional(fresh(net), True, inputs())

    assert len(net.layer._forward_hooks) == 0


def test_T54_a_call_leaves_number_names_and_identities_of_parameters_alone() -> None:
    net = Shared()
    before = [(name, id(p)) for name, p in net.named_parameters(remove_duplicate=False)]

    Learner(net).functional(fresh(net), True, inputs())

    assert [(n, id(p)) for n, p in net.named_parameters(remove_duplicate=False)] == before
    assert net.first is net.second


def test_T54_inside_a_call_a_shared_module_is_one_module() -> None:
    seen = []

    class Watching(Shared):
        def forward(self, x: Tensor) -> Tensor:
            seen.append(self.first is self.second)
            return super().forward(x)

    net = Watching()
    Learner(net).functional(fresh(net), True, inputs())

    assert seen == [True]


def test_T80_the_parameters_of_a_shared_submodule_are_the_same_objects_after_a_call() -> None:
    net = nn.Sequential(layer := nn.Linear(3, 3), nn.Tanh(), layer)
    before = (layer.weight, layer.bias)

    Learner(net).functional(fresh(net), True, inputs())

    assert layer.weight is before[0]
    assert layer.bias is before[1]
    assert net[0] is net[2]


def test_an_exception_in_a_forward_leaves_nothing_changed() -> None:
    class Failing(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.norm = nn.BatchNorm1d(3)
            self.register_buffer("calls", torch.tensor(0))
            self.log: list[int] = []

        def forward(self, x: Tensor) -> Tensor:
            self.norm(x)
            self.calls += 1
            self.log.append(1)
            raise RuntimeError("this forward fails")

    net = nn.Sequential(nn.Linear(3, 3), Failing()).eval()
    before = state_of(net)

    with pytest.raises(RuntimeError, match="this forward fails"):
        Learner(net).functional(fresh(net), True, inputs())

    assert state_of(net) == before
    assert net[1].log == []


def test_a_call_after_an_exception_is_right() -> None:
    net, x = mlp(), inputs()
    learner, weights = Learner(net), fresh(net)
    with pytest.raises(RuntimeError, match=r"shape|size"):
        learner.functional(weights, True, inputs(5, 7))

    assert same(learner.functional(weights, True, x), expected(net, weights, x))


def test_calls_may_be_nested() -> None:
    inner, x = mlp(), inputs()
    inner_weights = fresh(inner)

    class Outer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(2, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(Learner(inner).functional(inner_weights, True, x))

    outer = Outer()
    weights = fresh(outer)
    wanted = expected(inner, inner_weights, x) @ weights[0].T + weights[1]

    assert same(Learner(outer).functional(weights, True, x), wanted)


def test_a_forward_may_call_its_own_learner_with_other_weights() -> None:
    class Recursive(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)

        def forward(self, x: Tensor, depth: int) -> Tensor:
            here = self.layer(x)
            if depth:
                below = learners[0].functional(
                    [2 * w for w in self.parameters()], True, x, depth - 1
                )
                return here + below + self.layer(x)
            return here

    net, x = Recursive(), inputs()
    learners = [Learner(net)]
    weight, bias = fresh(net)
    once = x @ weight.T + bias

    assert same(learners[0].functional([weight, bias], True, x, 2), (2 + 2 * 2 + 4) * once)


def test_a_result_can_be_differentiated_after_many_further_calls() -> None:
    net, x = normalised(), inputs()
    learner = Learner(net)
    leaves, weights = computed(net)
    wanted = torch.autograd.grad(
        expected(net, weights, x).square().sum(), leaves, retain_graph=True
    )

    out = learner.functional(weights, True, x)
    for _ in range(3):
        learner.functional(fresh(net), True, inputs())
    found = torch.autograd.grad(out.square().sum(), leaves)

    assert all(map(same, found[:1], wanted[:1]))
    assert all(torch.allclose(f, w, atol=1e-12) for f, w in zip(found, wanted, strict=True))


def test_parameters_of_the_module_get_no_gradient_from_a_call() -> None:
    net = mlp()

    Learner(net).functional(fresh(net), True, inputs()).sum().backward()

    assert all(p.grad is None for p in net.parameters())


def test_a_training_step_on_the_module_itself_is_seen_by_the_next_call() -> None:
    net, x = mlp(), inputs()
    learner, optimiser = Learner(net), torch.optim.SGD(net.parameters(), lr=0.1)

    learner.functional(net.parameters(), True, x).square().sum().backward()
    optimiser.step()

    assert same(learner.functional(net.parameters(), True, x), net(x))
    assert all(p.grad is not None for p in net.parameters())


def test_T25_the_swapped_weights_of_a_recurrent_net_are_used_without_a_warning() -> None:
    x = inputs(5, 2, 3)
    for kind, options in [
        (nn.LSTM, {"bidirectional": True}),
        (nn.LSTM, {"proj_size": 2, "num_layers": 2}),
        (nn.GRU, {"bidirectional": True, "num_layers": 2}),
        (nn.RNN, {"nonlinearity": "relu"}),
    ]:
        net = kind(3, 4, **options)
        weights = [0.3 * w for w in fresh(net)]

        out = Learner(net).functional(weights, True, x)[0]

        assert same(out, expected(net, weights, x)[0])
        assert not torch.allclose(out, net(x)[0])


def test_T25_gradients_of_a_recurrent_net_reach_every_weight() -> None:
    net = nn.LSTM(3, 4, bidirectional=True, proj_size=2)
    leaves, weights = computed(net)

    out, _ = Learner(net).functional(weights, True, inputs(5, 2, 3))
    gradients = torch.autograd.grad(out.square().sum(), leaves)

    assert all(g.abs().sum() > 0 for g in gradients)


@pytest.mark.parametrize("spoil", ["name", "shape"])
def test_T82_an_unknown_name_or_wrong_shape_is_an_error_by_default(spoil: str) -> None:
    net = mlp()
    named = dict(net.named_parameters())
    named["typo" if spoil == "name" else "0.bias"] = torch.randn(7)

    with pytest.raises(
        ValueError, match=r"unknown: typo|0\.bias must have shape \(4,\), got \(7,\)"
    ):
        Learner(net).functional(named, True, inputs())


def test_T88_buffers_that_a_forward_replaces_stay_in_the_instance() -> None:
    net, x = Counting(), inputs()
    bound = Learner(net).bind(fresh(net))

    bound(x)
    bound(x)

    assert (int(bound.calls), int(net.calls)) == (2, 0)
    assert "calls" in dict(bound.named_buffers())
