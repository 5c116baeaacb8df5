"""When torch has the derivatives that metann supplies: from the first use on, and not at import."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from metann import Learner
from metann.functional import hardsigmoid
from metann.functional.derivatives import supply, withdrawn

MISSING = r"derivative for aten::hardsigmoid_backward is not implemented"


def second_derivative() -> Tensor:
    x = torch.tensor([0.3, -0.7], requires_grad=True)
    (gradient,) = torch.autograd.grad(F.hardsigmoid(x * x).sum(), x, create_graph=True)
    return torch.autograd.grad(gradient.sum(), x)[0]


def test_torch_lacks_them_again_while_they_are_withdrawn():
    supply()
    with withdrawn():
        Learner(nn.Hardsigmoid()).functional([], True, torch.randn(2))
        hardsigmoid(torch.randn(2))
        with pytest.raises(RuntimeError, match=MISSING):
            second_derivative()
        with withdrawn(), pytest.raises(RuntimeError, match=MISSING):
            second_derivative()
        with pytest.raises(RuntimeError, match=MISSING):
            second_derivative()

    torch.testing.assert_close(second_derivative(), torch.full((2,), 1 / 3))


def test_they_come_back_after_an_error():
    supply()
    with pytest.raises(LookupError), withdrawn():
        raise LookupError

    assert second_derivative().isfinite().all()


FIRST_USES = {
    "nothing": "",
    "an import": "import metann, metann.generated, metann.functional; metann.Learner",
    "a Learner": "import metann; metann.Learner(torch.nn.Linear(1, 1))",
    "a conversion": "import metann; metann.DependentModule(torch.nn.Linear(1, 1))",
    "a constructed layer": "from metann.generated import DependentLinear; DependentLinear(1, 1)",
    "a form": "from metann import functional; functional.hardsigmoid(torch.ones(1))",
}


@pytest.mark.parametrize("use", FIRST_USES)
def test_nothing_changes_at_import_and_everything_at_first_use(use: str):
    program = f"""
import torch
{FIRST_USES[use]}
x = torch.ones(2, requires_grad=True)
gradient, = torch.autograd.grad(torch.nn.functional.hardsigmoid(x * x).sum(), x, create_graph=True)
try:
    torch.autograd.grad(gradient.sum(), x)
except RuntimeError as error:
    print("lacks", error)
else:
    print("has it")
"""
    ran = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)

    assert ran.stderr == ""
    lacks = use in ("nothing", "an import")
    assert ran.stdout.startswith("lacks derivative for aten::" if lacks else "has it")
