"""Bases of other files: Python accepts what is written beside them, and the right method wins."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest
import torch
from before_after import plain, rewritten
from loaded import load
from torch import nn

from metann import DependentModule, Learner
from metann.generated import DependentConv2d

BLOCKS = """
    from torch import nn

    class Mixin:
        def forward(self, x): return 3 * super().forward(x)

    class Block(nn.Module):
        def __init__(self, *args):
            super().__init__(*args)
            self.inner = nn.Linear(2, 2)
        def forward(self, x): return self.inner(x).sum()

    class Conv(nn.Conv2d):
        def __init__(self): super().__init__(1, 1, 1)
        def forward(self, x): return super().forward(x) + 1
    """

NETS = """
    from abc import ABC
    from typing import Generic, TypeVar
    from torch import nn
    from blocks_of_others import Block, Conv, Mixin

    T = TypeVar("T")

    class A(Block): ...
    class B(Conv): ...
    class C(Mixin, Block, Generic[T]): ...
    class D(Mixin, Conv, ABC): ...
    class E(A, Block): ...
    class F(Conv, nn.Conv2d): ...
    class G(C[int], A): ...
    class H(E): ...
    class J(Mixin, B): ...
    class K(D, B): ...
    class L(nn.Identity, Block):
        def forward(self, x): return self.inner(super().forward(x)).sum()
    """


@pytest.fixture
def loaded_nets(tmp_path: Path):
    (tmp_path / "blocks_of_others.py").write_text(plain(BLOCKS), "utf-8")
    load(tmp_path / "blocks_of_others.py", "blocks_of_others")
    text = plain(NETS)
    new = rewritten(text, {"blocks_of_others": BLOCKS}, module="nets_on_blocks").text
    (tmp_path / "plain.py").write_text(text, "utf-8")
    (tmp_path / "dependent.py").write_text(new, "utf-8")
    yield load(tmp_path / "plain.py", "plain_nets"), load(tmp_path / "dependent.py", "new_nets")
    for name in ("blocks_of_others", "plain_nets", "new_nets"):
        del sys.modules[name]


def test_every_combination_of_bases(loaded_nets) -> None:
    before, after = loaded_nets

    for name in "ABCDEFGHJKL":
        torch.manual_seed(0)
        old = getattr(before, name)()
        torch.manual_seed(0)
        new = getattr(after, f"Dependent{name}")()

        assert isinstance(new, DependentModule), name
        assert isinstance(new, DependentConv2d) is isinstance(old, nn.Conv2d), name
        assert all(isinstance(item, DependentModule) for item in new.modules()), name
        x = torch.randn(1, 2, 2)
        assert torch.equal(new(x), old(x)), name
        weights = [2 * p for p in old.parameters()]
        assert torch.equal(
            Learner(new).functional(weights, True, x), Learner(old).functional(weights, True, x)
        ), name


def test_a_plain_module_given_to_a_rewritten_one_becomes_dependent(loaded_nets) -> None:
    from blocks_of_others import Block

    _, after = loaded_nets
    net = after.DependentA()
    net.more = Block()
    net.add_module("again", nn.Sequential(Block()))

    assert all(isinstance(item, DependentModule) for item in net.modules())
