"""On a torch that a generated file does not fit, its counterparts are written on demand.

Each program runs in a process of its own, in which a name that a generated file imports is gone
from torch, as it might be in another version.
"""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

PRELUDE = """
import logging, sys
import torch
from torch import nn
import metann
from metann import DependentModule, Learner

logging.basicConfig(level=logging.WARNING, stream=sys.stdout, format="WARNING %(message)s")

def computed(module):
    return [torch.randn_like(p, requires_grad=True) * 2 for p in module.parameters()]

def agrees(module, *inputs):
    weights = computed(module)
    names = [name for name, _ in module.named_parameters()]
    wanted = torch.func.functional_call(module, dict(zip(names, weights)), inputs)
    functional = Learner(module).functional(weights, True, *inputs)
    module = DependentModule.stateless(module)
    module.substitute_from_list(weights)
    return torch.equal(functional, wanted) and torch.equal(module(*inputs), wanted)
"""

NO_RMS_NORM = PRELUDE + "del nn.RMSNorm\n"  # generated/normalization.py subclasses it
NO_DICT = PRELUDE + "del nn.ModuleDict\n"  # generated/container.py does
NO_CELL = PRELUDE + "del nn.GRUCell\n"  # generated/rnn.py does


def lines_of(program: str) -> list[str]:
    """What a program prints, warnings included."""
    result = subprocess.run(
        [sys.executable, "-c", program],
        env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        capture_output=True,
        text=True,
    )
    assert result.returncode == 0, result.stderr
    return result.stdout.splitlines()


@pytest.fixture(scope="module")
def printed() -> list[str]:
    return lines_of(
        NO_RMS_NORM
        + "print(agrees(nn.LayerNorm(3), torch.randn(5, 3)))\n"
        + "print(agrees(nn.Sequential(nn.Linear(3, 4), nn.GroupNorm(2, 4)), torch.randn(5, 3)))\n"
        + "print(type(DependentModule(nn.LayerNorm(3))).__module__)\n"
        + "print(type(DependentModule(nn.Linear(3, 2))).__module__)\n"
    )


def test_a_layer_whose_file_does_not_fit_is_converted_all_the_same(printed: list[str]) -> None:
    assert printed[1:] == [
        "True",
        "True",
        "torch.nn.modules.normalization.metann_on_demand.LayerNorm",
        "metann.generated.linear",
    ]


def test_one_warning_says_what_was_found_and_what_to_do(printed: list[str]) -> None:
    from metann.generated._table import TORCH_VERSION

    warnings = [line for line in printed if line.startswith("WARNING")]

    assert len(warnings) == 1
    found, _, advice = warnings[0].partition(" that is installed here: ")
    assert found.startswith(
        "WARNING Asked for DependentLayerNorm, but metann.generated.normalization was generated "
        f"from torch {TORCH_VERSION} and does not fit the torch {TORCH_VERSION}"
    )
    assert advice == (
        f"module 'torch.nn' has no attribute 'RMSNorm'. Install torch {TORCH_VERSION}, or run "
        "`python tools/generate.py` in a checkout of metann. Until then its counterparts are "
        "written on demand."
    )


def test_who_asks_for_the_class_itself_gets_an_error() -> None:
    program = NO_RMS_NORM + (
        "try:\n    metann.generated.DependentLayerNorm\n"
        "except ImportError as error:\n    print(error)\n"
    )

    (line,) = lines_of(program)

    assert "metann.generated.normalization was generated from torch" in line
    assert "python tools/generate.py" in line


def test_a_name_that_cannot_be_imported_is_found_too() -> None:
    program = PRELUDE + (
        "import torch.nn.modules.linear as linear\n"
        "del linear.NonDynamicallyQuantizableLinear\n"
        "print(agrees(nn.Linear(3, 2), torch.randn(5, 3)))\n"
    )

    warning, works = lines_of(program)

    assert "cannot import name 'NonDynamicallyQuantizableLinear'" in warning
    assert works == "True"


def test_it_is_an_error_if_nothing_may_be_written_on_demand() -> None:
    program = NO_RMS_NORM + (
        "metann.set_missing_policy('error')\n"
        "try:\n    DependentModule(nn.LayerNorm(3))\n"
        "except metann.errors.NoCounterpartError as error:\n    print(error)\n"
    )

    warning, error = lines_of(program)

    assert warning.startswith("WARNING Asked for DependentLayerNorm")
    assert error.startswith("no pre-generated counterpart for torch.nn.modules.normalization.Layer")


@pytest.mark.parametrize("layer", ["nn.Embedding(5, 3, max_norm=0.1)", "Bag(5, 3, max_norm=0.1)"])
def test_an_embedding_does_not_write_into_the_weight_it_is_given(layer: str) -> None:
    program = PRELUDE + (
        "Bag = nn.EmbeddingBag\ndel nn.EmbeddingBag\n"
        f"layer, x = {layer}, torch.tensor([[1, 2], [0, 4]])\n"
        "leaf = torch.randn(5, 3, requires_grad=True)\nweight = leaf * 2\nbefore = weight.clone()\n"
        "out = Learner(layer).functional([weight], True, x)\n"
        "print('metann_on_demand' in type(Learner(layer).bind([weight])).__module__)\n"
        "print(torch.equal(weight, before), out.norm(dim=-1).max().item() <= 0.1001)\n"
        "print(torch.autograd.grad(out.sum(), leaf)[0].abs().sum().item() > 0)\n"
    )

    assert lines_of(program)[1:] == ["True", "True True", "True"]


def test_a_module_that_is_inserted_is_converted() -> None:
    program = NO_DICT + (
        "net = DependentModule(nn.Sequential(nn.Linear(2, 2)))\nnet.insert(0, nn.Tanh())\n"
        "print(type(net[0]).__name__)\n"
    )

    assert lines_of(program)[1:] == ["DependentTanh"]


def test_a_recurrent_layer_follows_its_weights() -> None:
    program = NO_CELL + (
        "lstm, x = nn.LSTM(3, 2), torch.randn(4, 1, 3)\n"
        "net = DependentModule.stateless(lstm)\n"
        "for _ in range(2):\n"
        "    weights = computed(lstm)\n"
        "    net.substitute_from_list(weights)\n"
        "    named = dict(zip(dict(lstm.named_parameters()), weights))\n"
        "    print(torch.equal(net(x)[0], torch.func.functional_call(lstm, named, (x,))[0]))\n"
    )

    assert lines_of(program)[1:] == ["True", "True"]
