"""Forms that are faster than torch's batching rules give what these give, to second order."""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from task_cases import CASES, Case
from torch import Tensor, nn
from transforming import FORWARD_MODE_WARNS, Operators

from metann import Learner, functional
from metann.functional.replacing import Replacing
from metann.replaced import FASTER_BATCHED

TASKS = 3
pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)
each_case = pytest.mark.parametrize("case", CASES, ids=str)
Axes = tuple[int | None, ...]


@pytest.fixture(autouse=True)
def _without_warnings_of_torch() -> Iterator[None]:
    with warnings.catch_warnings():
        warnings.filterwarnings("ignore", message="size_average and reduce args will be deprecated")
        # The second derivative by torch's rule, if only one operand has a task axis.
        warnings.filterwarnings("ignore", message="An output with one or more elements was resized")
        warnings.filterwarnings("ignore", message="Using padding='same' with even kernel lengths")
        yield


def operands(case: Case, axes: Axes, *outer: int) -> list[Tensor | None]:
    """Random operands, with a task axis where `axes` says, and further axes outside of that."""
    found: list[Tensor | None] = []
    for shape, axis in zip(case.shapes, axes, strict=True):
        if shape is None:
            found.append(None)
            continue
        sizes = [*shape]
        if axis is not None:
            sizes.insert(axis, TASKS)
        # Positive, since some of them are variances.
        tensor = torch.rand((*outer, *sizes)) + 0.5
        found.append(tensor.requires_grad_(len(found) not in case.constant))
    return found


def _first(tensor: Tensor) -> Tensor:
    return tensor[0].detach().requires_grad_(tensor.requires_grad)


def derivatives(output: Tensor, leaves: Sequence[Tensor | None]) -> list[Tensor]:
    """The output, its gradients, and the gradients of those."""
    wanted = [leaf for leaf in leaves if leaf is not None and leaf.requires_grad]
    options: dict[str, Any] = {"allow_unused": True, "materialize_grads": True}
    weight = (torch.arange(output.numel()) % 7).reshape(output.shape) / 7
    first = torch.autograd.grad((output * weight).sin().sum(), wanted, create_graph=True, **options)
    total = torch.stack([gradient.square().sum() for gradient in first]).sum()
    return [output, *first, *torch.autograd.grad(total, wanted, **options)]


def assert_same(case: Case, wrap: Callable[[Callable[..., Any]], Callable[..., Any]], *given: Any):
    def of(function: Callable[..., Any]) -> list[Tensor]:
        called = wrap(lambda *args: function(*args, **case.options))
        return derivatives(called(*given), given)

    torch.testing.assert_close(of(case.ours), of(case.torchs), rtol=1e-10, atol=1e-10)


def test_every_form_of_the_table_has_cases():
    mse_loss = {"mse_loss"}  # Of the other table: it is more than faster.
    assert {row.by for row in FASTER_BATCHED} | mse_loss == {case.ours.__name__ for case in CASES}


@each_case
def test_outside_of_a_vmap_it_is_torchs(case: Case):
    assert_same(case, lambda function: function, *operands(case, (None,) * len(case.shapes)))


@each_case
def test_whichever_operands_have_a_task_axis(case: Case):
    given = [shape is not None for shape in case.shapes]
    for chosen in product(*([None, 0] if has else [None] for has in given)):
        if any(axis is not None for axis in chosen):
            assert_same(case, lambda f, c=chosen: torch.vmap(f, c), *operands(case, chosen))


@each_case
def test_wherever_the_task_axis_is(case: Case):
    last = tuple(None if shape is None else len(shape) for shape in case.shapes)

    assert_same(case, lambda function: torch.vmap(function, last), *operands(case, last))


@each_case
def test_under_a_vmap_in_a_vmap(case: Case):
    inner = tuple(None if shape is None else 0 for shape in case.shapes)
    for outer in (inner, (inner[0], *(None,) * (len(inner) - 1)), (None, *inner[1:])):
        if any(axis is not None for axis in outer):
            leaves = [
                leaf if axis is not None or leaf is None else _first(leaf)
                for leaf, axis in zip(operands(case, inner, 2), outer, strict=True)
            ]
            assert_same(case, lambda f, o=outer: torch.vmap(torch.vmap(f, inner), o), *leaves)


@each_case
def test_inside_and_outside_of_a_gradient(case: Case):
    axes = tuple(None if shape is None else 0 for shape in case.shapes)
    given = operands(case, axes)

    def inside(function: Callable[..., Any]) -> Callable[..., Any]:
        return torch.vmap(torch.func.grad(lambda *args: function(*args).sin().sum()), axes)

    def outside(function: Callable[..., Any]) -> Callable[..., Any]:
        return torch.func.grad(lambda *args: torch.vmap(function, axes)(*args).sin().sum())

    assert_same(case, inside, *given)
    assert_same(case, outside, *given)


@each_case
def test_under_forward_mode(case: Case):
    axes = tuple(None if shape is None else 0 for shape in case.shapes)
    given = operands(case, axes)
    moving = [t.detach() for t in given if t is not None and t.requires_grad]
    tangents = [torch.rand_like(t) for t in moving]

    def derivative(function: Callable[..., Any]) -> tuple[Tensor, Tensor]:
        def call(*tensors: Tensor) -> Tensor:
            rest = iter(tensors)
            args = [next(rest) if t is not None and t.requires_grad else t for t in given]
            return torch.vmap(lambda *a: function(*a, **case.options), axes)(*args)

        return torch.func.jvp(call, tuple(moving), tuple(tangents))

    torch.testing.assert_close(derivative(case.ours), derivative(case.torchs))


@pytest.mark.parametrize("axis", [0, 1])
def test_running_statistics_of_each_task_are_written(axis: int):
    x, (mean, var) = torch.randn(TASKS, 4, 2, 3), torch.rand(2, TASKS, 2)
    alone = mean.clone(), var.clone()
    written = [tensor.movedim(0, axis).contiguous() for tensor in (mean, var)]

    vmapped = torch.vmap(partial(functional.batch_norm, training=True), (0, axis, axis))
    found = vmapped(x, *written)

    expected = [F.batch_norm(x[i], alone[0][i], alone[1][i], training=True) for i in range(TASKS)]
    torch.testing.assert_close(found, torch.stack(expected))
    for ours, torchs in zip(written, alone, strict=True):
        torch.testing.assert_close(ours.movedim(axis, 0), torchs)


def test_a_bias_without_a_weight_has_a_second_derivative_as_by_torchs_rule():
    case = Case(
        F.batch_norm, functional.batch_norm, ((2, 3, 4), (3,), (3,), None, (3,)), {}, (1, 2)
    )
    axes = (0, 0, 0, None, 0)

    assert_same(case, lambda function: torch.vmap(function, axes), *operands(case, axes))


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_autocast_lowers_as_in_one_call_a_task(dtype: torch.dtype):
    x, w, b = (torch.rand(TASKS, *shape, dtype=dtype) for shape in ((4, 3), (2, 3), (2,)))
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = torch.vmap(functional.linear)(x, w, b)
        expected = torch.stack([F.linear(x[i], w[i], b[i]) for i in range(TASKS)])

    assert found.dtype is torch.bfloat16
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("reduction", ["mean", "sum"])
@pytest.mark.parametrize("axes", [(0, 0), (0, None), (None, 0)])
@pytest.mark.parametrize("kinds", [("bfloat16", "bfloat16"), ("float16", "float32"), ("float64",)])
def test_autocast_raises_squared_errors_as_in_one_call_a_task(
    kinds: tuple[str, ...], axes: Axes, reduction: str
):
    given = [
        (300 * torch.rand((4, 5) if axis is None else (TASKS, 4, 5))).to(getattr(torch, kind))
        for axis, kind in zip(axes, (kinds * 2)[:2], strict=True)
    ]
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = torch.vmap(partial(functional.mse_loss, reduction=reduction), axes)(*given)
        x, y = (g.expand(TASKS, 4, 5) for g in given)
        expected = [F.mse_loss(*pair, reduction=reduction) for pair in zip(x, y, strict=True)]

    assert found.dtype is expected[0].dtype
    torch.testing.assert_close(found, torch.stack(expected))


@pytest.mark.parametrize(
    ("function", "shapes"),
    [
        (F.linear, [(4, 3), (2, 4), (2,)]),
        (torch.conv2d, [(2, 3, 5, 5), (4, 2, 3, 3), (4,)]),
        (torch.conv2d, [(2, 3, 5, 5), (4, 3, 3, 3), (5,)]),
    ],
)
def test_what_does_not_fit_is_torchs_error(function: Any, shapes: list[tuple[int, ...]]):
    given = [torch.rand(TASKS, *shape) for shape in shapes]
    with pytest.raises(RuntimeError) as expected:
        torch.vmap(function)(*given)

    with Replacing(), pytest.raises(RuntimeError, match=re.escape(str(expected.value))):
        torch.vmap(function)(*given)


def test_a_bias_that_does_not_fit_is_an_error():
    x, w, b = (torch.rand(TASKS, *shape) for shape in ((4, 3), (2, 3), (5,)))

    with pytest.raises(RuntimeError, match=r"size of the tensor \(2\) must match .* size \(5\)"):
        torch.vmap(functional.linear)(x, w, b)


def test_a_target_of_another_shape_is_warned_of_as_by_torch():
    x, y = torch.rand(TASKS, 4, 1), torch.rand(TASKS, 4)

    with pytest.warns(UserWarning, match=r"target size .* that is different to the input size"):
        torch.vmap(functional.mse_loss)(x, y)


def test_nested_calls_are_looked_at_by_one_mode():
    modes: list[int] = []

    class Counting(nn.Module):
        def forward(self, x: Tensor) -> Tensor:
            modes.append(len(torch.overrides._get_current_function_mode_stack()))
            return x

    Learner(nn.Sequential(Counting())).batched([], True, torch.ones(TASKS))

    assert modes == [1]


def test_a_layer_of_each_task_is_one_batched_product():
    net = nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))
    sets = [torch.randn(TASKS, *p.shape, requires_grad=True) for p in net.parameters()]
    x = torch.randn(TASKS, 5, 3)

    with Operators() as operators:
        outputs = Learner(net).batched(sets, True, x)
        torch.autograd.grad(outputs.sum(), sets)

    products = [name for name in operators.names if "mm" in name]
    assert products == ["baddbmm", "baddbmm", "bmm", "bmm", "bmm"]


def test_a_normalisation_of_each_task_is_one_call_of_the_kernel_that_applies_the_weights():
    net = nn.BatchNorm2d(4)
    sets = [torch.rand(TASKS, *p.shape) for p in net.parameters()]

    with Operators() as operators:
        Learner(net).batched(sets, True, torch.randn(TASKS, 5, 4, 6, 6))

    assert operators.names.count("native_batch_norm") == 1
    assert "mul" not in operators.names
