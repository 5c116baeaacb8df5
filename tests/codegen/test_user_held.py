"""Attributes of classes that the module itself holds, or that are picked from several."""

from __future__ import annotations

import pytest
from user_files import IMPORTS, counterparts

__all__ = ["counterparts"]

HEADED = IMPORTS + """\
from typing import ClassVar

class Net(nn.Module):
    class Inner(nn.Module): ...
    act: type[nn.Module] = nn.ReLU
    norm = nn.BatchNorm1d
    kept: ClassVar[type[nn.Module]]
    pair = nn.ReLU
    pair = nn.GELU
    other = pick()

    def __init__(self, name: str) -> None:
        super().__init__()
        self.layers = nn.ModuleList([nn.ReLU()])
        self.weights = nn.ParameterList([torch.ones(2)])
"""
HELD = {
    "self.Inner()": "DependentNetInner",
    "self.act()": "DependentModule",
    "self.norm(2)": "DependentBatchNorm1d",
    "self.kept()": "DependentModule",
    "self.layers": "DependentModuleList",
    "self.layers[0]": "DependentModule",
}


@pytest.mark.parametrize("value", HELD)
def test_a_class_that_the_module_holds_and_a_part_of_its_list_have_a_type(counterparts, value):
    written = counterparts(f"{HEADED}        self.c = {value}\n")

    assert f"c: {HELD[value]} = submodule()" in written.fields()
    assert written.notes == []


def test_a_subclass_may_hold_another_class(counterparts):
    above = f"{HEADED}        self.c = self.norm(2)\n"
    written = counterparts(f"{above}\nclass Sub(Net):\n    norm = nn.LayerNorm\n")

    assert "c: DependentBatchNorm1d = submodule()" in written.fields()
    assert "c: DependentLayerNorm = submodule()" in written.fields("DependentSub")


@pytest.mark.parametrize(
    "value",
    [
        "self.weights[0]",
        "getattr(nn, name)()",
        "{'relu': nn.ReLU, 'gelu': nn.GELU}[name]()",
        "[nn.ReLU(), nn.GELU()][0]",
    ],
)
def test_what_looks_like_a_module_or_a_weight_is_named(counterparts, value):
    written = counterparts(f"{HEADED}        self.c = {value}\n")

    assert not [field for field in written.fields() if field.startswith("c:")]
    why = "it looks like a module or a weight, but the source does not say of which class"
    assert written.notes == [("Net.c", why)]


@pytest.mark.parametrize(
    "value",
    [
        "self.other()",
        "self.pair()",
        "self.layers[0](given)",
        "name[0]",
        "len([nn.ReLU()])",
        "make()",
    ],
)
def test_what_only_may_be_one_is_not(counterparts, value):
    assert counterparts(f"{HEADED}        self.c = {value}\n").notes == []


def test_a_child_of_another_file_is_named_once(counterparts):
    blocks = (
        f"{IMPORTS}from metann import DependentModule\n"
        "class Scale(nn.Module): ...\nclass Ready(DependentModule): ...\n"
    )
    body = (
        "(nn.Module):\n    def __init__(self) -> None:\n        super().__init__()\n"
        "        self.a = Scale()\n        self.b = Scale()\n        self.c = nn.ReLU()\n"
        "        self.d = Ready()\n"
    )
    source = f"{IMPORTS}from .blocks import Ready, Scale\nclass Net{body}"
    source += f"class Sub{body}"
    written = counterparts(source, blocks=blocks)

    why = (
        "of another file; import the file with its counterpart before, or it gets one on first use"
    )
    assert written.notes == [("pkg.blocks.Scale", why)]
