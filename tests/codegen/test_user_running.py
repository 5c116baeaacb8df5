"""The written file at run time: what is converted by it computes as before."""

from __future__ import annotations

import copy
import importlib
import pickle
import sys
from pathlib import Path

import pytest
import sample_nets as nets
import torch
from user_files import IMPORTS, Written, write

import metann
from metann.codegen.format import format_text
from metann.codegen.render import render_user_file
from metann.codegen.users.locate import locate
from metann.codegen.users.plan import plan_user
from metann.codegen.users.reading import read_user
from metann.on_demand import write_counterpart

SAMPLE = Path(nets.__file__)
MODELS = {
    "Block": lambda: nets.Block(4),
    "without scale": lambda: nets.Block(4, scaled=False),
    "Deep": nets.Deep,
    "Wrapper": lambda: nets.Wrapper(nets.Scaled(4)),
    "Wrapped": nets.Wrapped,
    "Scaled": lambda: nets.Scaled(4),
    "Configured": lambda: nets.Configured(4),
    "OfRegistered": nets.OfRegistered,
    "Inner": lambda: nets.Outer.Inner(4),
    "Hidden": nets.Hidden,
    "Last": nets.Last,
    "Cached": nets.Cached,
    "Any_": nets.Any_,
}


@pytest.fixture(scope="module")
def written(torch_library) -> Written:
    """The counterparts of the sample."""
    target = locate(str(SAMPLE))
    plan = plan_user(read_user(target, torch_library), target, "metann-generate sample_nets")
    return Written(plan, format_text(render_user_file(plan)))


@pytest.fixture(scope="module")
def dependent(written, tmp_path_factory):
    """The written file, imported; warnings are errors."""
    folder = tmp_path_factory.mktemp("written")
    (folder / "dependent_sample_nets.py").write_text(written.text)
    sys.path.insert(0, str(folder))
    yield importlib.import_module("dependent_sample_nets")
    sys.path.remove(str(folder))
    del sys.modules["dependent_sample_nets"]


def a_model(name: str) -> torch.nn.Module:
    torch.manual_seed(0)
    return MODELS[name]().double()


def gradients(outputs: torch.Tensor, model: torch.nn.Module) -> list[torch.Tensor]:
    weights = list(model.parameters())
    if not weights:
        return []
    loss = outputs.square().sum()
    return list(torch.autograd.grad(loss, weights, materialize_grads=True))


@pytest.mark.parametrize("name", MODELS)
def test_outputs_and_gradients_are_the_plain_ones(dependent, name):
    plain, inputs = a_model(name), torch.randn(3, 4, dtype=torch.float64)
    converted = dependent.to_dependent(copy.deepcopy(plain))

    expected, outputs = plain(inputs), converted(inputs)
    assert type(converted).__module__ == "dependent_sample_nets"
    assert torch.equal(outputs, expected)
    for own, plains in zip(gradients(outputs, converted), gradients(expected, plain), strict=True):
        assert torch.equal(own, plains)


@pytest.mark.parametrize("name", MODELS)
def test_a_call_as_a_function_uses_the_given_weights(dependent, name):
    plain, inputs = a_model(name), torch.randn(3, 4, dtype=torch.float64)
    other = a_model(name)
    with torch.no_grad():
        for weight in other.parameters():
            weight.copy_(torch.randn_like(weight))

    outputs = metann.Learner(plain).functional(list(other.parameters()), True, inputs)

    assert torch.equal(outputs, other(inputs))
    for own, plains in zip(gradients(outputs, other), gradients(other(inputs), other), strict=True):
        torch.testing.assert_close(own, plains, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", MODELS)
def test_the_typed_attributes_are_what_they_say(dependent, written, name):
    converted = dependent.to_dependent(a_model(name))
    fields = {layer.name: layer.fields for layer in written.plan.layers}
    kinds = vars(importlib.import_module("metann.generated"))

    for module in converted.modules():
        for field in fields.get(type(module).__name__, ()):
            value = getattr(module, field.name)
            names = [part.strip() for part in field.annotation.split("|")]
            known = {"Tensor": torch.Tensor, "None": type(None)} | vars(dependent) | kinds
            types = tuple(known.get(n) or getattr(metann.generated, n) for n in names)
            assert isinstance(value, types), (type(module), field)


def test_a_counterpart_is_constructed_by_the_users_own_arguments(dependent):
    made = dependent.DependentDeep(width=6, depth=1)

    assert isinstance(made.blocks[0], dependent.DependentBlock)
    assert made(torch.randn(2, 6)).shape == (2, 2)


def test_libraries_that_look_classes_up_find_the_users(dependent):
    for name in ("Block", "Deep", "Scaled", "OfRegistered"):
        model = MODELS[name]()
        shown = str(type(model))
        assert str(type(dependent.to_dependent(model))) == shown
    assert repr(dependent.DependentBlock) == "<class 'sample_nets.Block'>"

    class Sub(dependent.DependentBlock): ...

    assert "Sub" in repr(Sub)


def test_the_counterpart_of_a_class_that_acts_on_its_subclasses_is_none_of_them(dependent):
    assert nets.Registered.kinds == ["OfRegistered"]


def test_what_the_class_holds_is_found_first(dependent):
    converted = dependent.to_dependent(nets.Hidden())

    assert converted.layer is None
    assert isinstance(converted.real, metann.generated.DependentLinear)


BRANCHES = f"""{IMPORTS}
if torch.__version__ > "1":
    class Net(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.lin = nn.Linear(4, 4)
else:
    class Net(nn.Module): ...
if torch.__version__ < "1":
    class Never(nn.Module): ...
try:
    from nowhere import Norm
except ImportError:
    class Norm(nn.LayerNorm): ...
"""


def test_a_class_has_a_counterpart_where_it_is_there(tmp_path, torch_library, monkeypatch):
    made = write(tmp_path, torch_library, BRANCHES)
    (tmp_path / "pkg" / "written.py").write_text(made.text)
    monkeypatch.syspath_prepend(tmp_path)

    file = importlib.import_module("pkg.written")
    plain = importlib.import_module("pkg.nets")
    monkeypatch.delitem(sys.modules, "pkg")

    assert type(file.to_dependent(plain.Net())) is file.DependentNet
    assert type(metann.to_dependent(plain.Norm(3))) is file.DependentNorm
    assert not hasattr(file, "DependentNever")


def test_copies_and_pickles_are_of_the_written_class(dependent):
    converted = dependent.to_dependent(a_model("Deep"))

    for other in (copy.deepcopy(converted), pickle.loads(pickle.dumps(converted))):
        assert type(other) is dependent.DependentDeep
        assert other.tied.weight is other.lin.weight


def test_the_bases_are_those_that_the_runtime_would_take(dependent):
    for name in ("Scaled", "OfRegistered", "Hidden", "Deep", "Wrapper"):
        kind = type(MODELS[name]())
        ours, ahead = write_counterpart(kind), getattr(dependent, f"Dependent{kind.__name__}")
        assert [base.__name__ for base in ours.__bases__][:2] == [
            base.__name__ for base in ahead.__bases__
        ][:2]
