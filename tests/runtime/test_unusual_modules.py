"""Modules of kinds that are rare: parameter containers, old-style norms, graphs, odd layouts."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_nets import computed, expected, fresh, inputs, mlp, same
from torch import Tensor, nn

from metann import DependentModule, Learner
from metann.errors import MetannError


class Lists(nn.Module):
    """Keeps its parameters in the containers that torch has for that."""

    def __init__(self) -> None:
        super().__init__()
        self.listed = nn.ParameterList([torch.randn(3), torch.randn(3)])
        self.named = nn.ParameterDict({"a": torch.randn(3), "b c": torch.randn(3)})
        self.nested = nn.ParameterList([nn.ParameterList([torch.randn(3)])])

    def forward(self, x: Tensor) -> Tensor:
        for parameter in [*self.listed, *self.named.values(), self.nested[0][0]]:
            x = x * parameter + self.named["a"] * len(self.listed)
        return x


class Flattening(nn.Module):
    """Calls flatten_parameters in forward, as many do."""

    def __init__(self) -> None:
        super().__init__()
        self.lstm = nn.LSTM(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        self.lstm.flatten_parameters()
        return self.lstm(x)[0]


class Multiple(dict, nn.Module):
    """A dict and a module."""

    __hash__ = object.__hash__

    def __init__(self) -> None:
        nn.Module.__init__(self)
        self.layer = nn.Linear(3, 2)
        self["factor"] = 3.0

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * self["factor"]


def old_weight_norm() -> nn.Module:
    return nn.Sequential(nn.utils.weight_norm(nn.Linear(3, 2)))


def old_spectral_norm() -> nn.Module:
    return nn.Sequential(nn.utils.spectral_norm(nn.Linear(3, 2))).eval()


def traced_graph() -> nn.Module:
    return torch.fx.symbolic_trace(mlp())


def exported() -> nn.Module:
    return torch.export.export(mlp(), (inputs(),)).module()


UNUSUAL: dict[str, Callable[[], nn.Module]] = {
    "parameter containers": Lists,
    "flatten_parameters in forward": Flattening,
    "old weight_norm": old_weight_norm,
    "old spectral_norm": old_spectral_norm,
    "fx graph": traced_graph,
    "exported program": exported,
    "also a dict": Multiple,
}
unusual = pytest.mark.parametrize("make", UNUSUAL.values(), ids=UNUSUAL)
pytestmark = [
    pytest.mark.filterwarnings("ignore:.torch.nn.utils.weight_norm. is deprecated"),
    pytest.mark.filterwarnings("ignore::FutureWarning"),
]


@unusual
def test_a_call_computes_what_torch_does(make) -> None:
    net, x = make(), inputs()
    weights = [0.3 * w for w in fresh(net)]
    training = net.training

    found = Learner(net).functional(weights, training, x)

    names = [name for name, _ in net.named_parameters()]
    wanted = torch.func.functional_call(net, dict(zip(names, weights, strict=True)), (x,))
    assert same(found, wanted)


@unusual
def test_gradients_of_both_orders_reach_every_weight(make) -> None:
    net, x = make(), inputs()
    leaves, weights = computed(net)

    out = Learner(net).functional(weights, net.training, x)
    first = torch.autograd.grad(out.square().sum(), leaves, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), leaves)

    assert all(g.abs().sum() > 0 for g in (*first, *second))


@unusual
def test_conversion_keeps_what_it_computes(make) -> None:
    net, x = make(), inputs()
    wanted = net(x)

    assert DependentModule(net) is net
    assert same(net(x), wanted)


@unusual
def test_stateless_and_substituted_it_computes_what_a_call_does(make) -> None:
    net, x = make(), inputs()
    weights = [0.3 * w for w in fresh(net)]
    wanted = Learner(net).functional(weights, net.training, x)

    copied = DependentModule.stateless(net)
    copied.substitute_from_list(weights)

    assert same(copied(x), wanted)


@unusual
def test_cleared_and_substituted_it_computes_what_a_call_does(make) -> None:
    net, x = make(), inputs()
    weights = [0.3 * w for w in fresh(net)]
    wanted = Learner(net).functional(weights, net.training, x)

    DependentModule(net).clear_params()
    net.substitute_from_list(weights)

    assert same(net(x), wanted)


def test_a_parameter_appended_to_a_list_is_followed() -> None:
    net, x = Lists(), inputs()
    learner = Learner(net)

    net.listed.append(torch.randn(3))
    net.named["d"] = nn.Parameter(torch.randn(3))

    weights = fresh(net)
    assert same(learner.functional(weights, True, x), expected(net, weights, x))


def test_states_of_instances_can_be_stacked() -> None:
    net, x = mlp(), inputs()
    learner = Learner(net)
    many = [fresh(net) for _ in range(3)]
    bound = [learner.bind(weights) for weights in many]

    params, buffers = torch.func.stack_module_state(bound)
    found = torch.vmap(lambda p: torch.func.functional_call(bound[0], p, (x,)))(params)

    assert buffers == {}
    assert same(found, torch.stack([expected(net, weights, x) for weights in many]))


def test_a_class_that_refuses_subclasses_is_an_error_that_says_what_to_do() -> None:
    class Closed(type):
        def __new__(mcs, name: str, bases: Any, namespace: Any, **kwargs: Any) -> Any:
            if any(isinstance(base, Closed) for base in bases):
                raise TypeError(f"{bases[0].__name__} may not be subclassed")
            return super().__new__(mcs, name, bases, namespace, **kwargs)

    class Net(nn.Module, metaclass=Closed):
        pass

    net = nn.Sequential(nn.Linear(3, 2), Net())

    with pytest.raises(MetannError, match=r"Net can(not| be).*may not be subclassed.*register"):
        DependentModule(net)
    assert [type(m) for m in net] == [nn.Linear, Net]


def test_a_class_whose_init_subclass_refuses_is_converted_all_the_same() -> None:
    class Closed(nn.Module):
        def __init_subclass__(cls) -> None:
            raise TypeError("no subclasses of Closed")

        def forward(self, x: Tensor) -> Tensor:
            return x * 2

    x = inputs()

    assert same(DependentModule(Closed())(x), x * 2)


def test_a_transformer_of_torch_can_be_called_in_both_modes() -> None:
    net = nn.TransformerEncoder(
        nn.TransformerEncoderLayer(4, 2, 8, dropout=0.0, batch_first=True), 2
    )
    x = inputs(2, 5, 4)
    weights = [0.3 * w for w in fresh(net)]

    for training in (True, False):
        found = Learner(net).functional(weights, training, x)
        assert same(found, expected(net, weights, x, training=training))


def test_complex_weights_are_weights_like_others() -> None:
    net, x = nn.Linear(3, 2, dtype=torch.complex128), inputs().to(torch.complex128)
    weights = fresh(net)

    found = Learner(net).functional(weights, True, x)

    assert torch.allclose(found, expected(net, weights, x))


def test_sparse_gradients_of_an_embedding_reach_the_leaf() -> None:
    net = nn.Embedding(5, 3, sparse=True)
    (weight,) = fresh(net)

    Learner(net).functional([weight], True, torch.tensor([1, 3])).sum().backward()

    assert weight.grad.is_sparse


def test_a_module_without_forward_can_be_bound() -> None:
    net = nn.ModuleDict({"a": nn.Linear(3, 2)})
    weights, x = fresh(net), inputs()

    bound = Learner(net).bind(weights)

    assert same(bound["a"](x), x @ weights[0].T + weights[1])


def test_dropout_draws_the_same_numbers_as_the_module() -> None:
    net, x = nn.Sequential(nn.Linear(3, 50), nn.Dropout(0.5)), inputs()

    torch.manual_seed(3)
    wanted = net(x)
    torch.manual_seed(3)

    assert same(Learner(net).functional(net.parameters(), True, x), wanted)
