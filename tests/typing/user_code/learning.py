"""A learner takes and returns what its module does, and binds it to its counterpart."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence
from typing_extensions import assert_type

from metann import DependentModule, Learner
from metann.batching import over_tasks
from metann.generated import DependentLinear, DependentSequential


class Net(nn.Module):
    """A module whose forward is annotated."""

    def forward(self, x: Tensor, scale: float = 1.0) -> tuple[Tensor, int]:
        return x * scale, 1


def of_a_layer(params: list[Tensor], named: dict[str, Tensor], x: Tensor) -> None:
    learner = Learner(nn.Linear(3, 4))
    assert_type(learner, Learner[nn.Linear])
    assert_type(learner.module, nn.Linear)
    assert_type(learner.functional(params, True, x), Tensor)
    assert_type(learner.functional(named, False, input=x), Tensor)
    assert_type(learner.functional(iter(params), True, x), Tensor)
    assert_type(learner.bind(params), DependentLinear)
    assert_type(learner.bind(params, training=False)(x), Tensor)


def of_a_users_module(net: Net, params: list[Tensor], x: Tensor) -> None:
    learner = Learner(net)
    assert_type(learner.module, Net)
    assert_type(learner.functional(params, True, x), tuple[Tensor, int])
    assert_type(learner.functional(params, True, x, scale=2.0), tuple[Tensor, int])
    assert_type(learner.bind(params), DependentModule)


def of_a_container(params: list[Tensor]) -> None:
    learner = Learner(nn.Sequential(nn.Linear(3, 4), nn.ReLU()))
    assert_type(learner.bind(params), DependentSequential)


def of_a_recurrent_layer(params: list[Tensor], x: Tensor) -> None:
    assert_type(Learner(nn.GRUCell(3, 4)).functional(params, True, x), Tensor)
    assert_type(Learner(nn.LSTMCell(3, 4)).functional(params, True, x), tuple[Tensor, Tensor])


def with_buffers(params: list[Tensor], x: Tensor) -> None:
    learner = Learner(nn.BatchNorm1d(3))
    returned = learner.functional(params, True, x, buffers="return")
    assert_type(returned, tuple[Tensor, dict[str, Tensor]])
    assert_type(learner.functional(params, True, x, buffers="writeback"), Tensor)
    assert_type(learner.functional(params, True, x, buffers="copy"), Tensor)


def for_all_tasks(net: Net, params: list[Tensor], named: dict[str, Tensor], x: Tensor) -> None:
    learner = Learner(net)
    assert_type(learner.batched(params, True, x), tuple[Tensor, int])
    assert_type(learner.batched(named, None, x, scale=2.0), tuple[Tensor, int])
    returned = learner.batched(params, True, x, buffers="return")
    assert_type(returned, tuple[tuple[Tensor, int], dict[str, Tensor]])
    assert_type(Learner(nn.Linear(3, 4)).batched(params, True, x, buffers="copy"), Tensor)
    assert_type(over_tasks(net.forward, x, how="loop"), tuple[Tensor, int])


def trained(learner: Learner[nn.Module], params: list[Tensor]) -> DependentModule:
    """For a learner of any module."""
    return learner.bind(params)


def any_learner_will_do(params: list[Tensor]) -> None:
    assert_type(trained(Learner(nn.Linear(3, 4)), params), DependentModule)


def of_a_forward_with_overloads(params: list[Tensor], x: Tensor, packed: PackedSequence) -> None:
    learner = Learner(nn.LSTM(3, 4))
    assert_type(learner.functional(params, True, x), tuple[Tensor, tuple[Tensor, Tensor]])
    # What a forward takes can be carried over only as one signature: two checkers see the first.
    # E: mypy[call-overload] pyright[reportArgumentType]
    learner.functional(params, True, packed)
    # What `bind` returns has them all.
    assert_type(learner.bind(params)(packed)[0], PackedSequence)
