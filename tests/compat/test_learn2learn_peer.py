"""The same programs on learn2learn itself: the numbers agree.

learn2learn 0.2.0 is a source archive whose C files do not compile on Python 3.11, and importing it
imports gym and torchvision. None of that is needed here: unpack the archive, and let
LEARN2LEARN_SOURCE name the folder in which its folder `learn2learn` is.
"""

from __future__ import annotations

import copy
import os
import sys
from collections.abc import Callable, Iterator
from importlib import import_module
from pathlib import Path
from types import ModuleType
from typing import Any

import learn2learn_snippets as snippets
import pytest
import torch
from by_hand import CLOSE
from torch import nn

import metann.compat.learn2learn as ours

# The module that holds a name -> the names.
PARTS = {
    "optim.parameter_update": ["ParameterUpdate"],
    "optim.update_rules.differentiable_sgd": ["DifferentiableSGD"],
    "optim.learnable_optimizer": ["LearnableOptimizer"],
    "algorithms.maml": ["MAML", "maml_update"],
    "algorithms.meta_sgd": ["MetaSGD"],
    "algorithms.gbml": ["GBML"],
}


@pytest.fixture(scope="module")
def theirs() -> Iterator[Any]:
    folder = Path(os.environ.get("LEARN2LEARN_SOURCE", "")) / "learn2learn"
    if not (folder / "utils").exists():
        pytest.skip("LEARN2LEARN_SOURCE names no folder with learn2learn's unpacked archive")
    known = {*sys.modules}
    yield assembled(folder)
    for name in {*sys.modules} - known:
        if name.startswith("learn2learn"):
            del sys.modules[name]


def package(name: str, folder: Path) -> ModuleType:
    """A package that its own `__init__.py` has not filled."""
    made = sys.modules[name] = ModuleType(name)
    made.__path__ = [str(folder)]
    return made


def assembled(folder: Path) -> ModuleType:
    """learn2learn without what is compiled."""
    whole = package("learn2learn", folder)
    vars(whole).update(vars(import_module("learn2learn.utils")))
    whole.__path__ = [str(folder)]
    for part in ("optim", "algorithms"):
        setattr(whole, part, package(f"learn2learn.{part}", folder / part))
    for path, names in PARTS.items():
        module = import_module(f"learn2learn.{path}")
        for name in names:
            setattr(getattr(whole, path.split(".")[0]), name, getattr(module, name))
    return whole


WITH_DATA: dict[str, Callable[..., Any]] = {
    "MAML": snippets.few_shot_learning,
    "FOMAML": lambda l2l, *args: snippets.few_shot_learning(l2l, *args, first_order=True),
    "MetaSGD": snippets.meta_sgd,
    "MetaSGD of first order": lambda l2l, *args: snippets.meta_sgd(l2l, *args, first_order=True),
    "maml_update": snippets.maml_update,
    "GBML": lambda l2l, *args: snippets.gbml(l2l, *args, adapt_transform=False),
    "GBML whose updates adapt": lambda l2l, *args: snippets.gbml(l2l, *args, adapt_transform=True),
    "clone_module and update_module": snippets.clone_and_update,
    "LearnableOptimizer": snippets.meta_descent,
}


def agree(theirs: Any, snippet: Callable[..., Any], *args: Any) -> None:
    """Run a snippet on both libraries, each with copies of its own."""
    found = snippet(ours, *copy.deepcopy(args))
    expected = snippet(theirs, *copy.deepcopy(args))

    torch.testing.assert_close(found, expected, **CLOSE)


@pytest.mark.parametrize("name", WITH_DATA)
def test_algorithms(theirs: Any, name: str) -> None:
    agree(theirs, WITH_DATA[name], snippets.small_net(), snippets.batches())


def test_modules_and_tensors(theirs: Any) -> None:
    model: nn.Module = snippets.small_net()

    agree(theirs, snippets.update_by_attribute, model)
    agree(theirs, snippets.detach, model, torch.randn(5, 3))
    agree(theirs, snippets.magic_box, torch.randn(4, requires_grad=True), torch.randn(4))
    agree(theirs, snippets.toy, snippets.Toy(), torch.randn(5), torch.rand(5))


def test_learn2learn_cannot_run_its_readme_on_learned_updates(theirs: Any) -> None:
    with pytest.raises(RuntimeError, match=r"backward through the graph a second time"):
        snippets.learned_update(theirs, snippets.small_net(), snippets.batches())
