"""When torch has the derivatives that metann supplies: from the first use on, and not at import."""

from __future__ import annotations

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad
from transforming import FORWARD_MODE_WARNS

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


def test_withdrawals_may_overlap():
    supply()
    one, other = withdrawn(), withdrawn()
    one.__enter__()
    other.__enter__()
    one.__exit__(None, None, None)
    with pytest.raises(RuntimeError, match=MISSING):
        second_derivative()
    other.__exit__(None, None, None)

    assert second_derivative().isfinite().all()


@pytest.mark.filterwarnings(FORWARD_MODE_WARNS)
@pytest.mark.parametrize(
    "function",
    [
        lambda x: F.hardsigmoid(x).pow(3),
        lambda x: F.multi_margin_loss(x, torch.tensor([0, 2])),
        lambda x: F.embedding_bag(torch.tensor([[0, 1], [1, 1]]), x, mode="sum").pow(3),
        lambda x: F.ctc_loss(
            x.view(4, 1, 2).log_softmax(-1),
            torch.tensor([[1]]),
            torch.tensor([4]),
            torch.ones(1).long(),
        ),
    ],
    ids=["hardsigmoid", "multi_margin_loss", "embedding_bag", "ctc_loss"],
)
def test_a_backward_pass_without_a_graph_keeps_tangents(function) -> None:
    """torch raises there; a kernel called below its derivative would lose them without a word."""
    supply()
    x = torch.randn(2, 4, requires_grad=True)
    scale = torch.randn(())
    (gradient,) = torch.autograd.grad(function(x).sum() * scale, x, create_graph=True)
    wanted = gradient.detach() / scale

    with forward_ad.dual_level():
        dual = forward_ad.make_dual(scale, torch.ones(()))
        (found,) = torch.autograd.grad(function(x).sum(), x, dual)
        assert torch.allclose(forward_ad.unpack_dual(found).tangent, wanted)


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
