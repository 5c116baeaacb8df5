"""Gradients clipped before the step, as torch clips them, and by functions of one's own."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metann import optim
from metann.errors import ArgumentError, OptimizerError

SHAPES = (3, 2), (), (4,)
INF = float("inf")

GradientList = list[Tensor | None]


def gradients() -> GradientList:
    return [torch.randn(3, 2), None, torch.randn(()), torch.randn(4)]


def clipped_by_torch(grads: GradientList, clip: Callable[[list[nn.Parameter]], object]) -> Any:
    params = [nn.Parameter(torch.zeros_like(torch.ones(2) if g is None else g)) for g in grads]
    for param, grad in zip(params, grads, strict=True):
        param.grad = None if grad is None else grad.clone()
    clip(params)
    return [param.grad for param in params]


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, 1.5, 0.5, INF, 2])
@pytest.mark.parametrize("max_norm", [0.0, 0.3, 2.0, 100.0])
def test_clipping_by_norm_is_that_of_torch(norm_type: float, max_norm: float) -> None:
    grads = gradients()

    found = optim.clip_by_norm(max_norm, norm_type)(grads)

    expected = clipped_by_torch(
        grads, lambda params: nn.utils.clip_grad_norm_(params, max_norm, norm_type)
    )
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("clip_value", [0.0, 0.3, 100.0])
def test_clipping_by_value_is_that_of_torch(clip_value: float) -> None:
    grads = gradients()

    found = optim.clip_by_value(clip_value)(grads)

    expected = clipped_by_torch(grads, lambda params: nn.utils.clip_grad_value_(params, clip_value))
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.0)


def test_clipping_complex_gradients_by_norm_is_that_of_torch() -> None:
    grads: GradientList = [torch.randn(3, dtype=torch.complex128), torch.randn(2)]
    for norm_type in (2.0, 3.0):
        found = optim.clip_by_norm(0.5, norm_type)(grads)

        expected = clipped_by_torch(
            grads, lambda params, p=norm_type: nn.utils.clip_grad_norm_(params, 0.5, p)
        )
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


def test_twenty_steps_are_those_of_torch_with_clipped_gradients() -> None:
    params = [torch.randn(shape) for shape in SHAPES]
    originals = [nn.Parameter(param.clone()) for param in params]
    theirs = torch.optim.Adam(originals, lr=0.1)
    ours = optim.transformed(
        optim.Adam(lr=0.1),
        optim.clip_by_norm(1.0),
        lambda grads: [g * 2 for g in grads],
        optim.clip_by_value(0.7),
    )
    state = ours.init(params)

    for _ in range(20):
        grads = [torch.randn(shape) for shape in SHAPES]
        for original, grad in zip(originals, grads, strict=True):
            original.grad = grad.clone()
        nn.utils.clip_grad_norm_(originals, 1.0)
        for original in originals:
            original.grad = original.grad * 2
        nn.utils.clip_grad_value_(originals, 0.7)
        theirs.step()
        params, state = ours.step(params, grads, state)

    torch.testing.assert_close(params, [p.detach() for p in originals], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, 1.5, INF])
def test_derivatives_are_those_of_finite_differences(norm_type: float) -> None:
    def clipped(one: Tensor, other: Tensor, max_norm: Tensor) -> Any:
        return tuple(optim.clip_by_norm(max_norm, norm_type)([one, other]))

    one, other = (torch.randn(shape, requires_grad=True) for shape in ((3, 2), (4,)))
    for max_norm in (0.5, 100.0):
        inputs = (one, other, torch.tensor(max_norm, requires_grad=True))
        assert torch.autograd.gradcheck(clipped, inputs)
        assert torch.autograd.gradgradcheck(clipped, inputs)


def test_derivatives_of_clipping_by_value_are_those_of_finite_differences() -> None:
    def clipped(grad: Tensor, value: Tensor) -> Any:
        return optim.clip_by_value(value)([grad])[0]

    grad = torch.randn(8, requires_grad=True)
    assert torch.autograd.gradcheck(clipped, (grad, torch.tensor(0.6, requires_grad=True)))


@pytest.mark.parametrize("norm_type", [2.0, 1.0, 3.0, 1.5, 0.5, INF])
def test_T27_T44_at_gradients_of_zero_it_is_as_if_nothing_were_clipped(norm_type: float) -> None:
    clip = optim.clip_by_norm(1.0, norm_type)
    zeros = torch.zeros(3, requires_grad=True)

    jacobian = torch.autograd.functional.jacobian(lambda grad: clip([grad])[0], zeros)

    assert torch.equal(jacobian, torch.eye(3))
    hessian = torch.autograd.functional.hessian(lambda grad: clip([grad])[0].sum(), zeros)
    assert torch.equal(hessian, torch.zeros(3, 3))


@pytest.mark.parametrize("norm_type", [2.0, 1.5, 3.0, INF])
def test_T27_T44_some_gradients_of_zero_among_others(norm_type: float) -> None:
    clip = optim.clip_by_norm(0.5, norm_type)
    dead, alive = torch.zeros(3, requires_grad=True), torch.randn(3, requires_grad=True)

    def clipped(dead: Tensor, alive: Tensor) -> Tensor:
        return torch.cat(clip([dead, alive]))

    for found in torch.autograd.functional.jacobian(clipped, (dead, alive), create_graph=True):
        (second,) = torch.autograd.grad(found.square().sum(), alive, retain_graph=True)
        assert found.isfinite().all()
        assert second.isfinite().all()
    assert torch.autograd.gradcheck(lambda alive: clipped(torch.zeros(3), alive), alive)


def test_the_norm_is_that_of_one_task() -> None:
    """So a transformed optimiser says that it must be vmapped over tasks."""
    optimizer = optim.transformed(optim.SGD(1.0), optim.clip_by_norm(0.1))
    param, grad = torch.zeros(4, 3), torch.randn(4, 3)

    def step(param: Tensor, grad: Tensor) -> Tensor:
        return optimizer.step([param], [grad], optimizer.init([param]))[0][0]

    found = torch.vmap(step)(param, grad)

    expected = -grad * 0.1 / (grad.norm(dim=1, keepdim=True) + 1e-6)
    torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)
    assert not optimizer.is_elementwise


def test_one_is_elementwise_if_all_its_parts_are() -> None:
    def halved(grads: GradientList) -> GradientList:
        return [None if grad is None else grad / 2 for grad in grads]

    sgd, clip = optim.SGD(0.1), optim.clip_by_value(1.0)

    assert optim.transformed(sgd, clip).is_elementwise
    assert not optim.transformed(sgd, clip, halved).is_elementwise
    assert not optim.transformed(optim.Adafactor(), clip).is_elementwise
    halved.is_elementwise = True  # type: ignore[attr-defined]
    assert optim.transformed(optim.transformed(sgd, halved), clip).is_elementwise


def test_what_is_learned_is_listed_by_name() -> None:
    class Scaled(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.factors = nn.Parameter(torch.ones(2))

        def forward(self, grads: GradientList) -> GradientList:
            return [f * g for f, g in zip(self.factors, grads, strict=True)]

    lr, max_norm, scaled = nn.Parameter(torch.ones(())), nn.Parameter(torch.ones(())), Scaled()
    optimizer = optim.transformed(optim.SGD(lr), scaled, abs, optim.clip_by_norm(max_norm))

    found = optimizer.hyper_parameters()

    expected = {"lr": lr, "transforms.2.max_norm": max_norm}
    assert found.keys() == expected.keys()
    assert all(found[name] is expected[name] for name in expected)
    assert optimizer.hyper_modules() == [scaled]


def test_a_transform_may_leave_a_parameter_out() -> None:
    optimizer = optim.transformed(optim.SGD(0.1), lambda grads: [None, *grads[1:]])
    params = [torch.randn(3), torch.randn(3)]

    stepped, state = optimizer.step(params, params, optimizer.init(params))

    assert stepped[0] is params[0]
    assert state.steps == (0, 1)


def test_a_step_is_compiled_without_a_break() -> None:
    optimizer = optim.transformed(optim.SGD(0.1), optim.clip_by_norm(0.5), optim.clip_by_value(0.2))
    params, grads = [torch.randn(3, 2)], [torch.randn(3, 2)]
    state = optimizer.init(params)
    torch.compiler.reset()

    found = torch.compile(optimizer.step, fullgraph=True, backend="aot_eager")(params, grads, state)

    torch.testing.assert_close(found[0], optimizer.step(params, grads, state)[0])


def test_without_gradients_there_is_nothing_to_clip() -> None:
    assert optim.clip_by_norm(1.0)([None, None]) == [None, None]
    assert optim.clip_by_value(1.0)([None]) == [None]


@pytest.mark.parametrize("norm_type", [0.0, -1.0, -INF, float("nan")])
def test_what_is_no_norm_is_refused(norm_type: float) -> None:
    with pytest.raises(OptimizerError, match=r"^norm_type must be above 0, got .*\. Give 2\.0, or"):
        optim.clip_by_norm(1.0, norm_type)


def test_negative_limits_are_refused() -> None:
    with pytest.raises(OptimizerError, match=r"^max_norm must be at least 0, got -1\. Give a num"):
        optim.clip_by_norm(-1)
    with pytest.raises(OptimizerError, match=r"^clip_value must be at least 0, got -1\. Give a"):
        optim.clip_by_value(-1)


def test_a_transform_that_is_no_function_is_refused() -> None:
    message = r"function from gradients to gradients, got 1\.0 of type float\. Give clip_by_norm"
    with pytest.raises(ArgumentError, match=message):
        optim.transformed(optim.SGD(0.1), 1.0)  # type: ignore[arg-type]


def test_a_transform_that_loses_gradients_is_refused() -> None:
    optimizer = optim.transformed(optim.SGD(0.1), lambda grads: grads[1:])
    params = [torch.randn(3), torch.randn(3)]

    with pytest.raises(OptimizerError, match=r"for each parameter, but .* made 1 of 2\. Return a"):
        optimizer.step(params, params, optimizer.init(params))
