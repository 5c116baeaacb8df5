"""Calls from several threads, and calls that activation checkpointing runs again."""

from __future__ import annotations

import sys
import threading
from collections.abc import Callable, Iterator

import pytest
import torch
from small_nets import Scaled, expected, fresh, inputs, normalised, same
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from metann import DependentModule, Learner


@pytest.fixture
def eager_switching() -> Iterator[None]:
    """Threads take turns as often as Python lets them."""
    before = sys.getswitchinterval()
    sys.setswitchinterval(1e-6)
    yield
    sys.setswitchinterval(before)


def in_threads(work: Callable[[int], None], count: int = 2) -> None:
    """Run `work(0)`, `work(1)`, … at once; raise what they raised."""
    problems: list[BaseException] = []

    def guarded(number: int) -> None:
        try:
            work(number)
        except BaseException as problem:  # noqa: BLE001  # raised again
            problems.append(problem)

    threads = [threading.Thread(target=guarded, args=(number,)) for number in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if problems:
        raise problems[0]


class Deep(nn.Module):
    """Enough layers for threads to meet inside."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.Linear(3, 3) for _ in range(6)])
        self.norm = nn.BatchNorm1d(3)

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.layers:
            x = torch.tanh(layer(x))
        return self.norm(x)


def test_T81_two_threads_with_different_weights_get_0_wrong_results_of_600(eager_switching) -> None:
    net, x = Deep(), inputs()
    learner = Learner(net)
    weights = [fresh(net), fresh(net)]
    wanted = [expected(net, w, x).detach() for w in weights]
    right: list[list[bool]] = [[], []]

    def work(number: int) -> None:
        for _ in range(300):
            found = learner.functional(weights[number], True, x)
            right[number].append(torch.allclose(found, wanted[number], atol=1e-12))

    in_threads(work)

    assert [len(r) for r in right] == [300, 300]
    assert sum(not r for half in right for r in half) == 0


def test_T81_threads_in_different_modes_do_not_meet(eager_switching) -> None:
    net, x = normalised(), inputs()
    learner, weights = Learner(net), fresh(net)
    modes = [True, False]
    wanted = [expected(net, weights, x, training=mode).detach() for mode in modes]
    wrong = []

    def work(number: int) -> None:
        for _ in range(100):
            found = learner.functional(weights, modes[number], x)
            if not torch.allclose(found, wanted[number], atol=1e-12):
                wrong.append(number)

    in_threads(work)

    assert wrong == []


def test_threads_that_see_a_changed_module_all_make_a_right_plan(eager_switching) -> None:
    net, x = nn.Sequential(nn.Linear(3, 3)), inputs()
    learner = Learner(net)
    net.append(nn.Linear(3, 2))
    weights = [fresh(net), fresh(net)]
    wanted = [expected(net, w, x).detach() for w in weights]
    wrong = []

    def work(number: int) -> None:
        for _ in range(50):
            if not torch.allclose(learner.functional(weights[number], True, x), wanted[number]):
                wrong.append(number)

    in_threads(work)

    assert wrong == []


def test_threads_that_first_meet_a_users_class_get_one_counterpart(eager_switching) -> None:
    def kinds_of_one_class() -> list[type]:
        class Net(Scaled):
            pass

        nets, kinds = [Net() for _ in range(4)], []
        in_threads(lambda number: kinds.append(type(DependentModule(nets[number]))), count=4)
        return kinds

    for _ in range(10):
        kinds = kinds_of_one_class()

        assert len(kinds) == 4
        assert len(set(kinds)) == 1


class Checkpointed(nn.Module):
    """Its blocks are run again in the backward pass; one has running statistics."""

    def __init__(self, use_reentrant: bool | None) -> None:
        super().__init__()
        self.use_reentrant = use_reentrant
        self.first = nn.Linear(3, 4)
        self.block = nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 4))
        self.last = nn.Linear(4, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = torch.tanh(self.first(x))
        if self.use_reentrant is None:
            x = self.block(x)
        else:
            x = checkpoint(self.block, x, use_reentrant=self.use_reentrant)
        return self.last(x)


def adapted(net: nn.Module, steps: int, create_graph: bool, data: list[Tensor]) -> list[Tensor]:
    """The loss after `steps` inner steps, then its gradient by the starting weights."""
    x, y, new = data
    learner = Learner(net)
    start = [p.detach().clone().requires_grad_() for p in net.parameters()]
    weights = start
    for _ in range(steps):
        loss = (learner.functional(weights, True, x) - y).square().mean()
        slopes = torch.autograd.grad(loss, weights, create_graph=create_graph)
        weights = [w - 0.1 * g for w, g in zip(weights, slopes, strict=True)]
    outer = (learner.functional(weights, True, new) - y).square().mean()
    return [outer, *torch.autograd.grad(outer, start)]


def twins(use_reentrant: bool) -> tuple[Checkpointed, Checkpointed]:
    """A net with checkpointing, and the same without."""
    net, plain = Checkpointed(use_reentrant), Checkpointed(None)
    plain.load_state_dict(net.state_dict())
    return net, plain


@pytest.mark.parametrize("steps", [1, 2])
@pytest.mark.parametrize("create_graph", [True, False], ids=["second order", "first order"])
def test_T83_checkpointing_inside_the_net_changes_no_meta_gradient(
    steps: int, create_graph: bool
) -> None:
    net, plain = twins(use_reentrant=False)
    data = [inputs(), inputs(5, 2), inputs()]

    found = adapted(net, steps, create_graph, data)

    assert all(map(same, found, adapted(plain, steps, create_graph, data)))


def reentrant_gradients(net: nn.Module, steps: int, data: list[Tensor]) -> list[Tensor]:
    """First order, by `backward()`: what reentrant checkpointing can do at all."""
    x, y, new = data
    learner = Learner(net)
    start = [p.detach().clone().requires_grad_() for p in net.parameters()]
    weights = start
    for _ in range(steps):
        leaves = [w.detach().requires_grad_() for w in weights]
        (learner.functional(leaves, True, x) - y).square().mean().backward()
        weights = [w - 0.1 * leaf.grad for w, leaf in zip(weights, leaves, strict=True)]
    (learner.functional(weights, True, new) - y).square().mean().backward()
    return [leaf.grad for leaf in start]


@pytest.mark.parametrize("steps", [1, 2])
def test_T83_reentrant_checkpointing_gives_the_first_order_meta_gradient(steps: int) -> None:
    net, plain = twins(use_reentrant=True)
    data = [inputs().requires_grad_(), inputs(5, 2), inputs().requires_grad_()]

    found = reentrant_gradients(net, steps, data)

    assert all(map(same, found, reentrant_gradients(plain, steps, data)))


def test_T83_reentrant_checkpointing_at_second_order_is_refused_by_torch_not_wrong() -> None:
    net, _ = twins(use_reentrant=True)

    with pytest.raises(RuntimeError, match="use_reentrant=False"):
        adapted(net, 1, True, [inputs().requires_grad_(), inputs(5, 2), inputs()])


@pytest.mark.parametrize("use_reentrant", [True, False])
def test_T83_the_recompute_sees_the_weights_of_its_call(use_reentrant: bool) -> None:
    net, plain = twins(use_reentrant)
    x = inputs().requires_grad_()
    learner, leaves = Learner(net), fresh(net)
    wanted = torch.autograd.grad(expected(plain, leaves, x).square().sum(), leaves)

    out = learner.functional(leaves, True, x)
    learner.functional(fresh(net), True, x)
    out.square().sum().backward()

    assert all(map(same, (leaf.grad for leaf in leaves), wanted))


def test_checkpointing_around_a_whole_call_changes_nothing() -> None:
    net, x = normalised(), inputs()
    learner, leaves = Learner(net), fresh(net)
    wanted = torch.autograd.grad(expected(net, leaves, x).square().sum(), leaves[:1])

    out = checkpoint(lambda *ws: learner.functional(ws, True, x), *leaves, use_reentrant=False)
    found = torch.autograd.grad(out.square().sum(), leaves[:1])

    assert all(map(same, found, wanted))


def test_a_checkpointed_call_keeps_nothing_alive_after_backward() -> None:
    import gc
    import weakref

    gc.collect()
    gc.disable()
    try:
        net, _ = twins(use_reentrant=False)
        leaves = fresh(net)
        out = Learner(net).functional(leaves, True, inputs())
        out.sum().backward()
        references = [*map(weakref.ref, leaves)]
        del out, leaves
        living = sum(r() is not None for r in references)
    finally:
        gc.enable()

    assert living == 0
