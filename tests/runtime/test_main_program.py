"""Classes defined in `__main__`, in a process of their own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]

PROGRAM = """
import inspect, logging, pickle, sys
import torch
from torch import nn
from metann import DependentModule, Learner

logging.basicConfig(level=logging.INFO, stream=sys.stdout, format="%(message)s")

class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layer = nn.Linear(3, 2)

    def forward(self, x):
        return self.layer(x)

net, x = Net(), torch.randn(5, 3)
plain = net(x)
print("functional", torch.equal(Learner(net).functional(net.parameters(), True, x), plain))
print("converted", DependentModule(net) is net and torch.equal(net(x), plain))
print(inspect.getsource(type(net)).splitlines()[0])
again = pickle.loads(pickle.dumps(net))
print("pickled", type(again) is type(net) and torch.equal(again(x), plain))
open(sys.argv[1], "wb").write(pickle.dumps(net))
"""


def run(*arguments: str) -> str:
    """What Python prints with these arguments."""
    environment = {**os.environ, "PYTHONPATH": str(REPOSITORY)}
    result = subprocess.run(
        [sys.executable, *arguments], env=environment, capture_output=True, text=True
    )
    assert result.returncode == 0, result.stderr
    return result.stdout


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("main")
    (made / "program.py").write_text(PROGRAM)
    return made


@pytest.fixture(scope="module")
def printed(folder: Path) -> str:
    return run(str(folder / "program.py"), str(folder / "net.pickle"))


@pytest.mark.parametrize("what", ["functional", "converted", "pickled"])
def test_a_class_of_the_main_program_can_be(printed: str, what: str) -> None:
    assert f"{what} True" in printed


def test_the_source_of_its_counterpart_can_be_read(printed: str) -> None:
    assert "class DependentNet(Net, DependentModule, metaclass=ShownAsOriginal):" in printed


def test_the_log_says_to_move_the_class_into_a_module(printed: str) -> None:
    assert "move Net to the top level of a module" in printed


def test_a_pickle_can_be_read_by_another_process_that_has_the_class(
    printed: str, folder: Path
) -> None:
    reading = PROGRAM.split("net, x =")[0] + (
        "again = pickle.loads(open(sys.argv[1], 'rb').read())\n"
        "print(type(again).__name__, again(torch.randn(5, 3)).shape)\n"
    )
    (folder / "reading.py").write_text(reading)

    shown = run(str(folder / "reading.py"), str(folder / "net.pickle"))

    assert "DependentNet torch.Size([5, 2])" in shown


def test_importing_metann_imports_neither_generated_layers_nor_the_generator() -> None:
    code = (
        "import sys, metann; from metann import DependentModule, Learner\n"
        "print([m for m in sys.modules if m.startswith(('metann.generated', 'metann.codegen',"
        " 'libcst', 'black', 'jinja2'))])"
    )
    shown = run("-c", code)

    assert [name for name in eval(shown) if not name.startswith("jinja2")] == []


def test_converting_torch_layers_needs_no_part_of_the_generator() -> None:
    code = (
        "import sys; from torch import nn; from metann import DependentModule\n"
        "DependentModule(nn.Sequential(nn.Linear(3, 2)))\n"
        "print([m for m in sys.modules if m.startswith(('metann.codegen', 'libcst', 'black'))])"
    )

    assert run("-c", code).strip() == "[]"


def test_writing_a_counterpart_needs_neither_libcst_nor_black() -> None:
    code = (
        "import sys; sys.modules['libcst'] = sys.modules['black'] = None\n"
        "from torch import nn; from metann import DependentModule\n"
        "class Net(nn.Module): pass\n"
        "print(type(DependentModule(Net())).__name__)"
    )

    assert run("-c", code).strip() == "DependentNet"
