"""What the user is told: each thing that a text does not show, with the line and the reason."""

from __future__ import annotations

import pytest
from before_after import notes_of
from torch import nn

from metann import DependentModule
from metann.codegen.rewriting.remarks import METHODS

BLOCKS = {"pkg.blocks": "from torch import nn\nclass Block(nn.Module): ...\nclass Plain: ...\n"}


@pytest.mark.parametrize(
    ("line", "what", "why"),
    [
        (
            "x = getattr(nn, name)()",
            "getattr(nn, name) stays as it is",
            "which layer it gives is known at run time; a module it is given to converts it",
        ),
        (
            "x = torch.nn.__dict__[name]",
            "torch.nn stays as it is",
            "which layer it gives is known at run time; a module it is given to converts it",
        ),
        (
            "x = nn.DataParallel(net)",
            "torch.nn.parallel.data_parallel.DataParallel stays as it is",
            "it replicates the module it wraps at each call; convert the wrapped module, `.module`",
        ),
        (
            "x = Block(3)",
            "pkg.blocks.Block stays as it is",
            "it is of another file; what it makes becomes dependent when a module is given it",
        ),
        (
            "ok = type(net) is nn.Linear",
            "compares with DependentLinear",
            "nn.Linear itself, as another file may pass it, no longer equals it",
        ),
        (
            "ok = type(net) in (int, nn.Linear)",
            "compares with DependentLinear",
            "nn.Linear itself, as another file may pass it, no longer equals it",
        ),
        (
            "x = torch.jit.script(net)",
            "torch.jit.script stays as it is",
            "a module that TorchScript has compiled cannot be substituted in",
        ),
        (
            "class Net(Unknown): ...",
            "class Net stays as it is",
            "lost.Unknown was not found: it may be a module or not",
        ),
        (
            "@Plain.register('net')\ndef f(): ...",
            "the decorator Plain.register stays as it is",
            "if it keeps what it decorates by its name, this file is in the original's way",
        ),
        (
            "def f(base):\n    class Net(base): ...",
            "class Net stays as it is",
            "what its base base is turns out at run time",
        ),
        (
            "x = nn.parallel.DistributedDataParallel(net)",
            "torch.nn.parallel.distributed.DistributedDataParallel stays as it is",
            "it replicates the module it wraps",
        ),
        ("x: nn.Linear = Plain(net, Block)", "pkg.blocks.Block stays as it is", "it is of another"),
    ],
)
def test_a_line_that_needs_a_remark(line: str, what: str, why: str) -> None:
    imports = "import torch\nfrom torch import nn\nfrom pkg.blocks import Block, Plain\n"
    found = notes_of(f"{imports}from lost import Unknown\n{line}\n", BLOCKS)

    assert found[0][0].partition(": ")[2] == what
    assert found[0][0].startswith(("line 5: ", "line 6: "))
    assert found[0][1].startswith(why)


@pytest.mark.parametrize(
    "line",
    [
        "x = nn.Linear(3, 4), nn.functional.relu(x), nn.Parameter(x)",
        "ok = isinstance(x, nn.Linear) and isinstance(x, Block)",
        "def f(x: Block) -> nn.Linear: ...",
        "class Mine(Plain): ...",
        "class Mine(dict, metaclass=ABCMeta): ...",
        "class Net(nn.Module): ...",
        "@torch.no_grad()\ndef f(): ...",
        "def f():\n    @Plain\n    def g(): ...",
        "if type(net) is Block2: ...",
    ],
)
def test_a_line_that_needs_none(line: str) -> None:
    imports = "import torch\nfrom torch import nn\nfrom pkg.blocks import Block, Plain\n"
    text = f"{imports}from abc import ABCMeta\nclass Block2(nn.Module): ...\n{line}\n"

    assert notes_of(text, BLOCKS) == []


def test_attributes_that_hide_a_method_are_named() -> None:
    text = """
        from torch import nn

        class Net(nn.Module):
            def __init__(self, dependents):
                super().__init__()
                self.dependents = dependents
                self.other = 3

            def substitute(self, x): return x
        """

    assert notes_of(text) == [
        (
            "line 6: Net.dependents hides DependentModule.dependents",
            "call that as DependentModule.dependents(module, ...) where it is needed",
        ),
        (
            "line 9: Net.substitute hides DependentModule.substitute",
            "call that as DependentModule.substitute(module, ...) where it is needed",
        ),
    ]


def test_the_methods_are_those_of_dependent_modules() -> None:
    own = {name for name in dir(DependentModule) if not name.startswith("_")} - {*dir(nn.Module)}

    assert {*METHODS} == own


def test_code_that_reads_the_names_of_classes_is_named() -> None:
    text = """
        from torch import nn

        class Net(nn.Module):
            def extra_repr(self):
                return self.__class__.__name__ + type(self).__qualname__ + str(self.__name__)

        print(Net.__name__, __name__, globals()["Other"], eval("Other"))
        """

    why = "it gives the new name of a class"
    lost = "classes are found there by their new names only"
    assert notes_of(text) == [
        ("line 5: self.__class__.__name__ stays as it is", why),
        ("line 5: type(self).__qualname__ stays as it is", why),
        ("line 7: Net.__name__ stays as it is", why),
        ("line 7: globals stays as it is", lost),
        ("line 7: eval stays as it is", lost),
    ]
