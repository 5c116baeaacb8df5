"""Parameters of all kinds, in every way: frozen, unused, complex, integer, half, in containers."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from every_way import assert_the_same_in_every_way, moved, number, outcome, plain
from small_nets import inputs, same
from torch import Tensor, nn

from metann import DependentModule, Learner
from metann.errors import UninitializedModuleError

Make = Callable[[], nn.Module]


class Mixed(nn.Module):
    """Has parameters of every kind, each of which the output depends on: `(n, 3) -> (n, 2)`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)
        self.frozen = nn.Parameter(torch.randn(2), requires_grad=False)
        self.unused = nn.Parameter(torch.randn(4))
        self.waves = nn.Parameter(torch.randn(2, dtype=torch.complex128))
        self.shift = nn.Parameter(torch.tensor([1, 2]), requires_grad=False)
        self.mask = nn.Parameter(torch.tensor([True, True]), requires_grad=False)
        self.sixteen = nn.Parameter(torch.randn(2, dtype=torch.float16))
        self.brain = nn.Parameter(torch.randn(2, dtype=torch.bfloat16))
        self.single = nn.Parameter(torch.randn((), dtype=torch.float32))
        self.empty = nn.Parameter(torch.randn(0, 3))
        self.register_parameter("none", None)

    def forward(self, x: Tensor) -> Tensor:
        out = torch.tanh(self.layer(x)) * self.frozen * self.sixteen.double()
        out = out * self.brain.double() * self.single.double() + self.shift * self.mask
        return out + (self.waves * self.waves).real + self.empty.sum()


class Nested(nn.Module):
    """Keeps parameters in containers in containers: `(n, 3) -> (n, 3)`."""

    def __init__(self) -> None:
        super().__init__()
        row = [torch.randn(3) for _ in range(6)]
        self.listed = nn.ParameterList([row[0], nn.Parameter(row[1], requires_grad=False), 2.5])
        self.named = nn.ParameterDict({"a": row[2], "inner": nn.ParameterDict({"b": row[3]})})
        self.lists = nn.ModuleList([nn.ParameterList([row[4]]), nn.ParameterList([row[5]])])
        self.again = nn.ParameterList([self.listed[0], self.named["a"]])

    def forward(self, x: Tensor) -> Tensor:
        for part in (*self.listed, *self.again, *self.lists[0], *self.lists[1][:1]):
            x = x * part + self.named["a"].sin()
        for name, part in self.named.items():
            x = x + (part["b"] if name == "inner" else part).cos()
        return x * len(self.listed) * ("a" in self.named)


class Copying(nn.Module):
    """Makes new containers of its parameters in every call: `(n, 3) -> (n, 3)`."""

    def __init__(self) -> None:
        super().__init__()
        self.listed = nn.ParameterList([torch.randn(3) for _ in range(4)])
        self.named = nn.ParameterDict({key: torch.randn(3) for key in "ab"})
        self.others = nn.ParameterDict({key: torch.randn(3) for key in "bc"})

    def forward(self, x: Tensor) -> Tensor:
        chosen = self.listed[3:0:-2]
        chosen += self.listed[:1]
        chosen.append(nn.Parameter(torch.ones(3)))
        together = self.named.copy() | self.others
        together.update({"d": nn.Parameter(torch.ones(3))})
        assert [*together] == ["a", "b", "c", "d"]
        assert len(self.listed) == len(chosen) == 4
        for part in (*chosen, *together.values()):
            x = torch.tanh(x * part) + part
        return x


class Parent(nn.Module):
    """Reads the weights of its parts in all the ways one can: `(n, 3) -> (n, 3)`."""

    def __init__(self) -> None:
        super().__init__()
        self.one = nn.Linear(3, 3)
        self.parts = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
        self.norm = nn.LayerNorm(3)

    def forward(self, x: Tensor) -> Tensor:
        x = nn.functional.linear(x, self.one.weight.mT, self.parts[0].bias)
        x = x @ self.get_parameter("parts.0.weight") + self.one.bias
        x = nn.functional.layer_norm(x, (3,), self.norm.weight, self.get_submodule("norm").bias)
        x = x + dict(self.one.named_parameters())["weight"].sum()
        return x + sum(p.square().sum() for p in self.parts.parameters())


class FromState(nn.Module):
    """Reads its state dict, whose tensors are detached: `(n, 3) -> (n, 2)`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) + self.state_dict()["layer.bias"].square()


class Unused(nn.Module):
    """Has a whole part that it does not use: `(n, 3) -> (n, 2)`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer, self.other = nn.Linear(3, 2), nn.LSTM(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


def frozen_part() -> nn.Module:
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 2, bias=False))
    net[0].requires_grad_(False)
    return net


NETS: dict[str, tuple[Make, torch.dtype]] = {
    "all kinds": (Mixed, torch.float64),
    "in containers": (Nested, torch.float64),
    "in new containers": (Copying, torch.float64),
    "of a child": (Parent, torch.float64),
    "from its state": (FromState, torch.float64),
    "unused": (Unused, torch.float64),
    "a frozen part": (frozen_part, torch.float64),
    "complex": (lambda: nn.Linear(3, 2, dtype=torch.complex128), torch.complex128),
    "complex convolution": (
        lambda: nn.Sequential(nn.Unflatten(1, (1, 3)), nn.Conv1d(1, 2, 2, dtype=torch.complex64)),
        torch.complex64,
    ),
    "half": (lambda: nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2)).half(), torch.half),
    "bfloat16": (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.LayerNorm(4)).bfloat16(),
        torch.bfloat16,
    ),
    "float32": (
        lambda: nn.Sequential(nn.Linear(3, 4), nn.GELU(), nn.Linear(4, 2)).float(),
        torch.float32,
    ),
}


@pytest.mark.parametrize(("make", "dtype"), NETS.values(), ids=NETS)
def test_parameters_of_this_kind_are_weights_like_others(make: Make, dtype) -> None:
    assert_the_same_in_every_way(make, torch.randn(5, 3, dtype=dtype))


def test_an_integer_parameter_may_be_substituted() -> None:
    net, x = Mixed(), inputs()
    weights = {name: p.detach() for name, p in net.named_parameters()}
    before = Learner(net).functional(weights, True, x)

    after = Learner(net).functional({**weights, "shift": torch.tensor([3, 4])}, True, x)

    assert torch.allclose(after - before, torch.full((5, 2), 2.0))


def test_a_frozen_parameter_cleared_with_its_value_has_no_gradient() -> None:
    net = DependentModule(Mixed()).clear_params(init=True)

    number(net(inputs())).backward()

    has_gradient = {name for name, value in net.named_dependents() if value.grad is not None}
    # Of those that require one, the one that is not used has none.
    wanted = {name for name, value in net.named_dependents() if value.requires_grad}
    assert has_gradient == wanted - {"unused"}
    assert wanted == {
        *("layer.weight", "layer.bias", "unused", "waves", "sixteen", "brain", "single", "empty")
    }


# ── lazy modules ─────────────────────────────────────────────────────────────────────────────

SHAPES = {1: (4, 3, 5), 2: (2, 3, 4, 4), 3: (2, 3, 3, 3, 3)}
LAZY: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...]]] = {
    "LazyLinear": (lambda: nn.LazyLinear(2), (5, 3)),
    **{
        f"Lazy{kind}{n}d": (lambda kind=kind, n=n: getattr(nn, f"Lazy{kind}{n}d")(2, 2), shape)
        for kind in ("Conv", "ConvTranspose")
        for n, shape in SHAPES.items()
    },
    **{
        f"LazyBatchNorm{n}d": (lambda n=n: getattr(nn, f"LazyBatchNorm{n}d")(), shape)
        for n, shape in SHAPES.items()
    },
    **{
        f"LazyInstanceNorm{n}d": (
            lambda n=n: getattr(nn, f"LazyInstanceNorm{n}d")(affine=True),
            shape,
        )
        for n, shape in SHAPES.items()
    },
}


def test_every_lazy_layer_of_torch_is_here() -> None:
    assert set(LAZY) == {name for name in dir(nn) if name.startswith("Lazy")}


@pytest.mark.parametrize(("make", "shape"), LAZY.values(), ids=LAZY)
def test_a_lazy_layer_is_the_plain_one_after_its_first_call(make, shape) -> None:
    def called() -> nn.Module:
        net = nn.Sequential(make(), nn.Tanh())
        net(torch.ones(shape) + torch.arange(shape[-1]))
        return net

    assert_the_same_in_every_way(called, torch.randn(shape))


@pytest.mark.parametrize(("make", "shape"), LAZY.values(), ids=LAZY)
def test_before_its_first_call_it_is_an_error_that_names_it(make, shape) -> None:
    net = nn.Sequential(nn.Tanh(), make())
    before = [type(module) for module in net.modules()]

    with pytest.raises(UninitializedModuleError, match=r"1 \(.*Lazy.*has not seen data"):
        Learner(net)
    with pytest.raises(UninitializedModuleError, match=r"Call the model once"):
        DependentModule(net)

    assert [type(module) for module in net.modules()] == before
    assert net(torch.randn(shape)).isfinite().all()


def test_a_users_lazy_layer_is_the_plain_one_after_its_first_call() -> None:
    class Lazy(nn.modules.lazy.LazyModuleMixin, nn.Linear):
        cls_to_become = nn.Linear

        def __init__(self) -> None:
            super().__init__(1, 1, bias=False)
            self.weight = nn.UninitializedParameter()

        def initialize_parameters(self, x: Tensor) -> None:
            self.weight.materialize((2, x.shape[-1]))
            self.reset_parameters()

    def called() -> nn.Module:
        net = Lazy()
        net(inputs())
        return net

    assert type(called()) is nn.Linear
    assert_the_same_in_every_way(called, inputs())


# ── loading ──────────────────────────────────────────────────────────────────────────────────


def test_T61_weights_of_a_plain_model_load_straight_into_a_converted_one() -> None:
    trained, net, x = Parent(), DependentModule(Parent()), inputs()

    assert not same(net(x), trained(x))
    found = net.load_state_dict(trained.state_dict())

    assert (found.missing_keys, found.unexpected_keys) == ([], [])
    assert same(net(x), trained(x))


@pytest.mark.parametrize("init", [True, False])
def test_T61_weights_of_a_plain_model_load_straight_into_dependents(init: bool) -> None:
    def trained() -> nn.Module:
        return nn.Sequential(nn.Conv2d(2, 3, 2), nn.BatchNorm2d(3), nn.Flatten(), nn.Linear(27, 2))

    net, x = trained(), inputs(4, 2, 4, 4)
    weights = moved(net)
    wanted = outcome(plain, lambda: net, weights, False, x)

    copied = DependentModule(trained()).clear_params(init=init)
    copied.load_state_dict(net.state_dict())

    assert same(copied.eval()(x), wanted.output)
    assert [name for name, _ in copied.named_dependents()] == [*dict(net.named_parameters())]
    assert all(type(value) is Tensor for value in copied.dependents())


def test_T61_weights_saved_by_torch_are_given_to_a_call_as_they_are(tmp_path) -> None:
    net, x = Parent(), inputs()
    torch.save(net.state_dict(), tmp_path / "weights.pt")

    saved = torch.load(tmp_path / "weights.pt")

    assert same(Learner(Parent()).functional(saved, False, x), net.eval()(x))
