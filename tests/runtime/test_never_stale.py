"""Whatever is done to the module after its Learner was made, the next call follows."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy

import pytest
import torch
from small_nets import expected, fresh, inputs, same
from torch import Tensor, nn
from torch.nn.utils import parametrizations, parametrize

from metann import Learner


class Whole(nn.Module):
    """Something of every kind that can be changed: `(n, 3) -> (n, 3)`."""

    def __init__(self) -> None:
        super().__init__()
        self.first = nn.Linear(3, 3)
        self.second = nn.Linear(3, 3, bias=False)
        self.norm = nn.BatchNorm1d(3)
        self.listed = nn.ModuleList([nn.Linear(3, 3), nn.Tanh()])
        self.named = nn.ModuleDict({"a": nn.Linear(3, 3)})
        self.chain = nn.Sequential(nn.Linear(3, 3), nn.Tanh(), nn.Linear(3, 3))
        self.optional: nn.Module | None = None
        self.own = nn.Parameter(torch.randn(3))
        self.register_buffer("shift", torch.randn(3))
        self.register_parameter("unused", None)
        self.used = [self.first, self.second]
        self.factors = [1.5, 0.5]
        self.table = {"gain": 1.25}

    def forward(self, x: Tensor) -> Tensor:
        for layer in self.used:
            x = torch.tanh(layer(x))
        x = self.norm(x)
        for layer in [*self.listed, *self.named.values(), *self.children_added()]:
            x = torch.tanh(layer(x))
        x = self.chain(x) * self.own + self.shift
        if self.optional is not None:
            x = self.optional(x)
        if self.unused is not None:
            x = x * self.unused
        for name, buffer in self.named_buffers(recurse=False):
            x = x + buffer if name.startswith("extra") else x
        return x * sum(self.factors) * self.table["gain"]

    def children_added(self) -> list[nn.Module]:
        return [m for name, m in self.named_children() if name.startswith("added")]


def replace_parameter(net: Whole) -> None:
    net.first.weight = nn.Parameter(torch.randn(3, 3))


def replace_parameter_by_a_wider_one(net: Whole) -> None:
    net.first.weight, net.first.bias = nn.Parameter(torch.randn(4, 3)), nn.Parameter(torch.randn(4))
    net.second.weight = nn.Parameter(torch.randn(3, 4))


def tie(net: Whole) -> None:
    net.second.weight = net.first.weight


def tie_modules(net: Whole) -> None:
    net.named["a"] = net.listed[0]


def swap_two_layers(net: Whole) -> None:
    net.chain[0], net.chain[2] = net.chain[2], net.chain[0]


def swap_two_parameters(net: Whole) -> None:
    net.first.weight, net.second.weight = net.second.weight, net.first.weight


def reorder_children(net: Whole) -> None:
    net.chain._modules = dict(reversed(net.chain._modules.items()))


def rename_child(net: Whole) -> None:
    net.named["z"] = net.named.pop("a")


def remove_then_add_under_another_name(net: Whole) -> None:
    net.add_module("added", nn.Linear(3, 3))
    net.named.pop("a")


def new_class(net: Whole) -> None:
    class Doubled(nn.Linear):
        def forward(self, x: Tensor) -> Tensor:
            return 2 * super().forward(x)

    net.first.__class__ = Doubled


def new_class_of_root(net: Whole) -> None:
    class Negative(Whole):
        def forward(self, x: Tensor) -> Tensor:
            return -super().forward(x)

    net.__class__ = Negative


def patched_method(net: Whole) -> None:
    net.first.forward = lambda x: 3 * nn.functional.linear(x, torch.ones(3, 3))


def replaced_table(net: Whole) -> None:
    net.first._parameters = {
        "weight": nn.Parameter(torch.randn(3, 3)),
        "bias": nn.Parameter(torch.randn(3)),
    }


def replaced_modules_table(net: Whole) -> None:
    net.chain._modules = {"0": nn.Linear(3, 3), "1": nn.ReLU(), "2": nn.Linear(3, 3)}


def replaced_state(net: Whole) -> None:
    net.first.__dict__ = nn.Linear(3, 3).__dict__


def data_swapped(net: Whole) -> None:
    net.first.weight.data = torch.randn(3, 3)


CHANGES: dict[str, Callable[[Whole], object]] = {
    "a hook is added": lambda net: net.first.register_forward_hook(lambda m, a, out: out * 2),
    "a hook with kwargs is added": lambda net: net.first.register_forward_hook(
        lambda m, a, k, out: out * 2, with_kwargs=True
    ),
    "a pre-hook is added": lambda net: net.first.register_forward_pre_hook(lambda m, a: a[0] * 2),
    "a hook is added to the root": lambda net: net.register_forward_hook(lambda m, a, out: -out),
    "hook tables are replaced": lambda net: setattr(
        net.first, "_forward_hooks", {0: lambda m, a, out: out * 2}
    ),
    "eval of the root": lambda net: net.eval(),
    "eval of one submodule": lambda net: net.norm.eval(),
    "a submodule is replaced": lambda net: setattr(net, "norm", nn.LayerNorm(3)),
    "a submodule is replaced by one of the same kind": lambda net: net.chain.__setitem__(
        2, nn.Linear(3, 3)
    ),
    "a submodule is added": lambda net: net.add_module("added", nn.Linear(3, 3)),
    "a submodule without weights is added": lambda net: net.add_module("added", nn.Tanh()),
    "an absent submodule appears": lambda net: setattr(net, "optional", nn.Linear(3, 3)),
    "an optional submodule without weights appears": lambda net: setattr(
        net, "optional", nn.Sigmoid()
    ),
    "a submodule is removed": lambda net: net.chain.__delitem__(1),
    "a submodule becomes None": lambda net: net.named.__setitem__("a", nn.Identity()),
    "appended to a ModuleList": lambda net: net.listed.append(nn.Linear(3, 3)),
    "inserted into a ModuleList": lambda net: net.listed.insert(0, nn.Linear(3, 3)),
    "popped from a ModuleList": lambda net: net.listed.pop(0),
    "added to a ModuleDict": lambda net: net.named.update({"b": nn.Linear(3, 3)}),
    "removed from a ModuleDict": lambda net: net.named.pop("a"),
    "renamed in a ModuleDict": rename_child,
    "appended to a Sequential": lambda net: net.chain.append(nn.Linear(3, 3)),
    "inserted into a Sequential": lambda net: net.chain.insert(1, nn.Linear(3, 3)),
    "two layers are swapped": swap_two_layers,
    "two parameters are swapped": swap_two_parameters,
    "children are reordered": reorder_children,
    "one added, one removed": remove_then_add_under_another_name,
    "a parameter is replaced": replace_parameter,
    "parameters of other shapes": replace_parameter_by_a_wider_one,
    "a parameter is removed": lambda net: setattr(net.first, "bias", None),
    "a parameter that was None appears": lambda net: setattr(
        net, "unused", nn.Parameter(torch.randn(3))
    ),
    "a bias appears": lambda net: setattr(net.second, "bias", nn.Parameter(torch.randn(3))),
    "parameters are tied": tie,
    "modules are tied": tie_modules,
    "a buffer is added": lambda net: net.register_buffer("extra", torch.randn(3)),
    "a buffer is replaced": lambda net: setattr(net, "shift", torch.randn(3)),
    "a buffer is changed in place": lambda net: net.shift.add_(1),
    "a buffer becomes None": lambda net: net.norm.__setattr__("running_mean", None)
    or net.norm.__setattr__("running_var", None),
    "a parameter's data is swapped": data_swapped,
    "a list in an attribute grows": lambda net: net.factors.append(2.0),
    "a list of modules grows": lambda net: net.used.append(net.chain[0]),
    "a list of modules is reversed": lambda net: net.used.reverse(),
    "a dict in an attribute changes": lambda net: net.table.update(gain=7.0),
    "an attribute changes": lambda net: setattr(net.norm, "eps", 0.5),
    "an attribute is added": lambda net: setattr(net, "factors", (4.0,)),
    "a method is patched": patched_method,
    "a class is changed": new_class,
    "the root's class is changed": new_class_of_root,
    "the parameter table is replaced": replaced_table,
    "the module table is replaced": replaced_modules_table,
    "the whole state is replaced": replaced_state,
    "a parametrization is registered": lambda net: parametrize.register_parametrization(
        net.first, "weight", nn.Softplus()
    ),
    "weight norm is registered": lambda net: parametrizations.weight_norm(net.second),
    "a parametrization with a buffer": lambda net: parametrizations.spectral_norm(
        net.chain[0]
    ).eval(),
    "the dtype is changed": lambda net: net.float().double(),
}


def prepared() -> tuple[Whole, Learner[Whole]]:
    net = Whole()
    learner = Learner(net)
    learner.functional(net.parameters(), True, inputs())
    return net, learner


def as_it_is(net: nn.Module, weights: list[Tensor], x: Tensor) -> Tensor:
    """What torch computes on a copy in the very modes that the module has."""
    copied = deepcopy(net)
    names = [name for name, _ in net.named_parameters()]
    return torch.func.functional_call(copied, dict(zip(names, weights, strict=True)), (x,))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_next_call_follows(change: Callable[[Whole], object]) -> None:
    net, learner = prepared()
    x = inputs()

    change(net)

    weights = fresh(net)
    assert same(learner.functional(weights, True, x), expected(net, weights, x))
    assert same(learner.functional(weights, False, x), expected(net, weights, x, training=False))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_next_instance_follows_modes_and_all(change: Callable[[Whole], object]) -> None:
    net, learner = prepared()
    x = inputs()

    change(net)

    weights = fresh(net)
    assert same(learner.bind(weights)(x), as_it_is(net, weights, x))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_next_call_by_name_follows(change: Callable[[Whole], object]) -> None:
    net, learner = prepared()
    x = inputs()

    change(net)

    weights = fresh(net)
    named = {name: w for (name, _), w in zip(net.named_parameters(), weights, strict=True)}
    assert same(learner.functional(named, True, x), expected(net, weights, x))


@pytest.mark.parametrize("change", CHANGES.values(), ids=CHANGES)
def test_the_names_of_the_next_instance_follow(change: Callable[[Whole], object]) -> None:
    net, learner = prepared()

    change(net)

    bound = learner.bind(fresh(net))
    assert [n for n, _ in bound.named_dependents()] == [n for n, _ in net.named_parameters()]
    assert list(bound.state_dict()) == list(net.state_dict())
    assert [n for n, _ in bound.named_modules()] == [n for n, _ in net.named_modules()]


UNDONE: dict[str, Callable[[Whole], Callable[[], object]]] = {
    "a hook": lambda net: net.first.register_forward_hook(lambda m, a, out: out * 2).remove,
    "a tie": lambda net: setattr(net.second, "weight", net.first.weight)
    or (lambda: setattr(net.second, "weight", nn.Parameter(torch.randn(3, 3)))),
    "an added submodule": lambda net: net.add_module("added", nn.Linear(3, 3))
    or (lambda: net._modules.pop("added")),
    "an added buffer": lambda net: net.register_buffer("extra", torch.randn(3))
    or (lambda: net._buffers.pop("extra")),
    "a parametrization": lambda net: (
        parametrize.register_parametrization(net.first, "weight", nn.Softplus())
        and (lambda: parametrize.remove_parametrizations(net.first, "weight"))
    ),
    "eval": lambda net: net.eval() and net.train,
    "an optional submodule": lambda net: setattr(net, "optional", nn.Tanh())
    or (lambda: setattr(net, "optional", None)),
}


@pytest.mark.parametrize("change", UNDONE.values(), ids=UNDONE)
def test_what_is_undone_after_a_call_is_undone_in_the_next(change) -> None:
    net, learner = prepared()
    x = inputs()
    undo = change(net)
    learner.functional(fresh(net), True, x)

    undo()

    weights = fresh(net)
    assert same(learner.functional(weights, True, x), expected(net, weights, x))
    assert same(learner.bind(weights)(x), as_it_is(net, weights, x))
