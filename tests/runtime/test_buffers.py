"""What becomes of buffers: copied, returned, or written back; one of each under vmap."""

from __future__ import annotations

import pytest
import torch
from normalising import assert_equal, batches, normalising, plain, state_of, weights_of
from torch import Tensor, nn
from torch.func import functional_call

from metann import DependentModule, Learner
from metann.errors import ArgumentError, SubstitutionError


class Counting(nn.Module):
    """Updates its buffers by assignment, in place, and under two names."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 3)
        self.register_buffer("calls", torch.zeros(()))
        self.register_buffer("seen", torch.zeros(3))
        self.register_buffer("last", None)
        self.register_buffer("scratch", torch.zeros(3), persistent=False)
        self.also_seen = self.seen

    def forward(self, x: Tensor) -> Tensor:
        self.calls = self.calls + 1
        self.seen += x.detach().sum(0)
        self.last = x.detach()[0]
        return self.linear(x) + self.seen


# ── copy ─────────────────────────────────────────────────────────────────────────────────────


def test_T05_statistics_of_one_task_do_not_reach_another():
    net, (first, second) = normalising(), batches(2)
    learner, params = Learner(net), weights_of(net)
    alone = learner.functional(params, True, second, buffers="return")[1]

    learner.functional(params, True, first)
    after = learner.functional(params, True, second, buffers="return")[1]

    assert_equal(after, alone)
    assert all(n == 1 for name, n in after.items() if name.endswith("num_batches_tracked"))


def test_T50_a_call_in_train_mode_does_not_touch_the_original():
    net, (batch,) = normalising(), batches(1)
    before, tensors = state_of(net), [*net.buffers()]

    Learner(net).functional(weights_of(net), True, batch)
    instance = Learner(net).bind(weights_of(net), True)
    instance(batch)

    assert_equal(state_of(net), before)
    assert all(a is b for a, b in zip(net.buffers(), tensors, strict=True))
    assert not torch.equal(instance.get_buffer("1.running_mean"), before["1.running_mean"])


# ── return ───────────────────────────────────────────────────────────────────────────────────


def test_returned_buffers_are_those_that_functional_call_leaves():
    net, (batch,) = normalising(), batches(1)
    params = weights_of(net)

    output, buffers = Learner(net).functional(params, True, batch, buffers="return")

    assert_equal(buffers, plain(net, params, batch))
    torch.testing.assert_close(output, Learner(net).functional(params, True, batch))


def test_returned_buffers_given_again_carry_on_step_by_step():
    net, three = normalising(), batches(3)
    params, learner = weights_of(net), Learner(net)
    named = dict(zip(dict(net.named_parameters()), params, strict=True))
    before = state_of(net)

    buffers = state_of(net)
    for batch in three:
        _, buffers = learner.functional({**named, **buffers}, True, batch, buffers="return")

    assert_equal(buffers, plain(net, params, *three))
    assert_equal(state_of(net), before)


def test_given_buffers_are_used_and_not_written_into():
    net, (batch,) = normalising(), batches(1)
    named = dict(zip(dict(net.named_parameters()), weights_of(net), strict=True))
    given = {name: buffer + 1 for name, buffer in state_of(net).items()}
    kept = {name: buffer.clone() for name, buffer in given.items()}

    output = Learner(net).functional({**named, **given}, False, batch)
    Learner(net).functional({**named, **given}, True, batch)

    torch.testing.assert_close(output, functional_call(net.eval(), {**named, **given}, (batch,)))
    assert_equal(given, kept)


def test_some_buffers_may_be_given():
    net, (batch,) = normalising(), batches(1)
    named = dict(zip(dict(net.named_parameters()), weights_of(net), strict=True))
    mean = {"3.running_mean": torch.randn(5, dtype=torch.float64)}

    output = Learner(net).functional({**named, **mean}, False, batch)

    torch.testing.assert_close(output, functional_call(net.eval(), {**named, **mean}, (batch,)))


def test_bind_takes_buffers_and_keeps_its_own():
    net, (batch,) = normalising(), batches(1)
    params = weights_of(net)
    named = dict(zip(dict(net.named_parameters()), params, strict=True))

    instance = Learner(net).bind({**named, **state_of(net)}, True)
    instance(batch)

    assert_equal(dict(instance.named_buffers()), plain(net, params, batch))


def test_T88_buffers_updated_by_assignment_stay_in_the_instance():
    net = Counting()
    learner, params, x = Learner(net), weights_of(net), torch.randn(2, 3)
    kept = {name: net.get_buffer(name) for name in ("calls", "seen", "scratch")}

    _, buffers = learner.functional(params, True, x, buffers="return")
    _, again = learner.functional(params, True, x, buffers="return")

    assert [*buffers] == ["calls", "seen", "last", "scratch"]
    assert buffers["calls"] == again["calls"] == 1
    torch.testing.assert_close(buffers["seen"], x.sum(0))
    torch.testing.assert_close(buffers["last"], x[0])
    assert all(net.get_buffer(name) is tensor for name, tensor in kept.items())
    assert all(not tensor.any() for tensor in kept.values())
    assert net.last is None


def test_buffers_of_a_cleared_module_are_not_its_dependents():
    net, (batch,) = normalising(), batches(1)
    params = weights_of(net)
    expected = plain(net, params, batch)
    cleared = DependentModule(net).clear_params()

    _, buffers = Learner(cleared).functional(params, True, batch, buffers="return")

    assert_equal(buffers, expected)


# ── writeback ────────────────────────────────────────────────────────────────────────────────


def test_T23_written_back_statistics_are_those_of_sequential_training():
    net, three = normalising(), batches(3)
    params, learner, tensors = weights_of(net), Learner(net), [*net.buffers()]
    expected = plain(net, params, *three)

    for batch in three:
        learner.functional(params, True, batch, buffers="writeback")

    assert_equal(state_of(net), expected)
    assert all(a is b for a, b in zip(net.buffers(), tensors, strict=True))


def test_buffers_of_another_shape_or_none_are_written_back_too():
    net, x = Counting(), torch.randn(2, 3)

    Learner(net).functional(weights_of(net), True, x, buffers="writeback")

    assert net.calls == 1
    torch.testing.assert_close(net.last, x[0])
    assert net.seen is net.also_seen
    assert not any(buffer.requires_grad for buffer in net.buffers())
    assert "scratch" not in net.state_dict()


def test_nothing_is_written_back_when_the_call_fails():
    net = normalising()
    before = state_of(net)

    def fail(*_: object) -> None:
        raise LookupError("after the first normalisation")

    net[2].register_forward_hook(fail)
    with pytest.raises(LookupError):
        Learner(net).functional(weights_of(net), True, batches(1)[0], buffers="writeback")

    assert_equal(state_of(net), before)


# ── what is refused ──────────────────────────────────────────────────────────────────────────


def test_an_unknown_policy_is_refused():
    net = normalising()
    message = r"buffers must be one of 'copy', 'return', 'writeback', got 'share'\. A mapping"

    with pytest.raises(ArgumentError, match=message):
        Learner(net).functional(weights_of(net), True, batches(1)[0], buffers="share")


def test_writing_back_inside_a_transform_is_refused():
    net, (batch,) = normalising(), batches(1)
    before = state_of(net)

    def call(params: tuple[Tensor, ...]) -> Tensor:
        return Learner(net).functional([*params], True, batch, buffers="writeback").sum()

    params = tuple(p.detach() for p in net.parameters())
    with pytest.raises(ArgumentError, match=r"Use buffers='return'"):
        torch.vmap(call)(tuple(torch.stack([p, p]) for p in params))
    with pytest.raises(ArgumentError, match=r"inside a torch\.func transform"):
        torch.func.grad(call)(params)
    assert_equal(state_of(net), before)


def test_every_buffer_that_does_not_fit_is_named():
    net = normalising()
    named = dict(zip(dict(net.named_parameters()), weights_of(net), strict=True))
    wrong = {
        "1.running_mean": torch.zeros(5, dtype=torch.float32),
        "1.running_var": torch.zeros(4, dtype=torch.float32),
        "3.running_var": 1,
    }
    message = (
        r"the buffers do not fit, nothing was changed: "
        r"1\.running_mean must be torch\.float64 of shape \(5,\) on cpu, "
        r"got torch\.float32 of shape \(5,\) on cpu; "
        r"1\.running_var must be .* got torch\.float32 of shape \(4,\) on cpu; "
        r"3\.running_var must be a tensor, got int"
    )

    with pytest.raises(SubstitutionError, match=message):
        Learner(net).functional({**named, **wrong}, True, batches(1)[0])


def test_tied_buffers_take_one_value():
    net = nn.ModuleList([nn.BatchNorm1d(2), nn.BatchNorm1d(2)])
    net[1].running_mean = net[0].running_mean
    named = dict(net.named_parameters())
    one, other = torch.ones(2), torch.zeros(2)

    instance = Learner(net).bind({**named, "1.running_mean": one})
    with pytest.raises(SubstitutionError, match=r"1\.running_mean is the same tensor as another"):
        Learner(net).bind({**named, "0.running_mean": one, "1.running_mean": other})

    first, second = (layer.running_mean for layer in instance)
    assert first is second
    assert torch.equal(first, one)


def test_a_name_that_is_neither_weight_nor_buffer_is_still_an_error():
    net = normalising()
    named = dict(zip(dict(net.named_parameters()), weights_of(net), strict=True))

    with pytest.raises(SubstitutionError, match=r"unknown: 1\.running_men"):
        Learner(net).functional({**named, "1.running_men": torch.ones(5)}, True, batches(1)[0])
