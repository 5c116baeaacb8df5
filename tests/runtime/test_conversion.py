"""`DependentModule(net)`, `to_dependentmodule`, `to_dependent`: in place, the whole tree."""

from __future__ import annotations

from copy import deepcopy

import pytest
import torch
from small_nets import Scaled, Shared, Tied, inputs, mlp, same, state_of
from torch import nn

import metann
from metann import DependentModule
from metann.generated import (
    DependentConv2d,
    DependentLinear,
    DependentLSTM,
    DependentSequential,
    DependentTanh,
)


def test_conversion_returns_the_same_object() -> None:
    net = mlp()

    assert DependentModule(net) is net


def test_conversion_turns_the_module_and_every_submodule_into_its_generated_counterpart() -> None:
    net = DependentModule(nn.Sequential(nn.Sequential(nn.Linear(3, 4)), nn.Tanh()))

    assert [type(m) for m in net.modules()] == [
        DependentSequential,
        DependentSequential,
        DependentLinear,
        DependentTanh,
    ]


def test_parameters_stay_the_same_parameter_objects() -> None:
    net = mlp()
    before = list(net.parameters())

    DependentModule(net)

    assert [id(p) for p in net.parameters()] == [id(p) for p in before]
    assert all(type(p) is nn.Parameter for p in net.parameters())


def test_nothing_is_a_dependent_after_conversion_alone() -> None:
    assert list(DependentModule(mlp()).named_dependents()) == []


def test_buffers_stay_the_same_objects() -> None:
    net = nn.BatchNorm1d(3)
    before = [id(b) for b in net.buffers()]

    DependentModule(net)

    assert [id(b) for b in net.buffers()] == before


def test_a_converted_module_computes_what_it_did() -> None:
    net, x = mlp(), inputs()
    wanted = net(x)

    assert torch.equal(DependentModule(net)(x), wanted)


def test_training_mode_stays_as_it_was_in_each_submodule() -> None:
    net = mlp()
    net[0].eval()

    DependentModule(net)

    assert [m.training for m in net.modules()] == [True, False, True, True]


def test_a_converted_module_prints_as_documented() -> None:
    net = nn.Sequential(nn.Linear(10, 5), nn.Linear(5, 2))

    assert str(DependentModule(net)) == (
        "DependentSequential(\n"
        "  (0): DependentLinear(in_features=10, out_features=5, bias=True)\n"
        "  (1): DependentLinear(in_features=5, out_features=2, bias=True)\n"
        ")"
    )


def test_conversion_of_a_deep_copy_leaves_the_original_alone() -> None:
    net = Scaled()
    before = state_of(net)

    DependentModule(deepcopy(net))

    assert state_of(net) == before


def test_conversion_twice_changes_nothing_more() -> None:
    net = DependentModule(mlp())
    before = state_of(net)

    assert DependentModule(net) is net
    assert state_of(net) == before


def test_conversion_again_keeps_the_dependents() -> None:
    net = DependentModule(mlp()).clear_params(init=True)
    before = dict(net.named_dependents())

    DependentModule(net)

    assert dict(net.named_dependents()) == before


def test_an_instance_of_a_counterpart_is_an_instance_of_the_torch_class() -> None:
    assert isinstance(DependentModule(nn.Linear(3, 4)), nn.Linear)


def test_T09_two_modules_of_a_type_get_the_same_class() -> None:
    assert type(DependentModule(nn.Linear(3, 4))) is type(DependentModule(nn.Linear(5, 6)))


def test_T09_the_class_is_the_one_that_can_be_imported() -> None:
    assert type(DependentModule(nn.Linear(3, 4))) is metann.generated.DependentLinear


def test_a_submodule_under_two_names_stays_one() -> None:
    net = DependentModule(Shared())

    assert net.first is net.second


def test_a_tied_parameter_stays_one() -> None:
    net = DependentModule(Tied())

    assert net.encoder.weight is net.decoder.weight


def test_to_dependentmodule_converts_the_whole_tree() -> None:
    net = mlp()

    assert DependentModule.to_dependentmodule(net) is net
    assert all(isinstance(m, DependentModule) for m in net.modules())


def test_to_dependentmodule_without_recurse_converts_only_the_module_itself() -> None:
    net = mlp()

    assert DependentModule.to_dependentmodule(net, recurse=False) is net
    assert [type(m) for m in net.modules()] == [
        DependentSequential,
        nn.Linear,
        nn.Tanh,
        nn.Linear,
    ]


def test_the_rest_of_a_half_converted_tree_can_be_converted_later() -> None:
    net = DependentModule.to_dependentmodule(mlp(), recurse=False)

    DependentModule(net)

    assert all(isinstance(m, DependentModule) for m in net.modules())


def test_to_dependentmodule_can_be_called_on_a_subclass() -> None:
    assert type(DependentLinear.to_dependentmodule(nn.Tanh())) is DependentTanh


def test_to_dependent_returns_the_same_object_converted() -> None:
    net = mlp()

    assert metann.to_dependent(net) is net
    assert all(isinstance(m, DependentModule) for m in net.modules())


def test_hooks_added_before_conversion_still_fire() -> None:
    net, calls = mlp(), []
    net[0].register_forward_hook(lambda *_: calls.append("hook"))

    DependentModule(net)(inputs())

    assert calls == ["hook"]


def test_a_hook_added_before_conversion_can_be_removed_after() -> None:
    net, calls = mlp(), []
    handle = net[0].register_forward_hook(lambda *_: calls.append("hook"))
    DependentModule(net)

    handle.remove()
    net(inputs())

    assert calls == []


def test_an_optimiser_made_before_conversion_goes_on_working() -> None:
    net, x = mlp(), inputs()
    optimiser = torch.optim.SGD(net.parameters(), lr=0.1)
    reference = deepcopy(net)
    reference_optimiser = torch.optim.SGD(reference.parameters(), lr=0.1)
    DependentModule(net)

    for model, chosen in ((net, optimiser), (reference, reference_optimiser)):
        model(x).square().sum().backward()
        chosen.step()

    assert same(net(x), reference(x))


def test_a_generated_counterpart_takes_the_constructor_arguments_of_torch() -> None:
    layer = DependentConv2d(3, 4, kernel_size=3, padding="same", bias=False)

    assert repr(layer) == repr(nn.Conv2d(3, 4, 3, padding="same", bias=False)).replace(
        "Conv2d", "DependentConv2d"
    )
    assert type(layer.weight) is nn.Parameter


def test_a_constructed_counterpart_computes_what_the_torch_layer_computes() -> None:
    layer, plain = DependentLSTM(3, 4, batch_first=True), nn.LSTM(3, 4, batch_first=True)
    layer.load_state_dict(plain.state_dict())
    x = inputs(2, 5, 3)

    assert same(layer(x)[0], plain(x)[0])


def test_a_constructed_counterpart_converts_plain_modules_given_to_it() -> None:
    net = DependentSequential(nn.Linear(3, 4), nn.Tanh())

    assert [type(m) for m in net] == [DependentLinear, DependentTanh]


def test_a_bare_dependent_module_can_be_made_and_filled() -> None:
    module = DependentModule()
    module.register_dependent("offset", torch.randn(3))

    assert [name for name, _ in module.named_dependents()] == ["offset"]


def test_a_bare_nn_module_becomes_a_dependent_module() -> None:
    assert type(DependentModule(nn.Module())) is DependentModule


class Handwritten(DependentModule):
    """A user may write a dependent module by hand."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.layer = nn.Linear(width, width)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.layer(x)


def test_a_handwritten_dependent_module_converts_its_layers_as_they_are_assigned() -> None:
    assert type(Handwritten(3).layer) is DependentLinear


def test_the_keyword_module_is_accepted() -> None:
    net = mlp()

    assert DependentModule(module=net) is net


@pytest.mark.parametrize("name", metann.__all__)
def test_every_public_name_can_be_had_from_the_package(name: str) -> None:
    assert getattr(metann, name) is not None
