"""The same programs on TorchOpt itself: the numbers agree, and it has the defects that we say.

`make models` installs TorchOpt; where it is not, these tests are skipped.
"""

from __future__ import annotations

import copy
import importlib
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torchopt_snippets as snippets
from by_hand import CLOSE
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

import metann.compat.torchopt as ours


@pytest.fixture(scope="module")
def theirs() -> Any:
    try:
        return importlib.import_module("torchopt")
    except ModuleNotFoundError:
        pytest.skip("TorchOpt is not installed; `make models` installs it and runs this test")


def agree(theirs: Any, snippet: Callable[..., Any], *args: Any) -> None:
    """Run a snippet on both libraries, each with copies of its arguments."""
    torch.manual_seed(7)
    found = snippet(ours, *copy.deepcopy(args))
    torch.manual_seed(7)
    expected = snippet(theirs, *copy.deepcopy(args))

    torch.testing.assert_close(found, expected, **CLOSE)


def batches(count: int = 4) -> list[tuple[Tensor, Tensor]]:
    return [snippets.data() for _ in range(count)]


@pytest.mark.parametrize("name", snippets.OPTIMIZERS)
def test_weights_and_meta_gradients_of_every_optimizer(theirs: Any, name: str) -> None:
    meta = torch.tensor(0.3, requires_grad=True)

    agree(theirs, snippets.meta_optimizer, snippets.small_net(), batches(), meta, name)


def test_functional_optimizers(theirs: Any) -> None:
    net, meta = snippets.small_net(), torch.tensor(0.3, requires_grad=True)

    agree(theirs, snippets.functional_optimizer, net, batches())
    agree(theirs, snippets.func_optimizer, net, batches())
    agree(theirs, snippets.differentiable_functional, net, batches()[0], meta)


def test_states(theirs: Any) -> None:
    agree(theirs, snippets.low_and_high_level)
    agree(theirs, snippets.general_utilities)
    agree(theirs, snippets.stop_gradient, snippets.data())


def test_chains(theirs: Any) -> None:
    agree(theirs, snippets.chained, snippets.small_net(), batches())
    agree(theirs, snippets.hooked, snippets.small_net(), batches())


@pytest.mark.parametrize("kind", ["linear", "polynomial", "exponential"])
def test_schedules(theirs: Any, kind: str) -> None:
    agree(theirs, snippets.scheduled, snippets.small_net(), batches(6), kind)


MORE: dict[str, Callable[[Any], Any]] = {
    "eps_root": lambda lib: lib.adam(0.1, eps_root=0.01, maximize=True),
    "initial_scale": lambda lib: lib.rmsprop(0.1, initial_scale=0.5, momentum=0.8, nesterov=True),
    "centered": lambda lib: lib.rmsprop(0.1, initial_scale=2.0, centered=True),
    "lr_decay": lambda lib: lib.adagrad(0.1, 0.3, 0.2, 0.5),
    "radam": lambda lib: lib.radam(0.1, (0.7, 0.8), 1e-3, 0.1),
    "nan_to_num": lambda lib: lib.chain(lib.nan_to_num(0.0), lib.adadelta(1.0)),
    "largest entry": lambda lib: lib.chain(
        lib.clip_grad_norm(0.1, norm_type=float("inf")), lib.adamax(0.1)
    ),
}


@pytest.mark.parametrize("name", MORE)
def test_options_that_torch_has_not(theirs: Any, name: str) -> None:
    net, data = snippets.small_net(), batches()

    def run(lib: Any, net: nn.Module) -> Any:
        return snippets.stepped(lib, MORE[name](lib), net, data)

    agree(theirs, run, net)


def loss_after(lib: Any, net: nn.Module, steps: int, loss: Callable[[nn.Module], Tensor]) -> Tensor:
    optimizer = lib.MetaSGD(net, lr=0.5)
    for _ in range(steps):
        optimizer.step(loss(net))
    return loss(net)


def test_recurrent_layers(theirs: Any) -> None:
    x = torch.randn(4, 1, 2)

    agree(theirs, loss_after, nn.LSTM(2, 3), 2, lambda model: model(x)[0].square().mean())


# ── its defects ──────────────────────────────────────────────────────────────────────────────


def test_it_tears_tied_weights_apart(theirs: Any) -> None:
    net, x = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3)), torch.randn(4, 3)
    net[2].weight = net[0].weight
    loss: Any = lambda model: model(x).square().mean()  # noqa: E731
    torn, kept = (loss_after(lib, copy.deepcopy(net), 2, loss) for lib in (theirs, ours))

    twin = copy.deepcopy(net)
    loss_after(theirs, twin, 1, loss)

    assert twin[0].weight is not twin[2].weight
    assert (torn - kept).abs() > 1e-4


@pytest.mark.parametrize("kind", ["MetaAdam", "MetaAdamW", "MetaRMSProp", "MetaAdaGrad"])
def test_its_meta_gradient_is_no_number_where_a_gradient_is_zero(theirs: Any, kind: str) -> None:
    net, (x, _) = nn.Sequential(nn.Linear(3, 2), nn.ReLU(), nn.Linear(2, 1)), snippets.data()
    with torch.no_grad():
        net[0].bias[0] = -100.0
    found = []
    for lib in (theirs, ours):
        model: nn.Module = copy.deepcopy(net)
        first = [*model.parameters()]
        getattr(lib, kind)(model).step(model(x).square().mean())
        grads = torch.autograd.grad(model(x).square().mean(), first)
        found.append(all(bool(torch.isfinite(g).all()) for g in grads))

    assert found == [False, True]


def test_it_cannot_shrink_some_weights_alone(theirs: Any) -> None:
    net = snippets.small_net()
    adamw = theirs.adamw(0.1, mask=lambda params: [p.ndim > 1 for p in params])

    with pytest.raises(AttributeError, match=r"'MaskedNode' object has no attribute 'add'"):
        snippets.stepped(theirs, adamw, net, batches())


def test_it_stops_at_frozen_parameters(theirs: Any) -> None:
    net, (x, _) = snippets.small_net(), snippets.data()
    net.get_parameter("0.weight").requires_grad_(False)
    optimizer = theirs.MetaSGD(net, lr=0.1)

    with pytest.raises(RuntimeError, match=r"does not require grad"):
        optimizer.step(net(x).square().mean())


def test_it_remembers_the_first_step_whatever_the_state(theirs: Any) -> None:
    sgd, grads = theirs.sgd(1.0, momentum=0.9, dampening=0.5), (torch.randn(3),)
    first, _ = sgd.update(grads, sgd.init(grads), inplace=False)
    second, _ = sgd.update(grads, sgd.init(grads), inplace=False)

    torch.testing.assert_close(first[0], -grads[0])
    torch.testing.assert_close(second[0], -0.5 * grads[0])


def test_it_has_no_second_order_in_a_transformer(theirs: Any) -> None:
    """In a process of its own: metann gives torch the derivative that it has not."""
    run = [sys.executable, "-c", TRANSFORMER]
    result = subprocess.run(
        run, cwd=Path(theirs.__file__).parents[1], capture_output=True, text=True, check=False
    )

    assert "is not implemented" in result.stderr.splitlines()[-1]


TRANSFORMER = """
import torch, torchopt
from torch import nn
net, x = nn.TransformerEncoderLayer(4, 2, 6, dropout=0.0, batch_first=True), torch.randn(2, 3, 4)
first = [*net.parameters()]
torchopt.MetaSGD(net, lr=0.1).step((net(x) ** 3).mean())
torch.autograd.grad((net(x) ** 3).mean(), first)
"""


def test_it_takes_the_factor_of_clipping_for_a_constant(theirs: Any) -> None:
    weight = torch.randn(3, requires_grad=True)

    def derivative(lib: Any) -> Tensor:
        clip = lib.clip_grad_norm(max_norm=0.1)
        (update,), _ = clip.update((weight,), clip.init((weight,)), inplace=False)
        (found,) = torch.autograd.grad(update.square().sum(), weight)
        return found

    # The norm is 0.1 whatever the weight is.
    assert derivative(ours).abs().max() < 1e-6
    assert derivative(theirs).abs().max() > 1e-4


def test_dicts_are_matched_by_key(theirs: Any) -> None:
    params = {"w": torch.randn(2), "b": torch.randn(2)}
    grads = {"b": torch.randn(2), "w": torch.randn(2)}

    def moved(lib: Any) -> Any:
        adamw = lib.adamw(0.1, weight_decay=0.5)
        updates, _ = adamw.update(grads, adamw.init(params), params=params, inplace=False)
        return lib.apply_updates(params, updates, inplace=False)

    found, expected = moved(ours), moved(theirs)
    assert found.keys() == expected.keys()
    for key in found:
        torch.testing.assert_close(found[key], expected[key], **CLOSE)


def test_it_broadcasts_updates_of_other_shapes(theirs: Any) -> None:
    found = theirs.apply_updates((torch.zeros(3),), (torch.ones(2, 3),), inplace=False)

    assert found[0].shape == (2, 3)


def test_its_meta_gradients_are_wrong_with_activation_checkpointing(theirs: Any) -> None:
    net, (x, _) = snippets.small_net(), snippets.data()

    class Checkpointed(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.net = copy.deepcopy(net)

        def forward(self, x: Tensor) -> Tensor:
            return checkpoint(self.net, x, use_reentrant=False)

    found = []
    for model in (copy.deepcopy(net), Checkpointed()):
        first, optimizer = [*model.parameters()], theirs.MetaSGD(model, lr=0.5)
        optimizer.step(model(x).square().mean())
        found.append(torch.autograd.grad(model(x).square().mean(), first)[0])

    assert (found[0] - found[1]).abs().max() > 1e-4


def test_it_writes_past_autograd(theirs: Any) -> None:
    weight = torch.randn(3, requires_grad=True)
    before, loss = weight.detach().clone(), (weight**2).sum()
    theirs.apply_updates((weight,), (torch.ones(3),))
    loss.backward()

    torch.testing.assert_close(weight.grad, 2 * (before + 1))
