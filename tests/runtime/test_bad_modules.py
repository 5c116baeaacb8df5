"""What cannot be converted says so, and what to do; nothing is changed."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from small_nets import inputs, state_of
from torch import nn

import metann
from metann import DependentModule, Learner
from metann.errors import ConversionError, UninitializedModuleError

DOORS: dict[str, Callable[[Any], object]] = {
    "DependentModule": DependentModule,
    "to_dependentmodule": DependentModule.to_dependentmodule,
    "to_dependent": metann.to_dependent,
    "stateless": DependentModule.stateless,
    "Learner": Learner,
}
door = pytest.mark.parametrize("door", DOORS.values(), ids=DOORS)


@pytest.fixture
def scripted(recwarn: pytest.WarningsRecorder) -> torch.jit.ScriptModule:
    """torch.jit warns that it is deprecated."""
    return torch.jit.script(nn.Linear(3, 3))


@door
@pytest.mark.parametrize(
    ("wrong", "found"),
    [(3, "int"), ("net", "str"), (None, "NoneType"), (nn.Linear, "type"), ([nn.Tanh()], "list")],
    ids=["int", "str", "None", "class", "list"],
)
def test_what_is_no_module_is_an_error_that_says_what_it_is(door, wrong, found: str) -> None:
    with pytest.raises(ConversionError, match=rf"expected a torch\.nn\.Module, got {found}"):
        door(wrong)


def test_dependent_module_with_two_arguments_is_an_error() -> None:
    with pytest.raises(TypeError, match="argument"):
        DependentModule(nn.Tanh(), nn.Tanh())


def test_a_conversion_error_is_a_type_error_and_a_metann_error() -> None:
    assert issubclass(ConversionError, TypeError)
    assert issubclass(ConversionError, metann.errors.MetannError)


@door
def test_a_lazy_module_that_has_not_seen_data_is_an_error(door) -> None:
    message = (
        r"the module itself \(.*LazyLinear\) is a lazy module that has not seen data: weight, bias "
        r"have no shape yet\. Call the model once on an example batch"
    )

    with pytest.raises(UninitializedModuleError, match=message):
        door(nn.LazyLinear(3))


@door
@pytest.mark.parametrize("make", [nn.LazyBatchNorm1d, lambda: nn.LazyConv1d(2, 1)])
def test_a_lazy_module_deep_in_a_tree_is_an_error_with_its_path(door, make) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.ModuleDict({"norm": make()}))
    before = [type(m) for m in net.modules()]

    with pytest.raises(UninitializedModuleError, match=r"1\.norm \(.*Lazy.*not seen data"):
        door(net)

    assert [type(m) for m in net.modules()] == before


@door
def test_a_lazy_module_that_has_seen_data_is_an_ordinary_one(door) -> None:
    net = nn.Sequential(nn.LazyLinear(3), nn.LazyBatchNorm1d())
    net(inputs())

    assert door(net) is not None


@door
def test_a_script_module_is_an_error_that_names_what_to_convert(
    door, scripted: torch.jit.ScriptModule
) -> None:
    with pytest.raises(
        ConversionError,
        match=r"the module itself .*: TorchScript .*\. Convert the module it was made from",
    ):
        door(scripted)


@door
def test_a_script_module_inside_is_an_error_with_its_path_and_nothing_changes(
    door, scripted: torch.jit.ScriptModule
) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Sequential(scripted))
    before = [type(m) for m in net.modules()]

    with pytest.raises(ConversionError, match=r"cannot convert 1\.0 \(.*TorchScript"):
        door(net)

    assert [type(m) for m in net.modules()] == before


@door
def test_a_traced_module_is_an_error(door, recwarn: pytest.WarningsRecorder) -> None:
    with pytest.raises(ConversionError, match="TorchScript"):
        door(torch.jit.trace(nn.Linear(3, 3), inputs()))


@door
def test_a_wrapped_compiled_module_is_an_error_that_names_what_to_convert(door) -> None:
    with pytest.raises(ConversionError, match=r"torch\.compile has wrapped it.*_orig_mod"):
        door(torch.compile(nn.Linear(3, 3), backend="eager"))


@door
def test_a_wrapped_compiled_module_inside_is_an_error_with_its_path(door) -> None:
    net = nn.Sequential(nn.Linear(3, 3), torch.compile(nn.Linear(3, 3), backend="eager"))
    before = [type(m) for m in net.modules()]

    with pytest.raises(ConversionError, match=r"cannot convert 1 \(.*torch\.compile"):
        door(net)

    assert [type(m) for m in net.modules()] == before


@door
def test_a_module_compiled_in_place_is_an_error_that_says_in_which_order(door) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.Tanh())
    net[0].compile(backend="eager")

    with pytest.raises(ConversionError, match=r"0 \(.*\.compile\(\) was called\. Convert it first"):
        door(net)

    assert type(net[1]) is nn.Tanh


@door
def test_data_parallel_is_an_error_that_names_what_to_convert(door) -> None:
    with pytest.raises(
        ConversionError,
        match=r"DataParallel makes replicas.*Convert the module inside \(`\.module`\)",
    ):
        door(nn.DataParallel(nn.Linear(3, 3)))


@door
def test_data_parallel_inside_is_an_error_with_its_path_and_nothing_changes(door) -> None:
    net = nn.Sequential(nn.Linear(3, 3), nn.ModuleDict({"wide": nn.DataParallel(nn.Linear(3, 3))}))
    before = state_of(net)

    with pytest.raises(ConversionError, match=r"cannot convert 1\.wide \(.*DataParallel\)"):
        door(net)

    assert state_of(net) == before


@door
def test_a_subclass_of_data_parallel_is_an_error_too(door) -> None:
    class Mine(nn.DataParallel):
        pass

    with pytest.raises(ConversionError, match="Mine makes replicas"):
        door(Mine(nn.Linear(3, 3)))


@pytest.mark.parametrize(
    "add",
    [
        lambda net, bad: setattr(net, "bad", bad),
        lambda net, bad: net.add_module("bad", bad),
        lambda net, bad: net.append(bad),
        lambda net, bad: net.__setitem__(0, bad),
    ],
    ids=["setattr", "add_module", "append", "setitem"],
)
def test_adding_what_cannot_be_converted_is_an_error_and_changes_nothing(add) -> None:
    net = DependentModule(nn.Sequential(nn.Linear(3, 3)))
    before = state_of(net)

    with pytest.raises(ConversionError, match="DataParallel"):
        add(net, nn.Sequential(nn.Linear(3, 3), nn.DataParallel(nn.Tanh())))

    assert state_of(net) == before


def test_a_module_whose_init_was_not_called_is_an_error_that_says_so() -> None:
    class Forgetful(nn.Module):
        def __init__(self) -> None:
            pass

    for door in DOORS.values():
        with pytest.raises(Exception, match=r"Module\.__init__\(\)"):
            door(Forgetful())


def test_registering_what_is_no_counterpart_is_an_error_that_shows_how() -> None:
    class Wrong(DependentModule):
        pass

    with pytest.raises(
        ConversionError,
        match=r"must be a subclass of Linear.*class Wrong\(Linear, DependentModule\)",
    ):
        metann.register(nn.Linear, Wrong)


def test_registering_a_plain_subclass_is_an_error() -> None:
    class Wrong(nn.Linear):
        pass

    with pytest.raises(ConversionError, match="must be a subclass of DependentModule"):
        metann.register(nn.Linear, Wrong)


def test_registering_what_is_no_class_is_an_error_of_metann() -> None:
    for pair in [(nn.Tanh(), DependentModule), (nn.Tanh, nn.Tanh()), ("Tanh", DependentModule)]:
        with pytest.raises(ConversionError, match="cannot register"):
            metann.register(*pair)


def test_registering_a_class_that_is_no_module_is_an_error_of_metann() -> None:
    with pytest.raises(ConversionError, match="cannot register"):
        metann.register(int, DependentModule)


def test_an_unknown_policy_is_an_error_that_lists_the_known_ones() -> None:
    with pytest.raises(ValueError, match=r"""'ask': choose "write" or "error\""""):
        metann.set_missing_policy("ask")
