"""CTC: torch's numbers for every form of its arguments, all derivatives, and batches."""

from __future__ import annotations

from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from plainly import assert_forward_mode_is_reverse_mode, assert_same_as_torchs, plainly
from torch import Tensor
from torch.autograd import gradgradcheck
from transforming import FORWARD_MODE_WARNS, assert_every_derivative, assert_vmap

from metann import functional

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)

each_reduction = pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
FRAMES, CLASSES = 7, 5
# Targets of two examples, and the lengths of inputs and targets. Labels behind a target's end are
# whatever they are; equal neighbours need a blank between them.
ROWS = torch.tensor([[1, 2, 2, 3], [4, 4, -7, 99]])
BEHIND_ONE_ANOTHER = torch.tensor([1, 2, 2, 3, 4, 4])
INPUTS, TARGETS = [7, 5], [4, 2]
SHAPES: dict[str, tuple[Any, Any, Any]] = {
    "rows": (ROWS, INPUTS, TARGETS),
    "behind one another": (BEHIND_ONE_ANOTHER, INPUTS, TARGETS),
    "lengths in tensors": (ROWS, torch.tensor(INPUTS), torch.tensor(TARGETS)),
    "lengths in tuples": (ROWS, (7, 5), (4, 2)),
    "32 bits": (ROWS.int(), torch.tensor(INPUTS).int(), torch.tensor(TARGETS).int()),
    "an empty target": (ROWS, [7, 5], [4, 0]),
    "empty targets": (ROWS, [7, 1], [0, 0]),
    "nothing at all": (torch.zeros(0, dtype=torch.int64), [7, 1], [0, 0]),
    "no frames, no target": (ROWS, [7, 0], [4, 0]),
    "just long enough": (ROWS, [5, 3], [4, 2]),
}
each_shape = pytest.mark.parametrize("shape", SHAPES)


def logits(*before: int) -> Tensor:
    return torch.randn(*before, FRAMES, 2, CLASSES)


def loss_of(loss: Any, *rest: Any, **options: Any) -> Any:
    """The loss as a function of what goes into log_softmax."""
    return lambda x: loss(x.log_softmax(-1), *rest, **options)


@each_reduction
@each_shape
@pytest.mark.parametrize("zero_infinity", [False, True])
def test_torchs_numbers(shape: str, reduction: str, zero_infinity: bool) -> None:
    options = {"reduction": reduction, "zero_infinity": zero_infinity}
    forms = (loss_of(loss, *SHAPES[shape], **options) for loss in (functional.ctc_loss, F.ctc_loss))

    assert_same_as_torchs(*forms, logits())


@each_reduction
@each_shape
def test_all_derivatives(shape: str, reduction: str) -> None:
    ours = loss_of(functional.ctc_loss, *SHAPES[shape], reduction=reduction)

    assert_every_derivative(ours, [logits()])


@pytest.mark.parametrize("blank", range(CLASSES))
def test_each_class_may_be_the_blank(blank: int) -> None:
    others = [number for number in range(CLASSES) if number != blank]
    targets = torch.tensor([others[:3], others[1:4]])
    rest = targets, [7, 6], [3, 3], blank
    ours = loss_of(functional.ctc_loss, *rest)

    assert_same_as_torchs(ours, loss_of(F.ctc_loss, *rest), logits())
    assert_every_derivative(ours, [logits()])


@each_reduction
@pytest.mark.parametrize("as_tensors", [False, True])
def test_one_example(reduction: str, as_tensors: bool) -> None:
    lengths: Any = (torch.tensor(6), torch.tensor(3)) if as_tensors else ((6,), (3,))
    rest = torch.tensor([1, 2, 2]), *lengths
    ours = loss_of(functional.ctc_loss, *rest, reduction=reduction)

    torchs = loss_of(F.ctc_loss, *rest, reduction=reduction)
    assert_same_as_torchs(ours, torchs, torch.randn(FRAMES, CLASSES))
    assert_every_derivative(ours, [torch.randn(FRAMES, CLASSES)])


@pytest.mark.parametrize("input_lengths", [[4, 5], [7, 1], [0, 0]])
def test_a_target_that_does_not_fit(input_lengths: list[int]) -> None:
    """Its loss is infinite, or with `zero_infinity` zero, as is its derivative then."""
    x = logits()
    rest = ROWS, input_lengths, TARGETS
    expected = loss_of(F.ctc_loss, *rest, reduction="none")(x)
    found = plainly(loss_of(functional.ctc_loss, *rest, reduction="none"), x)

    assert torch.equal(found.isinf(), expected.isinf())
    assert found.isinf().any()
    for reduction in ("none", "mean", "sum"):
        options = {"reduction": reduction, "zero_infinity": True}
        ours = loss_of(functional.ctc_loss, *rest, **options)
        assert_same_as_torchs(ours, loss_of(F.ctc_loss, *rest, **options), x)
        assert_every_derivative(ours, [x])


@each_shape
@pytest.mark.parametrize("zero_infinity", [False, True])
def test_the_gradient_that_makes_a_graph_has_torchs_numbers(
    shape: str, zero_infinity: bool
) -> None:
    """Also where that is not a number, and for probabilities that do not sum to one."""
    weights = torch.rand(2)
    targets, fitting, target_lengths = SHAPES[shape]
    too_short = type(fitting)([3, 2]) if isinstance(fitting, list | tuple) else fitting // 3
    for lengths in (fitting, too_short):
        x = logits().requires_grad_()
        loss = functional.ctc_loss(
            x, targets, lengths, target_lengths, reduction="none", zero_infinity=zero_infinity
        )
        torchs, ours = (
            torch.autograd.grad(loss, x, weights, retain_graph=True, create_graph=graph)[0]
            for graph in (False, True)
        )
        assert not torchs.requires_grad
        assert ours.requires_grad
        torch.testing.assert_close(ours.detach(), torchs, rtol=1e-13, atol=1e-13, equal_nan=True)


def test_without_normalisation_forward_mode_is_torchs_reverse_mode() -> None:
    """torch's gradient is that of log-probabilities that stay normalised (pytorch#82545)."""
    for shape, reduction in product(("rows", "behind one another"), ("none", "mean")):
        ours = partial(functional.ctc_loss, reduction=reduction)
        form = lambda x, s=shape, f=ours: f(x, *SHAPES[s])  # noqa: E731
        assert_forward_mode_is_reverse_mode(form, [logits()])
        assert gradgradcheck(form, [logits().requires_grad_()], fast_mode=True)


@pytest.mark.parametrize("zero_infinity", [False, True])
@pytest.mark.parametrize("shape", ["rows", "behind one another"])
def test_batches_of_everything(shape: str, zero_infinity: bool) -> None:
    targets = torch.stack([SHAPES[shape][0], SHAPES[shape][0].clamp(0, 3)])
    batch = logits(2), targets, torch.tensor([[7, 5], [6, 7]]), torch.tensor([[4, 2], [3, 3]])

    def loss(x: Tensor, *rest: Tensor) -> Tensor:
        return functional.ctc_loss(x.log_softmax(-1), *rest, zero_infinity=zero_infinity)

    assert_vmap(loss, batch)
    assert_vmap(torch.func.grad(loss), batch)
    assert_vmap(torch.func.hessian(loss), batch)


@each_shape
def test_reverse_mode_of_torch_func(shape: str) -> None:
    """torch's own has no gradient there if the lengths are numbers."""
    ours, x = loss_of(functional.ctc_loss, *SHAPES[shape]), logits()
    leaf = x.clone().requires_grad_()
    (first,) = torch.autograd.grad(ours(leaf), leaf, create_graph=True)
    (second,) = torch.autograd.grad(first.square().sum(), leaf)

    found = torch.func.grad(ours)(x)
    again = torch.func.grad(lambda y: torch.func.grad(ours)(y).square().sum())(x)
    torch.testing.assert_close(found, first.detach(), rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(again, second, rtol=1e-12, atol=1e-12)


def test_a_class_that_cannot_be_has_a_finite_derivative() -> None:
    x = logits().log_softmax(-1)
    x[2, 0, 0] = -torch.inf
    rest = ROWS, INPUTS, TARGETS

    assert_same_as_torchs(
        lambda x: functional.ctc_loss(x, *rest), lambda x: F.ctc_loss(x, *rest), x
    )
    leaf = x.clone().requires_grad_()
    (gradient,) = torch.autograd.grad(functional.ctc_loss(leaf, *rest), leaf, create_graph=True)
    (second,) = torch.autograd.grad(gradient.square().sum(), leaf)
    assert gradient.isfinite().all()
    assert second.isfinite().all()


def test_in_half_precision_the_plain_form_computes_in_single() -> None:
    x = logits().log_softmax(-1)
    found = plainly(functional.ctc_loss, x.bfloat16(), ROWS, INPUTS, TARGETS)
    expected = F.ctc_loss(x.bfloat16().float(), ROWS, INPUTS, TARGETS)

    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected)
