"""Hooks of every kind torch has, in every way: they act, with the weights of the call."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from every_way import WAYS, assert_the_same_in_every_way, made, moved, outcome, plain
from small_nets import inputs, same
from torch import Tensor, nn
from torch.nn.modules import module as torchs

from metann import DependentModule, Learner


class Part(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 3)

    def forward(self, x: Tensor, factor: float = 1.5) -> Tensor:
        return torch.tanh(self.layer(x)) * factor


class Net(nn.Module):
    """Calls a part with a keyword argument: `(n, 3) -> (n, 2)`."""

    def __init__(self) -> None:
        super().__init__()
        self.part = Part()
        self.head = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.head(self.part(x, factor=0.5))


def scale(module: nn.Module) -> Tensor:
    """A factor that depends on the weights of the module that the hook was given."""
    return 1 + sum((p.mean() for p in module.parameters()), torch.zeros(()))


def on_output(module: nn.Module, _args: Any, out: Any) -> Any:
    return out * scale(module).sin()


def on_output_and_kwargs(module: nn.Module, _args: Any, kwargs: Any, out: Any) -> Any:
    return out * (scale(module) + kwargs.get("factor", 0))


def on_input(module: nn.Module, args: Any) -> Any:
    return (args[0] * scale(module).cos(), *args[1:])


def on_input_and_kwargs(module: nn.Module, args: Any, kwargs: Any) -> Any:
    return (args[0] + scale(module),), {name: 2 * value for name, value in kwargs.items()}


def on_gradient(_module: nn.Module, grad_input: Any, _grad_output: Any) -> Any:
    return tuple(None if grad is None else grad * 3 for grad in grad_input)


def on_upstream(_module: nn.Module, grad_output: Any) -> Any:
    return tuple(None if grad is None else grad.sin() for grad in grad_output)


Register = Callable[[nn.Module], Any]
HOOKS: dict[str, Register] = {
    "forward": lambda m: m.register_forward_hook(on_output),
    "forward with kwargs": lambda m: m.register_forward_hook(
        on_output_and_kwargs, with_kwargs=True
    ),
    "forward, first": lambda m: (
        m.register_forward_hook(on_output),
        m.register_forward_hook(on_output_and_kwargs, prepend=True, with_kwargs=True),
    ),
    "forward, always": lambda m: m.register_forward_hook(on_output, always_call=True),
    "pre": lambda m: m.register_forward_pre_hook(on_input),
    "pre with kwargs": lambda m: m.register_forward_pre_hook(on_input_and_kwargs, with_kwargs=True),
    "full backward": lambda m: m.register_full_backward_hook(on_gradient),
    "full backward, first": lambda m: m.register_full_backward_hook(on_gradient, prepend=True),
    "pre-backward": lambda m: m.register_full_backward_pre_hook(on_upstream),
    "all at once": lambda m: (
        m.register_forward_hook(on_output),
        m.register_forward_pre_hook(on_input),
        m.register_full_backward_hook(on_gradient),
        m.register_full_backward_pre_hook(on_upstream),
    ),
}
WHERE: dict[str, Callable[[Net], nn.Module]] = {
    "root": lambda net: net,
    "part": lambda net: net.part,
    "layer": lambda net: net.part.layer,
}


@pytest.mark.parametrize("where", WHERE.values(), ids=WHERE)
@pytest.mark.parametrize("register", HOOKS.values(), ids=HOOKS)
def test_T20_a_hook_acts_as_on_the_plain_module(register: Register, where) -> None:
    def hooked() -> nn.Module:
        net = Net()
        register(where(net))
        return net

    # torch warns of backward hooks that have no gradient of an input to give.
    weights, x = moved(made(Net)), inputs().requires_grad_()
    assert_the_same_in_every_way(hooked, x)
    without = outcome(plain, Net, weights, True, x)
    wanted = outcome(plain, hooked, weights, True, x)
    assert any(not torch.equal(*pair) for pair in zip(wanted.first, without.first, strict=True))


GLOBAL: dict[str, Callable[[], Any]] = {
    "forward": lambda: torchs.register_module_forward_hook(on_output),
    "forward with kwargs": lambda: torchs.register_module_forward_hook(
        on_output_and_kwargs, with_kwargs=True
    ),
    "forward, always": lambda: torchs.register_module_forward_hook(on_output, always_call=True),
    "pre": lambda: torchs.register_module_forward_pre_hook(on_input),
    "full backward": lambda: torchs.register_module_full_backward_hook(on_gradient),
    "pre-backward": lambda: torchs.register_module_full_backward_pre_hook(on_upstream),
}


@contextmanager
def registered(register: Callable[[], Any]) -> Iterator[None]:
    handle = register()
    try:
        yield
    finally:
        handle.remove()
        # torch 2.13 forgets this one, and takes it for a hook from then on.
        torchs._global_forward_hooks_with_kwargs.pop(handle.id, None)


@pytest.mark.parametrize("register", GLOBAL.values(), ids=GLOBAL)
def test_T20_a_hook_for_all_modules_acts_as_on_plain_ones(register) -> None:
    weights, x = moved(made(Net)), inputs().requires_grad_()
    without = outcome(plain, Net, weights, True, x)
    with registered(register):
        assert_the_same_in_every_way(Net, x)
        wanted = outcome(plain, Net, weights, True, x)

    assert any(not torch.equal(*pair) for pair in zip(wanted.first, without.first, strict=True))


def test_torch_takes_a_removed_hook_for_all_modules_for_one_that_is_there() -> None:
    """When this fails, torch is mended: take it out of docs/defects.md and of `registered`."""
    handle = torchs.register_module_forward_hook(on_output_and_kwargs, with_kwargs=True)
    handle.remove()
    try:
        assert torchs._has_any_global_hook()
        assert not torchs._global_forward_hooks
        with pytest.warns(UserWarning, match=r"torch\.compile.* when there are global hooks"):
            torch.compile(Net(), backend="eager")(inputs())
        # Only torch's own question is answered wrongly: the hook is gone in every way.
        assert_the_same_in_every_way(Net, inputs().requires_grad_())
    finally:
        torchs._global_forward_hooks_with_kwargs.pop(handle.id)

    assert not torchs._has_any_global_hook()


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_hooks_fire_in_torchs_order_once_a_module(way) -> None:
    def logging(log: list[str]) -> Callable[[], nn.Module]:
        def make() -> nn.Module:
            net = Net()
            for name, module in net.named_modules():
                module.register_forward_pre_hook(lambda *_, n=name: log.append(f"pre {n}"))
                module.register_forward_hook(lambda *_, n=name: log.append(f"forward {n}"))
                module.register_full_backward_pre_hook(lambda *_, n=name: log.append(f"up {n}"))
                module.register_full_backward_hook(lambda *_, n=name: log.append(f"back {n}"))
            return net

        return make

    logs: list[list[str]] = [[], []]
    weights, x = moved(made(Net)), inputs()
    for each, log in zip((plain, way), logs, strict=True):
        outcome(each, logging(log), weights, True, x.requires_grad_())

    assert logs[0] == logs[1]
    assert {line.split()[0] for line in logs[0]} == {"pre", "forward", "up", "back"}


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_an_always_called_hook_is_called_when_forward_raises(way) -> None:
    seen: list[Any] = []

    def make() -> nn.Module:
        net = Net()
        net.part.register_forward_hook(lambda *_: seen.append("called"), always_call=True)
        return net

    model = way(make, moved(made(Net)), True)

    with pytest.raises(RuntimeError, match=r"mat1 and mat2"):
        model(inputs(5, 4))
    assert seen == ["called"]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_an_error_in_a_hook_is_the_callers_and_the_next_call_is_right(way) -> None:
    failing = [True]

    def hook(_module: nn.Module, _args: Any, _out: Any) -> None:
        if failing[0]:
            raise ValueError("from the hook")

    def make() -> nn.Module:
        net = Net()
        net.part.layer.register_forward_hook(hook)
        return net

    weights, x = moved(made(Net)), inputs()
    model = way(make, weights, True)
    with pytest.raises(ValueError, match=r"from the hook"):
        model(x)
    failing[0] = False

    assert same(model(x), plain(make, weights, True)(x))


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_hook_may_remove_itself(way) -> None:
    seen: list[str] = []

    def make() -> nn.Module:
        net = Net()

        def once(*_: Any) -> None:
            seen.append("once")
            handle.remove()

        handle = net.part.register_forward_hook(once)
        return net

    model = way(make, moved(made(Net)), True)
    model(inputs())

    assert seen == ["once"]


# ── hooks of states ──────────────────────────────────────────────────────────────────────────


class Stateful(nn.Linear):
    """Notes what its state hooks are given."""

    def __init__(self) -> None:
        super().__init__(3, 2)
        self.seen: list[str] = []
        self.register_state_dict_pre_hook(lambda m, *_: m.seen.append("before saving"))
        self.register_state_dict_post_hook(self._saved)
        self.register_load_state_dict_pre_hook(self._loading)
        self.register_load_state_dict_post_hook(lambda m, _: m.seen.append("loaded"))

    @staticmethod
    def _saved(module: Stateful, state: dict[str, Any], prefix: str, _metadata: Any) -> None:
        module.seen.append("saved")
        state[f"{prefix}version"] = torch.tensor(3)

    @staticmethod
    def _loading(module: Stateful, state: dict[str, Any], prefix: str, *_: Any) -> None:
        module.seen.append("loading")
        state.pop(f"{prefix}version", None)


@pytest.mark.parametrize("prepare", [DependentModule, DependentModule.stateless], ids=str)
def test_hooks_of_the_state_dict_act_on_a_converted_module(prepare) -> None:
    net, x = nn.Sequential(Stateful()), inputs()
    model = prepare(nn.Sequential(Stateful()))

    state = net.state_dict()
    model.load_state_dict(state)
    again = model.state_dict()

    assert [*state] == [*again] == ["0.weight", "0.bias", "0.version"]
    assert model[0].seen == ["loading", "loaded", "before saving", "saved"]
    assert same(model(x), net(x))


def test_hooks_of_the_state_dict_act_on_an_instance() -> None:
    net = nn.Sequential(Stateful())
    weights = moved(net)

    state = Learner(net).bind(weights).state_dict()

    assert [*state] == ["0.weight", "0.bias", "0.version"]
    assert torch.equal(state["0.weight"], weights[0])


REGISTRATIONS: dict[str, tuple[Callable[[Any], Any], Callable[[nn.Module], Any]]] = {
    "parameter": (
        torchs.register_module_parameter_registration_hook,
        lambda m: m.register_parameter("gain", nn.Parameter(torch.ones(2))),
    ),
    "buffer": (
        torchs.register_module_buffer_registration_hook,
        lambda m: m.register_buffer("gain", torch.ones(2)),
    ),
    "module": (
        torchs.register_module_module_registration_hook,
        lambda m: m.register_module("gain", nn.Tanh()),
    ),
}


@pytest.mark.parametrize(("register", "add"), REGISTRATIONS.values(), ids=list(REGISTRATIONS))
def test_a_hook_of_registrations_sees_those_of_a_converted_module(register, add) -> None:
    seen: list[str] = []
    net = DependentModule(nn.Linear(3, 2)).clear_params(init=True)

    with registered(lambda: register(lambda _module, name, _value: seen.append(name))):
        add(net)
        Learner(net)

    assert seen == ["gain"]


@pytest.mark.parametrize("way", WAYS, ids=lambda way: way.__name__)
def test_a_hook_of_a_tensor_given_as_weight_changes_its_gradient(way) -> None:
    net = nn.Linear(3, 2)
    leaf = torch.randn(2, 3, requires_grad=True)
    weights = [leaf * 1, torch.randn(2)]
    model, x = way(lambda: net, weights, True), inputs()
    if way.__name__ == "converted":
        model.weight.register_hook(lambda grad: grad * 2)
    else:
        weights[0].register_hook(lambda grad: grad * 2)

    model(x).sum().backward()

    found = model.weight.grad if way.__name__ == "converted" else leaf.grad
    torch.testing.assert_close(found, 2 * x.sum(0).expand(2, 3))
