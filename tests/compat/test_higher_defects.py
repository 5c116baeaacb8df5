"""What is wrong in higher is right in metann.compat.higher; the numbers are those of findings."""

from __future__ import annotations

import copy
import gc
import inspect
import weakref
from collections.abc import Callable
from typing import Any

import higher_snippets as snippets
import pytest
import torch
import torch.nn.functional as F
from by_hand import CLOSE, descended, loss_at, require_slope
from models_of_many import Encoder
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from metann import Learner
from metann.compat import higher


def sgd(model: nn.Module, lr: float = 0.1) -> torch.optim.Optimizer:
    return torch.optim.SGD(model.parameters(), lr=lr)


def adapted_loss(model: nn.Module, data: Any, steps: int = 2, **settings: Any) -> Tensor:
    """The loss on the last batch after steps on the first."""
    (x, y), (x_query, y_query) = data[0], data[-1]
    with higher.innerloop_ctx(model, sgd(model), copy_initial_weights=False, **settings) as loop:
        fmodel, diffopt = loop
        for _ in range(steps):
            diffopt.step(F.cross_entropy(fmodel(x), y))
        return F.cross_entropy(fmodel(x_query), y_query)


# ── hooks, submodules, ties ──────────────────────────────────────────────────────────────────


def test_T20_hooks_run_in_the_functional_module() -> None:
    model, seen = snippets.small_net(), []
    model[0].register_forward_hook(lambda module, args, output: seen.append("after"))  # type: ignore[index]
    model[0].register_forward_pre_hook(lambda module, args: (args[0] * 2,))  # type: ignore[index]
    model.register_forward_hook(
        lambda module, args, kwargs, output: seen.append(str(kwargs)), with_kwargs=True
    )
    x = torch.randn(2, 3)
    expected, count = model(x), len(seen)

    fmodel = higher.monkeypatch(model)

    assert torch.equal(fmodel(x), expected)
    assert seen[count:] == ["after", "{}"]


def test_a_hook_added_to_the_functional_module_is_not_the_models() -> None:
    model, seen = snippets.small_net(), []
    fmodel = higher.monkeypatch(model)
    handle = fmodel[0].register_forward_hook(lambda module, args, output: seen.append(1))
    x = torch.randn(2, 3)

    model(x)
    assert seen == []
    fmodel(x)
    assert seen == [1]
    handle.remove()
    fmodel.update_params([p * 2 for p in fmodel.parameters()])
    fmodel(x)
    assert seen == [1]


def test_T33_a_submodule_of_a_sequential_is_called_and_assigned_directly() -> None:
    model, x = snippets.small_net(), torch.randn(4, 3)
    fmodel = higher.monkeypatch(model)
    part = fmodel[0]

    fmodel[0].weight = part.weight * 2

    expected = F.linear(x, model[0].weight * 2, model[0].bias)  # type: ignore[index]
    torch.testing.assert_close(part(x), expected)
    assert fmodel.fast_params[0] is part.weight
    assert len({id(weight) for time in (0, 1) for weight in fmodel.parameters(time=time)}) == 5


def test_tied_weights_stay_tied() -> None:
    class Tied(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 3)
            self.second.weight = self.first.weight

        def forward(self, x: Tensor) -> Tensor:
            return self.second(self.first(x).tanh())

    model, data = Tied(), [(torch.randn(4, 3), torch.randint(3, (4,)))] * 2
    first, weights = descended(model, data, 0.1)
    expected = torch.autograd.grad(loss_at(model, weights, *data[0]), [*first.values()])

    loss = adapted_loss(model, data)

    torch.testing.assert_close(torch.autograd.grad(loss, [*model.parameters()]), expected, **CLOSE)
    fmodel = higher.monkeypatch(model)
    fmodel.second.weight = fmodel.first.weight * 2
    assert [w is fmodel.second.weight for w in fmodel.fast_params] == [True, False, False]
    assert fmodel.first.weight is fmodel.second.weight


def test_what_a_forward_keeps_can_be_read() -> None:
    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.calls, self.seen = nn.Linear(3, 2), 0, []
            self.register_buffer("total", torch.zeros(()))

        def forward(self, x: Tensor) -> Tensor:
            self.calls += 1
            self.features = self.linear(x)
            self.seen.append(self.linear)
            self.total = self.total + 1
            return self.features

    model = Keeps()
    fmodel = higher.monkeypatch(model)

    outputs = [fmodel(torch.randn(4, 3)) for _ in range(2)]

    assert (fmodel.calls, fmodel.total.item(), model.calls, model.total.item()) == (2, 2, 0, 0)
    assert fmodel.features is outputs[-1]
    assert fmodel.seen == [fmodel.linear, fmodel.linear]


# ── orders of derivatives ────────────────────────────────────────────────────────────────────


def test_T21_first_order_maml_by_one_flag() -> None:
    model, data = snippets.small_net(), snippets.batches(2)
    _, weights = descended(model, [data[0]] * 2, 0.1, order=1)
    expected = torch.autograd.grad(loss_at(model, weights, *data[-1]), [*weights.values()])

    adapted_loss(model, data, track_higher_grads=False).backward()

    torch.testing.assert_close([p.grad for p in model.parameters()], [*expected], **CLOSE)


@pytest.mark.parametrize(
    "normalised",
    [nn.utils.weight_norm, nn.utils.parametrizations.weight_norm],
    ids=["the old way", "a parametrization"],
)
@pytest.mark.filterwarnings("ignore:.*weight_norm.* is deprecated:FutureWarning")
def test_T24_weight_norm(normalised: Callable[..., nn.Module]) -> None:
    model = nn.Sequential(normalised(nn.Linear(3, 4)), nn.Tanh(), nn.Linear(4, 2))
    data = snippets.batches(2)

    def run(changed: nn.Module) -> Tensor:
        return adapted_loss(changed, data)

    require_slope(run, model, rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("kind", [nn.LSTM, nn.GRU, nn.RNN])
def test_T25_recurrent_layers(kind: Callable[..., nn.Module]) -> None:
    class Recurrent(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            extra = {"proj_size": 2} if kind is nn.LSTM else {}
            self.layer = kind(3, 4, bidirectional=True, **extra)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)[0].sum(0)

    model, x = Recurrent(), torch.randn(5, 4, 3)
    data = [(x, torch.randint(4, (4,)))] * 2

    def run(changed: nn.Module) -> Tensor:
        return adapted_loss(changed, data)

    require_slope(run, model, rtol=1e-6, atol=1e-9)


def test_T57_a_transformer_to_second_order() -> None:
    model, data = Encoder(), [(torch.randn(3, 5, 4), torch.randint(4, (3,)))] * 2

    def run(changed: nn.Module) -> Tensor:
        return adapted_loss(changed, data)

    require_slope(run, model, rtol=1e-5, atol=1e-9)


WAYS: dict[str, Callable[[Any, Tensor], Tensor]] = {
    "a call": lambda fmodel, x: fmodel(x),
    "forward": lambda fmodel, x: fmodel.forward(x),
    "a method": lambda fmodel, x: Learner(fmodel.module).bind(fmodel.fast_params).encode(x),
}


@pytest.mark.parametrize("way", WAYS)
def test_T83_activation_checkpointing_inside_the_model(way: str) -> None:
    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear, self.head = nn.Linear(3, 4), nn.Linear(4, 2)

        def forward(self, x: Tensor) -> Tensor:
            return checkpoint(self._forward, x, use_reentrant=False)

        def encode(self, x: Tensor) -> Tensor:
            return checkpoint(self._forward, x, use_reentrant=False)

        def _forward(self, x: Tensor) -> Tensor:
            return self.head(self.linear(x).tanh())

    model, plain, data = Checkpointed(), snippets.Named(), snippets.batches(2)
    plain.load_state_dict(model.state_dict())
    first, weights = descended(plain, [data[0]] * 2, 0.1)
    expected = torch.autograd.grad(loss_at(plain, weights, *data[-1]), [*first.values()])

    with higher.innerloop_ctx(model, sgd(model), copy_initial_weights=False) as (fmodel, diffopt):
        for _ in range(2):
            diffopt.step(F.cross_entropy(WAYS[way](fmodel, data[0][0]), data[0][1]))
        loss = F.cross_entropy(WAYS[way](fmodel, data[1][0]), data[1][1])

    torch.testing.assert_close(torch.autograd.grad(loss, [*model.parameters()]), expected, **CLOSE)


def test_forward_is_the_models_without_hooks() -> None:
    model, x = snippets.small_image_net(), torch.randn(4, 1, 6, 6)
    model.register_forward_hook(lambda module, args, output: output * 0)
    fmodel = higher.monkeypatch(model)
    reference = copy.deepcopy(model)

    torch.testing.assert_close(fmodel.forward(x), reference.forward(x), **CLOSE)
    torch.testing.assert_close([*fmodel.buffers()], [*reference.buffers()], **CLOSE)
    assert [*inspect.signature(fmodel.forward).parameters] == ["input"]
    rows = torch.vmap(fmodel.eval().forward)(x[:, None])[:, 0]
    torch.testing.assert_close(rows, reference.eval().forward(x), **CLOSE)


def test_T29_autocast_around_the_loop() -> None:
    model, data = snippets.small_net().float(), snippets.batches(2)
    data = [(x.float(), y) for x, y in data]

    with torch.autocast("cpu", dtype=torch.bfloat16):
        loss = adapted_loss(model, data)
    loss.backward()

    exact = torch.autograd.grad(adapted_loss(model, data), [*model.parameters()])
    for p, grad in zip(model.parameters(), exact, strict=True):
        torch.testing.assert_close(p.grad, grad, rtol=0.1, atol=0.03)


# ── memory, copies, transforms ───────────────────────────────────────────────────────────────


@pytest.mark.parametrize("tracks", [True, False])
def test_T22_nothing_is_left_of_a_task(tracks: bool) -> None:
    model, data = snippets.small_image_net(), snippets.images()
    alive: list[weakref.ref[Any]] = []
    gc.collect()
    gc.disable()
    try:
        for _ in range(3):
            opt = sgd(model)
            with higher.innerloop_ctx(model, opt, track_higher_grads=tracks) as (fmodel, diffopt):
                for _ in range(2):
                    loss = F.cross_entropy(fmodel(data[0][0]), data[1][0])
                    diffopt.step(loss)
                    alive.append(weakref.ref(loss))
                alive += [weakref.ref(each) for each in (fmodel[0], *fmodel.parameters())]
            del fmodel, diffopt, loss
    finally:
        gc.enable()

    assert len(alive) == 27
    assert [ref for ref in alive if ref() is not None] == []


def test_T23_running_statistics_are_private_and_can_be_loaded_back() -> None:
    model, data = snippets.small_image_net(), snippets.images()
    sequential = copy.deepcopy(model)
    before = {name: buffer.clone() for name, buffer in model.named_buffers()}
    with torch.no_grad():
        fmodel = higher.monkeypatch(model)
        for x in data[0]:
            fmodel(x)
            sequential(x)

    torch.testing.assert_close(dict(model.named_buffers()), before, rtol=0, atol=0)
    model.load_state_dict(dict(fmodel.named_buffers()), strict=False)

    torch.testing.assert_close(model.state_dict(), sequential.state_dict(), rtol=0, atol=0)


def test_T10_a_copy_after_a_step() -> None:
    model, data = snippets.small_net(), snippets.batches(2)
    with higher.innerloop_ctx(model, sgd(model), copy_initial_weights=False) as (fmodel, diffopt):
        diffopt.step(F.cross_entropy(fmodel(data[0][0]), data[0][1]))

    copied = copy.deepcopy(fmodel)
    grads = [
        torch.autograd.grad(
            each(data[1][0]).square().sum(), [*model.parameters()], retain_graph=True
        )
        for each in (fmodel, copied)
    ]

    torch.testing.assert_close(grads[0], grads[1], **CLOSE)
    assert copied.fast_params[0] is not fmodel.fast_params[0]


def test_a_copy_has_the_weights_that_were_assigned() -> None:
    fmodel, x = higher.monkeypatch(snippets.small_net()), torch.randn(4, 3)
    fmodel[0].weight = torch.randn(4, 3)

    copied = copy.deepcopy(fmodel)

    assert torch.equal(copied(x), fmodel(x))
    assert torch.equal(copied.fast_params[0], fmodel[0].weight)


def test_what_is_not_saved_stays_unsaved() -> None:
    class Keeps(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.linear = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            self.register_buffer("seen", x.mean(0), persistent=False)
            self.register_buffer("kept", x.sum(0))
            return self.linear(x)

    model, x = Keeps(), torch.randn(4, 3)
    fmodel = higher.monkeypatch(model)

    fmodel(x)

    assert [*fmodel.state_dict()] == ["kept", "linear.weight", "linear.bias"]
    torch.testing.assert_close(dict(fmodel.named_buffers()), {"seen": x.mean(0), "kept": x.sum(0)})
    assert model._non_persistent_buffers_set == set()


def test_T06_after_a_transform_the_module_is_as_it_was() -> None:
    model, x = snippets.small_image_net(), torch.randn(5, 1, 6, 6)
    fmodel = higher.monkeypatch(model)
    before = fmodel.fast_params
    sets = [torch.stack([p, 2 * p]) for p in model.parameters()]

    outputs = torch.vmap(lambda *weights: fmodel(x, params=weights))(*sets)

    assert fmodel.fast_params is before
    torch.testing.assert_close(outputs[0], fmodel(x), **CLOSE)


def test_the_mode_that_remembers_no_weights_can_be_entered_later() -> None:
    fmodel = higher.monkeypatch(snippets.small_net())
    fmodel.update_params([2 * p for p in fmodel.parameters()])
    fmodel.track_higher_grads = False

    fmodel.update_params([3 * p for p in fmodel.parameters()])

    torch.testing.assert_close([*fmodel.parameters()], fmodel.fast_params)
    torch.testing.assert_close([*fmodel.parameters(time=0)], fmodel.fast_params)


def test_a_module_of_the_users_class() -> None:
    model = snippets.Named()
    fmodel = higher.monkeypatch(model)

    assert isinstance(fmodel, snippets.Named)
    assert fmodel.eval() is fmodel
    assert (fmodel.training, model.training) == (False, True)
    assert [*fmodel.state_dict()] == [*model.state_dict()]
    assert [name for name, _ in fmodel.named_parameters()] == [*model.state_dict()]
    assert [p.shape for p in fmodel.parameters(recurse=False)] == []
    assert [p.shape for p in fmodel.linear.parameters()] == [(4, 3), (4,)]
