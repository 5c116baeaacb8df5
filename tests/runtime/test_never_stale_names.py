"""What a Learner expects, and where weights go, after changes that are easy to miss."""

from __future__ import annotations

import pytest
import torch
from small_nets import expected, fresh, inputs, mlp, same
from test_never_stale import prepared, rename_child
from torch import Tensor, nn

from metann import DependentModule, Learner


class Two(nn.Module):
    """Two layers that are told apart by their names only: `(n, 3) -> (n, 3)`."""

    def __init__(self) -> None:
        super().__init__()
        self.layers = nn.ModuleDict({"a": nn.Linear(3, 3), "b": nn.Linear(3, 3)})
        self.p, self.q = nn.Parameter(torch.randn(3)), nn.Parameter(torch.randn(3))
        self.register_buffer("r", torch.randn(3))
        self.register_buffer("s", torch.randn(3))

    def forward(self, x: Tensor) -> Tensor:
        x = self.layers["b"](torch.tanh(self.layers["a"](x)))
        return x * torch.exp(self.p) + torch.exp(self.q) + self.r - self.s.sin()


def swap_names(table: dict[str, object], one: str, two: str) -> None:
    """Exchange two names of a table; the values keep their order."""
    new = {one: two, two: one}
    items = [(new.get(name, name), value) for name, value in table.items()]
    table.clear()
    table.update(items)


def test_layers_that_exchange_their_names_are_followed() -> None:
    net, x = Two(), inputs()
    learner = Learner(net)

    a, b = net.layers.pop("a"), net.layers.pop("b")
    net.layers["b"], net.layers["a"] = a, b

    weights = fresh(net)
    assert same(learner.functional(weights, True, x), expected(net, weights, x))


def test_parameters_that_exchange_their_names_are_followed() -> None:
    net, x = Two(), inputs()
    learner = Learner(net)

    swap_names(net._parameters, "p", "q")

    weights = fresh(net)
    assert same(learner.functional(weights, True, x), expected(net, weights, x))


def test_buffers_that_exchange_their_names_are_followed() -> None:
    net, x = Two(), inputs()
    learner = Learner(net)

    swap_names(net._buffers, "r", "s")

    weights = fresh(net)
    assert same(learner.functional(weights, True, x), expected(net, weights, x))


def test_a_submodule_that_only_changed_its_name_is_found_under_the_new_name() -> None:
    class Choosing(nn.ModuleDict):
        def forward(self, x: Tensor, name: str) -> Tensor:
            return self[name](x)

    net, x = Choosing({"old": nn.Linear(3, 3)}), inputs()
    learner = Learner(net)

    net["new"] = net.pop("old")

    assert same(learner.functional(net.parameters(), True, x, "new"), net(x, "new"))


def test_a_method_put_into_an_attribute_that_was_there_before_is_the_instances() -> None:
    net = nn.Sequential(nn.PReLU(), nn.TransformerEncoderLayer(2, 1, 3, dropout=0.0))
    learner, x = Learner(net), inputs(4, 5, 2)

    net[1].activation = net[0].forward

    weights = fresh(net)
    assert same(learner.functional(weights, True, x), expected(net, weights, x))


def test_a_hook_that_is_a_method_in_a_table_that_was_replaced_is_the_instances() -> None:
    class Hooked(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 3)
            self.gain = nn.Parameter(torch.randn(3))

        def amplify(self, module: nn.Module, args: object, out: Tensor) -> Tensor:
            return out * self.gain

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)

    net, x = Hooked(), inputs()
    learner = Learner(net)

    net.layer._forward_hooks = type(net.layer._forward_hooks)({0: net.amplify})

    gain, weight, bias = weights = fresh(net)
    assert same(learner.functional(weights, True, x), (x @ weight.T + bias) * gain)


class Slotted(nn.Module):
    """Keeps a factor outside of `__dict__`."""

    __slots__ = ("factor",)

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x) * getattr(self, "factor", 1.0)


def test_a_slot_that_is_filled_later_is_followed() -> None:
    net, x = Slotted(), inputs()
    learner = Learner(net)

    object.__setattr__(net, "factor", 3.0)

    assert same(learner.functional(net.parameters(), True, x), net(x))


def test_a_slot_that_is_emptied_later_is_followed() -> None:
    net, x = Slotted(), inputs()
    object.__setattr__(net, "factor", 3.0)
    learner = Learner(net)

    object.__delattr__(net, "factor")

    assert same(learner.functional(net.parameters(), True, x), net(x))


class TwoPrecisions(nn.Module):
    """Brings its input to the precision of each layer."""

    def __init__(self) -> None:
        super().__init__()
        self.first, self.second = nn.Linear(3, 3), nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.second(self.first(x.to(self.first.weight)).to(self.second.weight))


def test_one_layer_moved_to_another_dtype_is_followed() -> None:
    net, x = TwoPrecisions(), inputs()
    learner = Learner(net)

    net.first.float()

    assert same(learner.functional(net.parameters(), True, x), net(x))


def test_a_net_that_lost_its_mixed_dtypes_expects_one_again() -> None:
    net = TwoPrecisions()
    net.first.float()
    learner = Learner(net)

    net.double()

    with pytest.raises(ValueError, match="a mix of"):
        learner.functional([w.float() if w.ndim > 1 else w for w in fresh(net)], True, inputs())


def test_conversion_of_the_module_itself_is_followed() -> None:
    net, x = mlp(), inputs()
    learner = Learner(net)

    DependentModule(net)

    weights = fresh(net)
    assert same(learner.functional(weights, True, x), expected(mlp_like(net), weights, x))


def mlp_like(net: nn.Module) -> nn.Sequential:
    """A plain net with the weights of `net`."""
    plain = mlp()
    plain.load_state_dict(net.state_dict())
    return plain


def test_clearing_of_the_module_itself_is_followed() -> None:
    net, x = DependentModule(mlp()), inputs()
    plain, learner = mlp_like(net), Learner(net)

    net.clear_params()

    weights = fresh(plain)
    assert same(learner.functional(weights, True, x), expected(plain, weights, x))


def test_a_registered_dependent_is_followed() -> None:
    net = DependentModule(nn.Linear(3, 2))
    learner = Learner(net)

    net.register_dependent("scale", torch.randn(2))

    with pytest.raises(ValueError, match=r"expected 3 tensors.*none was given for: scale"):
        learner.functional([torch.randn(2, 3), torch.randn(2)], True, inputs())


def test_substitution_of_the_module_itself_leaves_the_plan_right() -> None:
    net, x = DependentModule(mlp()), inputs()
    plain = mlp_like(net)
    net.clear_params(init=True)
    learner = Learner(net)

    net.substitute_from_list(fresh(net))

    weights = fresh(net)
    assert same(learner.functional(weights, True, x), expected(plain, weights, x))


def test_update_shapes_of_the_module_itself_is_followed() -> None:
    net = DependentModule(nn.Linear(3, 2)).clear_params(init=True)
    learner, x = Learner(net), inputs()

    net.weight, net.bias = torch.randn(4, 3), torch.randn(4)
    net.update_shapes()

    assert learner.functional([torch.randn(4, 3), torch.randn(4)], True, x).shape == (5, 4)


def without_bias(net: nn.Sequential) -> None:
    net[0]._parameters = {"weight": net[0].weight, "bias": None}


def updated_state(net: nn.Sequential) -> None:
    net[0].__setstate__(nn.Linear(3, 4, bias=False).__dict__)


def replaced_buffers(net: nn.Sequential) -> None:
    net[1]._buffers = {"running_mean": None, "running_var": None, "num_batches_tracked": None}


def replaced_children(net: nn.Sequential) -> None:
    net._modules = {"only": nn.Linear(3, 2)}


def filled_container(net: nn.Sequential) -> None:
    net[3]._modules = {"0": nn.Linear(2, 2)}


EXCHANGED = {
    function.__name__: function
    for function in (
        without_bias,
        updated_state,
        replaced_buffers,
        replaced_children,
        filled_container,
    )
}


@pytest.mark.parametrize("exchange", EXCHANGED.values(), ids=EXCHANGED)
def test_a_table_of_torch_that_is_exchanged_for_another_is_followed(exchange) -> None:
    net, x = (
        nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.Linear(4, 2), nn.Sequential()),
        inputs(),
    )
    learner = Learner(net)
    learner.functional(fresh(net), True, x)

    exchange(net)

    weights = fresh(net)
    assert same(learner.functional(weights, True, x), expected(net, weights, x))
    assert list(learner.bind(weights).state_dict()) == list(net.state_dict())


def test_the_number_of_weights_expected_follows() -> None:
    net, learner = prepared()
    before = fresh(net)

    net.first.bias = None

    with pytest.raises(ValueError, match=rf"expected {len(before) - 1} tensors.*got {len(before)}"):
        learner.functional(before, True, inputs())


def test_the_shape_expected_follows_a_parameter_replaced_under_the_same_name() -> None:
    net = nn.Sequential(nn.Linear(3, 2))
    learner = Learner(net)

    net[0].weight = nn.Parameter(torch.randn(4, 3))
    net[0].bias = nn.Parameter(torch.randn(4))

    with pytest.raises(ValueError, match=r"0\.weight must have shape \(4, 3\), got \(2, 3\)"):
        learner.functional([torch.randn(2, 3), torch.randn(2)], True, inputs())


def test_the_shape_expected_follows_data_of_another_shape() -> None:
    net, x = nn.Sequential(nn.Linear(3, 2)), inputs()
    learner = Learner(net)
    net[0].weight.data, net[0].bias.data = torch.randn(4, 3), torch.randn(4)

    assert same(learner.functional(net.parameters(), True, x), net(x))
    with pytest.raises(ValueError, match=r"0\.weight must have shape \(4, 3\), got \(2, 3\)"):
        learner.functional([torch.randn(2, 3), torch.randn(2)], True, x)


def test_the_names_expected_follow_a_renamed_submodule() -> None:
    net, learner = prepared()
    named = dict(net.named_parameters())

    rename_child(net)

    with pytest.raises(ValueError, match=r"unknown: named\.a\.weight"):
        learner.functional(named, True, inputs())


def test_a_module_that_becomes_inconvertible_is_an_error_at_the_next_call() -> None:
    net = nn.Sequential(nn.Linear(3, 3))
    learner = Learner(net)

    net.append(nn.DataParallel(nn.Linear(3, 3)))

    with pytest.raises(TypeError, match=r"1 \(.*DataParallel\)"):
        learner.functional(fresh(net), True, inputs())


def test_a_dtype_changed_with_to_is_followed() -> None:
    net, learner = prepared()

    net.to(torch.float32)
    weights = fresh(net)

    assert learner.functional(weights, True, inputs().float()).dtype is torch.float32


@pytest.mark.parametrize("name", ["weight", "bias"])
def test_two_plain_layers_that_are_tied_and_untied_afterwards_are_followed(name: str) -> None:
    net, x = nn.Sequential(nn.Linear(3, 3), nn.Linear(3, 3)), inputs()
    learner = Learner(net)

    setattr(net[1], name, getattr(net[0], name))
    weights = fresh(net)
    assert len(weights) == 3
    assert same(learner.functional(weights, True, x), expected(net, weights, x))

    setattr(net[1], name, nn.Parameter(torch.randn_like(getattr(net[0], name))))
    weights = fresh(net)
    assert len(weights) == 4
    assert same(learner.functional(weights, True, x), expected(net, weights, x))
