"""Muon: matrices only, and in whose precision it iterates."""

from __future__ import annotations

from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from metann import optim
from metann.errors import ArgumentError, OptimizerError

SHAPES = (3, 2), (2, 5), (1, 1), (4, 4)
LEARNABLE = {
    "lr": 0.1,
    "weight_decay": 0.05,
    "momentum": 0.8,
    "ns_coefficients": (3.0, -4.0, 1.5),
    "eps": 1e-3,
}
SETTINGS = [
    dict(zip(("momentum", "nesterov", "adjust_lr_fn", "eps"), values, strict=True))
    for values in product(
        (0.8, 0.0), (True, False), (None, "original", "match_rms_adamw"), (1e-7, 20.0)
    )
]


def bent(params: list[Tensor]) -> Tensor:
    """A loss with mixed third derivatives."""
    flat = torch.cat([param.flatten() for param in params])
    return (flat.cos() * flat.roll(1)).sum() + flat.square().sum() ** 2 / 8


def unrolled(optimizer: optim.Optimizer, params: list[Tensor], steps: int = 3) -> Any:
    state = optimizer.init(params)
    for _ in range(steps):
        grads = torch.autograd.grad(bent(params), params, create_graph=True)
        params, state = optimizer.step(params, grads, state)
    return tuple(params)


@pytest.mark.parametrize("settings", SETTINGS, ids=lambda s: "-".join(map(str, s.values())))
@pytest.mark.parametrize("ns_steps", [5, 1])
def test_twenty_steps_are_those_of_torch(settings: dict[str, Any], ns_steps: int) -> None:
    settings = {"lr": 0.1, "weight_decay": 0.03, "ns_steps": ns_steps, **settings}
    params = [torch.randn(shape) for shape in SHAPES]
    originals = [nn.Parameter(param.clone()) for param in params]
    theirs, ours = torch.optim.Muon(originals, **settings), optim.Muon(**settings)
    state = ours.init(params)

    for step in range(20):
        grads = [None if (step + i) % 4 == 1 else torch.randn(s) for i, s in enumerate(SHAPES)]
        for original, grad in zip(originals, grads, strict=True):
            original.grad = grad
        theirs.step()
        params, state = ours.step(params, grads, state)

    torch.testing.assert_close(params, [p.detach() for p in originals], rtol=1e-12, atol=1e-12)
    kept = [theirs.state[original]["momentum_buffer"] for original in originals]
    torch.testing.assert_close(state.slots["momentum_buffer"], kept, rtol=1e-12, atol=1e-12)


def test_defaults_are_those_of_torch() -> None:
    theirs = torch.optim.Muon([nn.Parameter(torch.ones(1, 1))]).defaults

    assert {name: getattr(optim.Muon(), name) for name in theirs} == theirs


def test_in_the_parameters_own_precision_singular_values_come_near_1() -> None:
    """torch's two digits are seen beside it."""
    param, grad = torch.zeros(5, 3), torch.randn(5, 3)
    sizes = []
    for ns_dtype in (None, torch.bfloat16):
        ours = optim.Muon(1.0, 0.0, adjust_lr_fn=None, ns_dtype=ns_dtype)
        (stepped,), _ = ours.step([param], [grad], ours.init([param]))
        sizes.append(torch.linalg.svdvals(stepped) / (5 / 3) ** 0.5)

    exact, rounded = sizes
    assert ((exact > 0.6) & (exact < 1.3)).all()
    torch.testing.assert_close(rounded, exact, rtol=0.0, atol=0.1)
    assert not torch.allclose(rounded, exact, rtol=1e-5)


@pytest.mark.parametrize("nesterov", [True, False])
@pytest.mark.parametrize("adjust_lr_fn", ["original", "match_rms_adamw"])
def test_meta_gradients_are_those_of_finite_differences(nesterov: bool, adjust_lr_fn: Any) -> None:
    values = [torch.tensor(v, requires_grad=True) for v in (0.1, 0.05, 0.8, 3.0, -4.0, 1.5)]
    start = [torch.randn(shape, requires_grad=True) for shape in ((2, 3), (2, 1))]

    def final(one: Tensor, other: Tensor, *hypers: Tensor) -> Any:
        lr, weight_decay, momentum, a, b, c = hypers
        optimizer = optim.Muon(
            lr,
            weight_decay,
            momentum,
            nesterov,
            (a, b, c),
            adjust_lr_fn=adjust_lr_fn,
            ns_dtype=None,
        )
        return unrolled(optimizer, [one, other])

    assert torch.autograd.gradcheck(final, (*start, *values), atol=1e-6)


def test_numbers_and_tensors_give_the_same_gradients() -> None:
    start = [torch.randn(shape, requires_grad=True) for shape in ((2, 3), (2, 1))]
    tensors = {
        name: tuple(map(torch.tensor, value)) if isinstance(value, tuple) else torch.tensor(value)
        for name, value in LEARNABLE.items()
    }

    found, expected = (
        torch.autograd.grad(bent(unrolled(optim.Muon(**settings, ns_dtype=None), start)), start)
        for settings in (tensors, LEARNABLE)
    )

    torch.testing.assert_close(found, expected, rtol=1e-10, atol=1e-10)


def test_the_gradient_of_eps_where_it_holds() -> None:
    param, grad = torch.randn(2, 3), torch.randn(2, 3)

    def stepped(eps: Tensor) -> Tensor:
        optimizer = optim.Muon(0.1, eps=eps, ns_dtype=None)
        return optimizer.step([param], [grad], optimizer.init([param]))[0][0]

    assert torch.autograd.gradcheck(stepped, torch.tensor(9.0, requires_grad=True))


@pytest.mark.parametrize("ns_dtype", [None, torch.bfloat16])
def test_T27_T44_the_derivative_at_a_gradient_of_zero_is_right(ns_dtype: Any) -> None:
    # Of a small matrix G, the step is the limit of the iteration at 0: a^5 / eps times G.
    optimizer = optim.Muon(1.0, 0.0, 0.0, ns_dtype=ns_dtype, eps=0.5)
    param, grad = torch.randn(2, 2), torch.zeros(2, 2, requires_grad=True)

    def stepped(grad: Tensor) -> Tensor:
        return optimizer.step([param], [grad], optimizer.init([param]))[0][0]

    found = torch.autograd.functional.jacobian(stepped, grad).view(4, 4)

    digits = 1e-10 if ns_dtype is None else 3e-2
    expected = -torch.eye(4) * 3.4445**5 / 0.5
    torch.testing.assert_close(found, expected, rtol=digits, atol=1e-10)
    second = torch.autograd.functional.hessian(lambda g: stepped(g).sum(), grad)
    torch.testing.assert_close(second, torch.zeros_like(second))


@pytest.mark.parametrize("ns_dtype", [None, torch.bfloat16])
@pytest.mark.parametrize("shape", [(3, 2), (2, 3)])
def test_vmap_over_tasks(ns_dtype: Any, shape: tuple[int, int]) -> None:
    optimizer = optim.Muon(0.1, ns_dtype=ns_dtype)
    params = torch.randn(4, *shape)

    def few_steps(param: Tensor) -> Tensor:
        params, state = [param], optimizer.init([param])
        for _ in range(3):
            params, state = optimizer.step(params, [2 * params[0] - 1], state)
        return params[0]

    found = torch.vmap(few_steps)(params)

    # In bfloat16 a batched product may round otherwise than a single one.
    tolerance = 1e-12 if ns_dtype is None else 3e-2
    expected = torch.stack([few_steps(param) for param in params])
    torch.testing.assert_close(found, expected, rtol=tolerance, atol=tolerance * 0.1)


def test_a_step_is_compiled_without_a_break() -> None:
    optimizer = optim.Muon(0.1, ns_dtype=None)
    params, grads = [torch.randn(3, 2)], [torch.randn(3, 2)]
    state = optimizer.init(params)
    torch.compiler.reset()

    found = torch.compile(optimizer.step, fullgraph=True, backend="aot_eager")(params, grads, state)

    torch.testing.assert_close(found[0], optimizer.step(params, grads, state)[0])


def test_what_is_kept_in_bfloat16_is_not_normalised() -> None:
    """torch normalises its own average: a view of it is what it divides in place."""
    param, grad = torch.randn(4, 3).bfloat16(), torch.full((4, 3), 100.0).bfloat16()
    original = nn.Parameter(param.clone())
    theirs = torch.optim.Muon([original], momentum=0.9, nesterov=False)
    original.grad = grad.clone()
    theirs.step()
    ours = optim.Muon(momentum=0.9, nesterov=False)

    stepped, state = ours.step([param], [grad], ours.init([param]))

    assert torch.equal(stepped[0], original.detach())
    torch.testing.assert_close(state.slots["momentum_buffer"][0], grad / 10, rtol=1e-2, atol=0.0)
    assert theirs.state[original]["momentum_buffer"].norm() < 1.01  # and not 34.6


@pytest.mark.parametrize("shape", [(), (3,), (2, 3, 4)])
def test_a_parameter_that_is_no_matrix_is_refused(shape: tuple[int, ...]) -> None:
    with pytest.raises(OptimizerError, match=r"matrices only, got .* shape \(.*another optimiser"):
        optim.Muon().init([torch.randn(shape)])


def test_what_is_no_option_is_refused() -> None:
    with pytest.raises(OptimizerError, match=r'adjust_lr_fn must be .*, got "?\'?rms.*Give one'):
        optim.Muon(adjust_lr_fn="rms")  # type: ignore[arg-type]
    with pytest.raises(OptimizerError, match=r"ns_steps must be .* 100, got 100\. Give a number"):
        optim.Muon(ns_steps=100)
    with pytest.raises(
        ArgumentError, match=r"tuple of 3 hyper-parameters, got \(1, 2\)\. Give \(a"
    ):
        optim.Muon(ns_coefficients=(1, 2))  # type: ignore[arg-type]
    with pytest.raises(OptimizerError, match=r"lr must be at least 0, got -1"):
        optim.Muon(lr=-1)
