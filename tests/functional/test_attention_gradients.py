"""The backward passes that torch's attention kernels are given.

Those of CUDA's kernels are called here with tensors of the CPU, through torch's dispatcher: their
formulas are tested, and that torch finds them by their arguments. The kernels themselves, whose
forward these stand behind, need a GPU.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from attending import some
from torch import Tensor
from transforming import FORWARD_MODE_WARNS

from metann import errors
from metann.functional.derivatives import supply

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)
SCALE = 0.6
Backward = Callable[..., tuple[Any, ...]]


@pytest.fixture(autouse=True)
def _supplied() -> None:
    supply()


def _cpu(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Any, p: float, causal: bool) -> Any:
    operator = torch.ops.aten._scaled_dot_product_flash_attention_for_cpu_backward
    unused = torch.empty(0)
    return operator(grad, q, k, v, unused, unused, p, causal, attn_mask=mask, scale=SCALE)


def _flash(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Any, p: float, causal: bool) -> Any:
    operator = torch.ops.aten._scaled_dot_product_flash_attention_backward
    unused = torch.empty(0)
    lengths = (unused, unused, q.shape[-2], k.shape[-2])
    return operator(grad, q, k, v, unused, unused, *lengths, p, causal, unused, unused, scale=SCALE)


def _efficient(
    grad: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Any, p: float, causal: bool
) -> Any:
    operator = torch.ops.aten._scaled_dot_product_efficient_attention_backward
    unused, asked = [torch.empty(0)] * 4, [
        True,
        True,
        True,
        mask is not None and mask.requires_grad,
    ]
    return operator(grad, q, k, v, mask, *unused, p, asked, causal, scale=SCALE)


def _cudnn(grad: Tensor, q: Tensor, k: Tensor, v: Tensor, mask: Any, p: float, causal: bool) -> Any:
    operator = torch.ops.aten._scaled_dot_product_cudnn_attention_backward
    unused = [torch.empty(0)] * 4
    lengths = (*unused[:2], q.shape[-2], k.shape[-2])
    return operator(grad, q, k, v, *unused, mask, *lengths, p, causal, scale=SCALE)


BACKWARD = {"CPU": _cpu, "flash": _flash, "efficient": _efficient, "cudnn": _cudnn}
WITH_MASK = ("CPU", "efficient", "cudnn")
ON_CUDA = ("flash", "efficient", "cudnn")


def _tensors(heads: int = 2) -> list[Tensor]:
    """Of queries, keys and values, four heads of which may share one of the keys."""
    shapes = ((2, 4, 3, 6), (2, heads, 5, 6), (2, heads, 5, 6))
    return [torch.randn(shape).requires_grad_() for shape in shapes]


def _attention(q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, causal: bool) -> Tensor:
    """Written out once more, from the paper."""
    k, v = (t.repeat_interleave(q.shape[1] // t.shape[1], dim=1) for t in (k, v))
    scores = SCALE * torch.einsum("nhle,nhse->nhls", q, k)
    if mask is not None:
        scores = scores + mask
    if causal:
        scores = scores + torch.full((3, 5), -math.inf).triu(1)
    return torch.einsum("nhls,nhse->nhle", scores.exp() / scores.exp().sum(-1, keepdim=True), v)


@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize("heads", [4, 2, 1])
@pytest.mark.parametrize("name", BACKWARD)
def test_it_is_the_gradient(name: str, heads: int, causal: bool) -> None:
    tensors = _tensors(heads)
    output = _attention(*tensors, None, causal)
    direction = torch.randn_like(output).requires_grad_()

    found = BACKWARD[name](direction, *tensors, None, 0.0, causal)

    expected = torch.autograd.grad(output, tensors, direction)
    torch.testing.assert_close(found[:3], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 5), (2, 1, 1, 5), (2, 4, 3, 5)], ids=str)
@pytest.mark.parametrize("name", WITH_MASK)
def test_it_is_the_gradient_under_a_mask(name: str, shape: tuple[int, ...]) -> None:
    tensors, mask = _tensors(), torch.randn(shape)
    output = _attention(*tensors, mask, False)
    direction = torch.randn_like(output).requires_grad_()

    found = BACKWARD[name](direction, *tensors, mask, 0.0, False)

    expected = torch.autograd.grad(output, tensors, direction)
    torch.testing.assert_close(found[:3], expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("shape", [(3, 5), (2, 1, 1, 5), (2, 4, 3, 5)], ids=str)
def test_the_gradient_of_a_mask(shape: tuple[int, ...]) -> None:
    tensors, mask = _tensors(), torch.randn(shape).requires_grad_()
    output = _attention(*tensors, mask, True)
    direction = torch.randn_like(output).requires_grad_()

    found = _efficient(direction, *tensors, mask, 0.0, True)

    expected = torch.autograd.grad(output, [*tensors, mask], direction)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("name", BACKWARD)
@pytest.mark.parametrize("causal", [False, True])
def test_its_derivatives_are_those_of_finite_differences(name: str, causal: bool) -> None:
    direction = torch.randn(2, 4, 3, 6).requires_grad_()

    def backward(*tensors: Tensor) -> tuple[Tensor, ...]:
        return BACKWARD[name](*tensors, None, 0.0, causal)[:3]

    leaves = (direction, *_tensors(heads=2))
    assert torch.autograd.gradcheck(backward, leaves, fast_mode=True, check_batched_grad=True)
    assert torch.autograd.gradgradcheck(backward, leaves, fast_mode=True)


@pytest.mark.parametrize("name", WITH_MASK)
def test_its_derivatives_under_a_mask(name: str) -> None:
    mask = torch.zeros(3, 5).masked_fill(~some(3, 5), -math.inf)
    direction = torch.randn(2, 4, 3, 6).requires_grad_()

    def backward(*tensors: Tensor) -> tuple[Tensor, ...]:
        return BACKWARD[name](*tensors, mask, 0.0, False)[:3]

    assert torch.autograd.gradcheck(backward, (direction, *_tensors()), fast_mode=True)


def test_the_derivatives_of_the_gradient_of_a_mask() -> None:
    def backward(direction: Tensor, mask: Tensor, *tensors: Tensor) -> tuple[Tensor, ...]:
        return _efficient(direction, *tensors, mask, 0.0, False)

    given = (torch.randn(2, 4, 3, 6).requires_grad_(), torch.randn(3, 5).requires_grad_())
    assert torch.autograd.gradcheck(backward, (*given, *_tensors()), fast_mode=True)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16], ids=str)
def test_gradients_of_half_precision_are_rounded_only_at_the_end(dtype: torch.dtype) -> None:
    tensors = [
        t.detach().to(dtype).requires_grad_() for t in (torch.randn(2, 4, 3, 6), *_tensors())
    ]
    precise = [t.detach().double().requires_grad_() for t in tensors]

    with torch.autocast("cpu", torch.bfloat16):
        found = _efficient(*tensors, None, 0.0, False)[:3]

    assert [t.dtype for t in found] == [dtype] * 3
    for one, expected in zip(found, _efficient(*precise, None, 0.0, False), strict=False):
        bound = torch.finfo(dtype).eps
        torch.testing.assert_close(one.double(), expected, rtol=bound, atol=1e-5)


@pytest.mark.parametrize("name", ON_CUDA)
def test_with_dropout_the_error_says_what_to_do(name: str) -> None:
    tensors = [torch.randn(2, 4, 3, 6).requires_grad_(), *_tensors()]

    with pytest.raises(errors.NoSecondOrderError, match=r"dropout 0\.1.*SDPBackend\.MATH"):
        BACKWARD[name](*tensors, None, 0.1, False)


def test_what_the_error_says_helps() -> None:
    tensors = _tensors(heads=4)

    with torch.nn.attention.sdpa_kernel(torch.nn.attention.SDPBackend.MATH):
        output = F.scaled_dot_product_attention(*tensors, dropout_p=0.5)

    (gradient,) = torch.autograd.grad(output.square().sum(), tensors[:1], create_graph=True)
    assert torch.autograd.grad(gradient.square().sum(), tensors)[2].abs().sum() > 0


@pytest.mark.parametrize("heads", [4, 2])
def test_torchs_own_kernel_gives_the_same_first_order(heads: int) -> None:
    tensors, mask = _tensors(heads), some(3, 5)
    mask[1] = False
    output = F.scaled_dot_product_attention(*tensors, mask, enable_gqa=True)
    direction = torch.randn_like(output)

    by_kernel = torch.autograd.grad(output, tensors, direction, retain_graph=True)
    by_form = torch.autograd.grad(output, tensors, direction, create_graph=True)

    torch.testing.assert_close(by_form, by_kernel, rtol=1e-12, atol=1e-12)
