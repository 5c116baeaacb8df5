"""Under vmap each element has buffers of its own, those of users' modules included."""

from __future__ import annotations

import pytest
import torch
from normalising import assert_equal, batches, normalising, plain, state_of
from torch import Tensor, nn

from metann import Learner


@pytest.mark.parametrize("momentum", [0.1, None])
@pytest.mark.parametrize("norm", [nn.BatchNorm1d, nn.InstanceNorm1d])
def test_under_vmap_each_task_has_its_own_statistics(norm: type[nn.Module], momentum: float | None):
    if norm is nn.InstanceNorm1d:
        momentum = momentum or 0.3
    net = nn.Sequential(nn.Conv1d(2, 3, 1), norm(3, momentum=momentum, track_running_stats=True))
    net = net.double()
    learner, names = Learner(net), [*dict(net.named_parameters())]
    sets = [torch.stack([p * s for s in (0.9, 1.0, 1.2)]).detach() for p in net.parameters()]
    x = torch.randn(3, 4, 2, 5, dtype=torch.float64)

    def call(params: list[Tensor], x: Tensor) -> tuple[Tensor, dict[str, Tensor]]:
        named = dict(zip(names, params, strict=True))
        return learner.functional(named, True, x, buffers="return")

    outputs, buffers = torch.vmap(call)(sets, x)

    for task in range(3):
        output, expected = call([p[task] for p in sets], x[task])
        torch.testing.assert_close(outputs[task], output, rtol=1e-12, atol=1e-12)
        assert_equal({name: buffer[task] for name, buffer in buffers.items()}, expected)


@pytest.mark.parametrize("momentum", [0.1, None])
def test_under_vmap_statistics_of_each_task_carry_on(momentum: float | None):
    net, tasks = normalising(), 3
    net[1].momentum = net[3].momentum = momentum
    learner, names = Learner(net), [*dict(net.named_parameters())]
    sets = [torch.stack([p * s for s in (0.9, 1.0, 1.2)]).detach() for p in net.parameters()]
    two = torch.randn(2, tasks, 6, 4, dtype=torch.float64)
    buffers = {name: torch.stack([buffer] * tasks) for name, buffer in net.named_buffers()}

    def call(params: list[Tensor], buffers: dict[str, Tensor], x: Tensor) -> dict[str, Tensor]:
        named = dict(zip(names, params, strict=True))
        return learner.functional({**named, **buffers}, True, x, buffers="return")[1]

    for x in two:
        buffers = torch.vmap(call)(sets, buffers, x)

    for task in range(tasks):
        expected = plain(net, [p[task] for p in sets], two[0, task], two[1, task])
        assert_equal({name: buffer[task] for name, buffer in buffers.items()}, expected)


def test_the_module_can_be_used_after_a_vmap_over_its_statistics():
    net, (batch,) = normalising(), batches(1)
    before = state_of(net)
    sets = [torch.stack([p, 2 * p]).detach() for p in net.parameters()]

    torch.vmap(lambda p: Learner(net).functional(list(p), True, batch))(tuple(sets))

    assert_equal(state_of(net), before)
    assert net(batch).shape == (6, 5)


def test_gradients_inside_and_outside_of_a_vmap_with_statistics():
    net, (batch,) = normalising(), batches(1)
    learner = Learner(net)

    def loss(params: tuple[Tensor, ...]) -> Tensor:
        return learner.functional([*params], True, batch).pow(3).sum()

    sets = tuple(torch.stack([p, 1.3 * p]).detach().requires_grad_() for p in net.parameters())
    inside = torch.vmap(torch.func.grad(loss))(sets)
    outside = torch.autograd.grad(torch.vmap(loss)(sets).sum(), sets)
    alone = [torch.func.grad(loss)(tuple(p[i] for p in sets)) for i in range(2)]

    for number, expected in enumerate(zip(*alone, strict=True)):
        torch.testing.assert_close(inside[number], torch.stack(expected))
        torch.testing.assert_close(outside[number], torch.stack(expected))


class Reading(nn.Module):
    """Reads its buffers in ways that no batched tensor allows, and writes into one of them."""

    def __init__(self) -> None:
        super().__init__()
        layer = nn.TransformerEncoderLayer(4, 1, 8, dropout=0.0, batch_first=True)
        self.encoder = nn.TransformerEncoder(layer, 1, enable_nested_tensor=False)
        self.register_buffer("mask", nn.Transformer.generate_square_subsequent_mask(5))
        self.register_buffer("kept", torch.tensor([True, False, True, True]))
        self.register_buffer("flag", torch.tensor(True))

    def forward(self, x: Tensor) -> Tensor:
        scale = 2.0 if self.flag.item() else 1.0
        return scale * self.encoder(x, mask=self.mask)[..., self.kept]


class Averaging(nn.Module):
    """Writes into a buffer of its own in place."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.register_buffer("average", torch.randn(3))

    def forward(self, x: Tensor) -> Tensor:
        y = self.linear(x)
        self.average.mul_(0.9).add_(0.1 * y.detach().mean(0))
        return y - self.average


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize(("make", "shape"), [(Reading, (2, 5, 4)), (Averaging, (6, 4))])
def test_under_vmap_buffers_of_users_may_be_read_or_written(make, shape, training: bool):
    net, x = make(), torch.randn(shape)
    learner, before = Learner(net), state_of(net)
    sets = [torch.stack([p * s for s in (0.9, 1.2)]).detach() for p in net.parameters()]

    def call(params: list[Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        return learner.functional(params, training, x, buffers="return")

    for _ in range(2):
        outputs, buffers = torch.vmap(call)(sets)
        for task in range(2):
            output, expected = call([p[task] for p in sets])
            torch.testing.assert_close(outputs[task], output)
            assert_equal({name: buffer[task] for name, buffer in buffers.items()}, expected)
    assert_equal(state_of(net), before)


def test_another_error_under_vmap_is_raised_as_it_is():
    class Failing(nn.Module):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            Failing.calls += 1
            raise RuntimeError("of the module's own")

    with pytest.raises(RuntimeError, match=r"of the module's own"):
        torch.vmap(lambda x: Learner(Failing()).functional([], True, x))(torch.ones(2))

    assert Failing.calls == 1


def test_outside_of_vmap_a_failing_call_is_made_once():
    class Mistaken(nn.Module):
        calls = 0

        def forward(self, x: Tensor) -> Tensor:
            Mistaken.calls += 1
            return torch.zeros(3).add_(x).sum()

    with pytest.raises(RuntimeError, match=r"doesn't match the broadcast shape"):
        torch.func.grad(lambda x: Learner(Mistaken()).functional([], True, x))(torch.ones(2, 3))

    assert Mistaken.calls == 1


def test_returned_buffers_may_be_given_inside_a_further_vmap_and_a_gradient():
    net, (batch,) = normalising(), batches(1)
    learner, named = Learner(net), {name: p.detach() for name, p in net.named_parameters()}
    factors = torch.tensor([1.0, 1.5]).double()

    def twice(weights: dict[str, Tensor]) -> Tensor:
        _, buffers = learner.functional(weights, True, batch, buffers="return")

        def again(factor: Tensor) -> Tensor:
            scaled = {name: factor * weight for name, weight in weights.items()}
            given = {**scaled, **buffers}
            return learner.functional(given, True, batch, buffers="return")[1]["1.running_mean"]

        return torch.stack([again(factor) for factor in factors]), torch.vmap(again)(factors)

    sets = {name: torch.stack([p, 1.3 * p]) for name, p in named.items()}
    for loop, at_once in (
        torch.vmap(twice)(sets),
        torch.func.vjp(twice, named)[0],
        torch.vmap(lambda s: torch.func.vjp(twice, s)[0])(sets),
    ):
        torch.testing.assert_close(at_once, loop)
