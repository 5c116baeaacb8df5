"""Counterparts of users' classes, written from the same template at first use."""

from __future__ import annotations

import gc
import inspect
import linecache
import logging
import pickle
import sys
import traceback
import weakref
from collections.abc import Iterator
from copy import deepcopy
from io import BytesIO
from typing import Any

import pytest
import torch
from small_nets import Scaled, Tied, expected, fresh, inputs, same
from torch import Tensor, nn

import metann
from metann import DependentModule, Learner
from metann.errors import NoCounterpartError
from metann.generated import DependentLinear


class Net(nn.Module):
    """A user's net: `(n, 3) -> (n, 2)`."""

    def __init__(self) -> None:
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x: Tensor) -> Tensor:
        return self.layer(x)


class Wide(nn.Linear):
    """A user's layer."""


class Logged(nn.Linear):
    """Converted by one test only."""


class Unseen(nn.Linear):
    """Never converted."""


@pytest.fixture
def restored_lines() -> Iterator[None]:
    before = dict(linecache.cache)
    yield
    linecache.cache.update(before)


@pytest.fixture
def policy_error() -> Iterator[None]:
    before = metann.set_missing_policy("error")
    yield
    metann.set_missing_policy(before)


def local_class() -> type[nn.Module]:
    """A class that nothing but its caller refers to."""

    class Local(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.layer = nn.Linear(3, 2)

        def forward(self, x: Tensor) -> Tensor:
            return self.layer(x)

    return Local


def test_the_counterpart_is_named_like_the_generated_ones() -> None:
    net = DependentModule(Net())

    assert type(net).__name__ == "DependentNet"
    assert str(net).startswith("DependentNet(\n  (layer): DependentLinear(")


def test_T09_all_instances_of_a_class_get_one_counterpart() -> None:
    assert type(DependentModule(Net())) is type(DependentModule(Net()))


def test_two_classes_of_one_name_get_two_counterparts() -> None:
    one, two = local_class(), local_class()

    kinds = type(DependentModule(one())), type(DependentModule(two()))

    assert kinds[0] is not kinds[1]
    assert issubclass(kinds[0], one)
    assert issubclass(kinds[1], two)


def test_the_source_of_a_counterpart_can_be_read() -> None:
    source = inspect.getsource(type(DependentModule(Net())))

    assert source.startswith("class DependentNet(Net, DependentModule, metaclass=ShownAsOriginal):")


def test_the_source_of_the_counterpart_of_a_subclass_of_a_layer_names_its_counterpart() -> None:
    source = inspect.getsource(type(DependentModule(Wide(3, 2))))

    assert source.startswith("class DependentWide(Wide, DependentLinear, metaclass=")


def test_the_sources_of_two_classes_of_one_name_are_told_apart() -> None:
    class Other(nn.Linear):
        pass

    one = type(DependentModule(Other(3, 2)))

    class Other(nn.Tanh):  # the same name on purpose
        pass

    two = type(DependentModule(Other()))

    assert "(Other, DependentLinear, " in inspect.getsource(one)
    assert "(Other, DependentTanh, " in inspect.getsource(two)


def test_the_file_of_a_counterpart_begins_with_who_wrote_it_and_from_what() -> None:
    kind = type(DependentModule(Net()))
    lines = linecache.getlines(inspect.getfile(kind))

    assert lines[0].startswith(f"# Written by metann when {__name__}.Net was first converted")
    assert "templates/on_demand.py.jinja" in "".join(lines[:3])
    assert f"metann-generate {__name__}:Net" in "".join(lines[:6])


def test_the_source_survives_a_check_of_the_line_cache() -> None:
    kind = type(DependentModule(Net()))

    linecache.checkcache()

    assert inspect.getsource(kind).startswith("class DependentNet")


def test_the_source_survives_a_cleared_line_cache(restored_lines) -> None:
    kind = type(DependentModule(Net()))

    linecache.clearcache()

    assert inspect.getsource(kind).startswith("class DependentNet")


def test_a_traceback_through_a_converted_model_shows_the_users_lines() -> None:
    class Failing(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            return x.no_such_attribute  # this line

    with pytest.raises(AttributeError, match="no_such_attribute") as caught:
        DependentModule(Failing())(inputs())

    shown = "".join(traceback.format_exception(caught.value))
    assert "return x.no_such_attribute  # this line" in shown


def test_a_traceback_through_written_code_shows_its_lines() -> None:
    kind = type(DependentModule(Net()))
    file = inspect.getfile(kind)
    first = "class DependentNet(Net, DependentModule, metaclass=ShownAsOriginal):\n"
    line = 1 + linecache.getlines(file).index(first)

    assert linecache.getline(file, line) == first
    assert inspect.getsourcelines(kind)[1] == line


def test_the_log_names_the_class_and_the_command_that_writes_it_to_a_file(
    caplog: pytest.LogCaptureFixture,
) -> None:
    with caplog.at_level(logging.INFO, logger="metann"):
        DependentModule(Logged(3, 2))

    assert "DependentLogged" in caplog.text
    assert f"metann-generate {__name__}:Logged -o" in caplog.text


def test_the_log_says_nothing_at_the_second_use(caplog: pytest.LogCaptureFixture) -> None:
    kind = local_class()
    DependentModule(kind())

    with caplog.at_level(logging.DEBUG, logger="metann"):
        DependentModule(kind())

    assert caplog.text == ""


def test_the_log_says_of_a_local_class_that_it_must_move(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, logger="metann"):
        DependentModule(local_class()())

    assert "move Local to the top level of a module" in caplog.text


def test_generated_layers_are_not_logged(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.DEBUG, logger="metann"):
        DependentModule(nn.Sequential(nn.Linear(3, 2), nn.LSTM(2, 2)))

    assert caplog.text == ""


@pytest.mark.parametrize("door", [DependentModule, Learner, DependentModule.stateless])
def test_the_policy_error_forbids_writing_and_says_what_to_do(door, policy_error) -> None:
    class Forbidden(nn.Module):
        pass

    message = (
        r"no pre-generated counterpart for .*Forbidden.*switched off.*"
        r"register one with metann\.register"
    )

    net = nn.Sequential(nn.Linear(3, 2), Forbidden())
    with pytest.raises(NoCounterpartError, match=message):
        door(net)

    assert [type(m) for m in net] == [nn.Linear, Forbidden]


def test_the_policy_error_names_the_command(policy_error) -> None:
    with pytest.raises(NoCounterpartError, match=rf"metann-generate {__name__}:Unseen -o"):
        DependentModule(Unseen(3, 2))


def test_the_policy_error_allows_what_is_generated_or_registered(policy_error) -> None:
    class Known(nn.Module):
        pass

    class DependentKnown(Known, DependentModule):
        pass

    metann.register(Known, DependentKnown)

    assert type(DependentModule(Known())) is DependentKnown
    assert type(DependentModule(nn.Linear(3, 2))) is DependentLinear


def test_set_missing_policy_returns_the_policy_before() -> None:
    assert metann.set_missing_policy("error") == "write"
    assert metann.set_missing_policy("write") == "error"


def test_a_registered_counterpart_is_used_by_every_door() -> None:
    class Mine(nn.Linear):
        pass

    class DependentMine(Mine, DependentLinear):
        pass

    metann.register(Mine, DependentMine)
    net = Mine(3, 2)

    assert type(Learner(net).bind(fresh(net))) is DependentMine
    assert type(DependentModule.stateless(net)) is DependentMine
    assert type(DependentModule(net)) is DependentMine


def test_a_registered_counterpart_is_not_that_of_subclasses() -> None:
    class Mine(nn.Linear):
        pass

    class DependentMine(Mine, DependentLinear):
        pass

    class Sub(Mine):
        pass

    metann.register(Mine, DependentMine)
    kind = type(DependentModule(Sub(3, 2)))

    assert kind is not DependentMine
    assert issubclass(kind, (Sub, DependentMine))


def test_nothing_keeps_a_users_class_alive() -> None:
    kind = local_class()
    net = kind()
    counterpart = type(DependentModule(net))
    Learner(net).functional(fresh(net), True, inputs())
    references = weakref.ref(kind), weakref.ref(counterpart)
    home, file = counterpart.__module__, inspect.getfile(counterpart)

    del kind, net, counterpart
    gc.collect()

    assert [r() for r in references] == [None, None]
    assert home not in sys.modules
    assert file not in linecache.cache


def test_a_class_defined_again_and_again_leaves_no_trace_behind() -> None:
    def use() -> None:
        DependentModule(local_class()())

    use()
    gc.collect()
    before = len(sys.modules), len(linecache.cache)
    for _ in range(5):
        use()
    gc.collect()

    assert (len(sys.modules), len(linecache.cache)) == before


def round_trip(value: Any) -> Any:
    return pickle.loads(pickle.dumps(value))


def saved_and_loaded(value: Any) -> Any:
    file = BytesIO()
    torch.save(value, file)
    file.seek(0)
    return torch.load(file, weights_only=False)


COPIES = {"pickle": round_trip, "torch.save": saved_and_loaded, "deepcopy": deepcopy}
copies = pytest.mark.parametrize("copied", COPIES.values(), ids=COPIES)


@copies
@pytest.mark.parametrize("make", [Net, Scaled, Tied, lambda: nn.Sequential(Net(), Wide(2, 2))])
def test_T08_a_converted_model_can_be_copied(copied, make) -> None:
    net, x = DependentModule(make()), inputs()

    made = copied(net)

    assert [type(m) for m in made.modules()] == [type(m) for m in net.modules()]
    assert same(made(x), net(x))


@copies
def test_T08_a_bound_instance_can_be_copied_and_its_copy_is_its_own(copied) -> None:
    net, x = Scaled(), inputs()
    weights = [w.detach() for w in fresh(net)]
    bound = Learner(net).bind(weights)

    made = copied(bound)
    made.substitute_from_list(fresh(net))

    assert same(bound(x), expected(net, weights, x))


@copies
def test_a_counterpart_written_for_a_class_is_written_once_for_copies_too(copied) -> None:
    net = DependentModule(Net())

    assert type(copied(net)) is type(net)


def test_a_pickle_of_a_converted_model_names_the_users_class_only() -> None:
    data = pickle.dumps(DependentModule(Net()))

    assert b"metann_on_demand" not in data
    assert b"test_on_demand" in data


def test_a_converted_local_class_can_be_deep_copied() -> None:
    net = DependentModule(local_class()())

    assert type(deepcopy(net)) is type(net)


def test_a_converted_local_class_cannot_be_pickled_like_any_local_class() -> None:
    with pytest.raises(
        (AttributeError, pickle.PicklingError), match=r"local_class\.<locals>\.Local"
    ):
        pickle.dumps(DependentModule(local_class()()))


def test_a_users_subclass_of_a_users_class_inherits_its_counterpart() -> None:
    class Special(Net):
        pass

    kind = type(DependentModule(Special()))

    assert issubclass(kind, type(DependentModule(Net())))


def test_the_counterpart_keeps_the_docstring_and_annotations_visible_to_help() -> None:
    assert "Counterpart of" in (inspect.getdoc(type(DependentModule(Net()))) or "")


def test_a_counterpart_can_be_constructed_with_the_users_arguments() -> None:
    kind = type(DependentModule(Wide(3, 2)))

    made = kind(5, 4, bias=False)

    assert (type(made), made.weight.shape, made.bias) == (kind, (4, 5), None)
