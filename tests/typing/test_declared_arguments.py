"""Constructors and forwards are declared with the names, kinds and defaults that torch's have."""

from __future__ import annotations

import ast
import inspect
from collections.abc import Iterator
from copy import deepcopy
from importlib import import_module

import pytest
import torch.nn.functional as F
from repository import REPOSITORY, tree_of

from metann.generated._table import COUNTERPARTS, FILES

METHODS = {"__init__": "__init__", "forward": "forward", "__call__": "forward"}
# nn.Module's own, or one that torch types with overloads only (RNN, LSTM and GRU).
UNSAID = ["*args", "**kwargs"]


def declared(layer: str) -> Iterator[tuple[str, ast.arguments]]:
    """The methods that the generated class declares or defines, but for overloads."""
    tree = tree_of(REPOSITORY / "generated" / f"{FILES[layer]}.py")
    (found,) = (n for n in ast.walk(tree) if isinstance(n, ast.ClassDef) and n.name == layer)
    methods = [node for node in ast.walk(found) if isinstance(node, ast.FunctionDef)]
    overloaded = {method.name for method in methods if method.decorator_list}
    for method in methods:
        if method.name in METHODS.keys() - overloaded:
            yield method.name, method.args


def written(arguments: ast.arguments) -> list[str]:
    """Example: `(self, a, *, b=1)` -> ["a", "b=1"]; the kinds are told by the signs before."""
    bare = deepcopy(arguments)
    for argument in ast.walk(bare):
        if isinstance(argument, ast.arg):
            argument.annotation = None
    return described(inspect.signature(eval(f"lambda {ast.unparse(bare)}: None", {"F": F})))


def described(signature: inspect.Signature) -> list[str]:
    """Each argument but self: sign, name, and default."""
    signs = {"VAR_POSITIONAL": "*", "VAR_KEYWORD": "**", "KEYWORD_ONLY": "name only: "}
    return [
        f"{signs.get(one.kind.name, '')}{one.name}"
        + ("" if one.default is one.empty else f"={one.default!r}")
        for one in [*signature.parameters.values()][1:]
    ]


@pytest.mark.parametrize("original", COUNTERPARTS)
def test_arguments_are_those_of_torch(original: str) -> None:
    module, _, name = original.rpartition(".")
    torchs = getattr(import_module(module), name)

    for method, arguments in declared(COUNTERPARTS[original]):
        expected = described(inspect.signature(getattr(torchs, METHODS[method])))
        if expected != UNSAID:
            assert written(arguments) == expected, method


def test_hardly_any_method_is_left_out() -> None:
    """Those with overloads: of Sequential, and the calls of RNN, LSTM and GRU."""
    compared = {(layer, method) for layer in FILES for method, _ in declared(layer)}
    left_out = {layer for layer in FILES if (layer, "__init__") not in compared}

    assert left_out == {"DependentSequential"}
    assert len(compared) > 440
