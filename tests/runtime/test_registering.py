"""`register_dependent`, and what assigning and deleting do to a dependent."""

from __future__ import annotations

import pytest
import torch
from small_nets import inputs, mlp, same
from torch import nn

from metann import DependentModule
from metann.errors import DependentNameError, DependentTypeError
from metann.generated import DependentLinear, DependentSequential, DependentTanh


def test_the_documented_sample_works() -> None:
    dnet = DependentModule(nn.Sequential(nn.Linear(10, 5), nn.Linear(5, 2)))
    tensor = torch.randn(3, 3)

    dnet.register_dependent("some_tensor", tensor)

    assert dnet.some_tensor is tensor


def test_a_registered_dependent_is_listed() -> None:
    net = DependentModule(nn.Linear(3, 2))

    net.register_dependent("scale", torch.randn(2))

    assert [name for name, _ in net.named_dependents()] == ["scale"]


def test_a_registered_dependent_may_have_a_grad_fn_and_keeps_it() -> None:
    net, leaf = DependentModule(nn.Linear(3, 2)), torch.randn(2, requires_grad=True)

    net.register_dependent("scale", leaf * 2)
    net.scale.sum().backward()

    assert torch.equal(leaf.grad, torch.full((2,), 2.0))


def test_none_may_be_registered_and_is_never_listed() -> None:
    net = DependentModule(nn.Linear(3, 2))

    net.register_dependent("scale", None)

    assert net.scale is None
    assert list(net.named_dependents()) == []


def test_a_dependent_registered_as_none_is_listed_once_it_has_a_value() -> None:
    net = DependentModule(nn.Linear(3, 2))
    net.register_dependent("scale", None)

    net.scale = torch.randn(2)

    assert [name for name, _ in net.named_dependents()] == ["scale"]


@pytest.mark.parametrize(
    ("name", "error", "message"),
    [
        (3, TypeError, r"name must be a string, got int"),
        ("", KeyError, r"empty"),
        ("a.b", KeyError, r"'a\.b'.*dot"),
        ("forward", KeyError, r"'forward'.*already has an attribute"),
        ("in_features", KeyError, r"'in_features'.*already has an attribute"),
    ],
)
def test_a_bad_name_is_the_kind_of_error_that_register_parameter_raises(
    name: object, error: type[Exception], message: str
) -> None:
    plain, net = nn.Linear(3, 2), DependentModule(nn.Linear(3, 2))

    with pytest.raises(error):
        plain.register_parameter(name, nn.Parameter(torch.randn(2)))
    with pytest.raises(error, match=message):
        net.register_dependent(name, torch.randn(2))

    assert list(net.named_dependents()) == []


def test_the_name_of_a_parameter_is_taken_and_the_message_names_clear_params() -> None:
    net = DependentModule(nn.Linear(3, 2))

    with pytest.raises(KeyError, match=r"'weight'.*already has an attribute.*clear_params"):
        net.register_dependent("weight", torch.randn(2, 3))

    assert isinstance(net.weight, nn.Parameter)


def test_bad_names_are_errors_of_metann() -> None:
    with pytest.raises(DependentNameError, match="Register it on the submodule it belongs to"):
        DependentModule(mlp()).register_dependent("0.extra", torch.randn(2))


def test_the_name_of_a_submodule_is_taken() -> None:
    net = DependentModule(mlp())

    with pytest.raises(KeyError, match=r"'0'.*already has an attribute"):
        net.register_dependent("0", torch.randn(2))


def test_a_value_that_is_no_tensor_is_an_error() -> None:
    net = DependentModule(nn.Linear(3, 2))

    with pytest.raises(DependentTypeError, match=r"'scale'.*a tensor or None, got list"):
        net.register_dependent("scale", [1.0, 2.0])

    assert not hasattr(net, "scale")


def test_registering_a_dependent_again_replaces_it_as_register_parameter_does() -> None:
    net, tensor = DependentModule(nn.Linear(3, 2)), torch.randn(5)
    net.register_dependent("scale", torch.randn(2))

    net.register_dependent("scale", tensor)

    assert net.scale is tensor
    assert [name for name, _ in net.named_dependents()] == ["scale"]


def test_registering_before_init_is_an_error_that_says_so() -> None:
    class Early(DependentModule):
        def __init__(self) -> None:
            self.register_dependent("scale", torch.randn(2))

    with pytest.raises(AttributeError, match=r"before Module.__init__\(\) call"):
        Early()


def test_assigning_a_tensor_to_a_dependent_sets_it() -> None:
    net, tensor = DependentModule(nn.Linear(3, 2)).clear_params(), torch.randn(2, 3)

    net.weight = tensor

    assert net.weight is tensor
    assert [name for name, _ in net.named_dependents()] == ["weight", "bias"]


def test_assigning_a_parameter_to_a_dependent_makes_it_a_parameter() -> None:
    net = DependentModule(nn.Linear(3, 2)).clear_params(init=True)

    net.weight = nn.Parameter(torch.randn(2, 3))

    assert [name for name, _ in net.named_dependents()] == ["bias"]
    assert "weight" in net._parameters


def test_a_deleted_dependent_is_no_longer_listed() -> None:
    net = DependentModule(nn.Linear(3, 2)).clear_params(init=True)

    del net.bias

    assert [name for name, _ in net.named_dependents()] == ["weight"]


def test_a_plain_module_that_is_assigned_is_converted() -> None:
    net, layer = DependentModule(mlp()), nn.Sequential(nn.Linear(4, 2))

    net.extra = layer

    assert net.extra is layer
    assert [type(m) for m in layer.modules()] == [DependentSequential, DependentLinear]


def test_a_plain_module_put_into_a_sequential_is_converted() -> None:
    net, x = DependentModule(mlp()), inputs()

    net[1] = nn.Tanh()

    assert type(net[1]) is DependentTanh
    assert net(x).shape == (5, 2)


@pytest.mark.parametrize(
    "add",
    [
        lambda net, layer: net.add_module("3", layer),
        lambda net, layer: net.register_module("3", layer),
        lambda net, layer: net.append(layer),
        lambda net, layer: net.insert(3, layer),
        lambda net, layer: net.extend([layer]),
        lambda net, layer: setattr(net, "3", layer),
        lambda net, layer: net.set_submodule("3", layer),
    ],
    ids=["add_module", "register_module", "append", "insert", "extend", "setattr", "set_submodule"],
)
def test_a_plain_module_is_converted_however_it_is_added(add) -> None:
    net = DependentModule(mlp())
    if add.__code__.co_names[0] == "set_submodule":
        net.append(nn.Tanh())

    add(net, nn.Linear(2, 2))

    assert type(net[3]) is DependentLinear


def test_a_plain_module_put_into_a_module_list_is_converted() -> None:
    net = DependentModule(nn.ModuleList([nn.Linear(3, 3)]))

    net.append(nn.Linear(3, 3))
    net[0] = nn.Tanh()

    assert [type(m) for m in net] == [DependentTanh, DependentLinear]


def test_a_plain_module_put_into_a_module_dict_is_converted() -> None:
    net = DependentModule(nn.ModuleDict({"a": nn.Linear(3, 3)}))

    net["b"] = nn.Linear(3, 3)
    net.update({"c": nn.Tanh()})

    assert [type(m) for m in net.values()] == [DependentLinear, DependentLinear, DependentTanh]


def test_a_slice_of_a_dependent_sequential_is_one_too() -> None:
    net, x = DependentModule(mlp()), inputs()

    assert type(net[:2]) is DependentSequential
    assert same(net[:2](x), torch.tanh(net[0](x)))


def test_a_module_that_cannot_be_converted_cannot_be_assigned() -> None:
    net = DependentModule(mlp())

    with pytest.raises(TypeError, match="TorchScript"):
        net.extra = torch.jit.ScriptModule.__new__(torch.jit.ScriptModule)

    assert not hasattr(net, "extra")


def test_an_ordinary_attribute_is_an_ordinary_attribute() -> None:
    net = DependentModule(mlp())

    net.label = "teacher"

    assert vars(net)["label"] == "teacher"


def test_none_may_take_the_place_of_a_submodule() -> None:
    net = DependentModule(nn.Module())
    net.head = nn.Linear(3, 2)

    net.head = None

    assert net._modules["head"] is None
