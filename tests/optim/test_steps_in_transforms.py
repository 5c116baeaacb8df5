"""Steps inside torch's transforms, its compiler and its checkpoints, and for tasks side by side."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from optimizers import ROWS, Row
from torch import Tensor
from torch._dynamo.testing import CompileCounterWithBackend
from torch.utils import _pytree as pytree
from torch.utils.checkpoint import checkpoint

from metann import optim

SHAPES = (3, 2), (3,)
TASKS = 4


def tasks() -> list[Tensor]:
    """Parameters with a leading task axis."""
    return [torch.randn(TASKS, *shape) for shape in SHAPES]


def bowl(params: list[Tensor]) -> Tensor:
    """A loss whose gradient is known: 2 * (p - 1)."""
    return sum(((param - 1) ** 2).sum() for param in params)  # type: ignore[return-value]


def few_steps(optimizer: optim.Optimizer, params: list[Tensor], steps: int = 6) -> list[Tensor]:
    state = optimizer.init(params)
    for _ in range(steps):
        params, state = optimizer.step(params, [2 * (param - 1) for param in params], state)
    return params


def forms(row: Row) -> list[dict[str, Any]]:
    """Hyper-parameters as numbers and as tensors."""
    return [row.values(), {name: torch.tensor(value) for name, value in row.values().items()}]


def both(row: Row) -> list[optim.Optimizer]:
    return [row.made(values, flags) for values in forms(row) for flags in row.flags()]


rows = pytest.mark.parametrize("row", ROWS, ids=str)


def one_by_one(optimizer: optim.Optimizer, params: list[Tensor]) -> list[Tensor]:
    results = [few_steps(optimizer, [param[task] for param in params]) for task in range(TASKS)]
    return [torch.stack(found) for found in zip(*results, strict=True)]


@pytest.mark.parametrize("row", [row for row in ROWS if row.ours.is_elementwise], ids=str)
def test_tasks_side_by_side_take_the_steps_that_each_takes_alone(row: Row) -> None:
    params = tasks()
    own = {n: [torch.full(shape, v) for shape in SHAPES] for n, v in row.values().items()}

    for optimizer in [*both(row), row.made(own, next(row.flags()))]:
        found = few_steps(optimizer, params)

        torch.testing.assert_close(found, one_by_one(optimizer, params), rtol=1e-12, atol=1e-12)


@rows
def test_vmap_over_tasks(row: Row) -> None:
    params = tasks()
    for optimizer in both(row):
        found = torch.vmap(lambda *p, o=optimizer: tuple(few_steps(o, list(p))))(*params)

        expected = tuple(one_by_one(optimizer, params))
        torch.testing.assert_close(found, expected, rtol=1e-12, atol=1e-12)


@rows
def test_vmap_over_learning_rates(row: Row) -> None:
    params, rates = [param[0] for param in tasks()], torch.rand(TASKS) / 10
    flags = next(row.flags())

    def final(lr: Tensor) -> Any:
        return tuple(few_steps(row.made({**row.values(), "lr": lr}, flags), params))

    found = torch.vmap(final)(rates)

    expected = zip(*(final(rate) for rate in rates), strict=True)
    torch.testing.assert_close(
        found, tuple(torch.stack(e) for e in expected), rtol=1e-12, atol=1e-12
    )


@rows
def test_func_grad_is_autograd(row: Row) -> None:
    params = [param[0] for param in tasks()]
    for flags in row.flags():
        values = forms(row)[1]

        def loss(params: list[Tensor], values: dict[str, Tensor], flags: Any = flags) -> Tensor:
            optimizer = row.made(values, flags)
            state = optimizer.init(params)
            for _ in range(row.steps):
                grads = torch.func.grad(bowl)(params)
                params, state = optimizer.step(params, grads, state)
            return bowl(params)

        found = torch.func.grad(loss, argnums=(0, 1))(params, values)

        leaves, spec = pytree.tree_flatten((params, values))
        for leaf in leaves:
            leaf.requires_grad_()
        expected = torch.autograd.grad(loss(*pytree.tree_unflatten(leaves, spec)), leaves)
        torch.testing.assert_close(pytree.tree_leaves(found), list(expected), rtol=1e-9, atol=1e-9)
        params = [param.detach() for param in params]


@pytest.mark.filterwarnings("ignore:.torch.jit.script. is deprecated")  # torch's own use of it
@rows
def test_forward_mode_gives_the_same_slopes(row: Row) -> None:
    """Even where half of the gradients are exactly 0."""
    start = torch.ones(4) + torch.tensor([0.0, 0.0, 0.5, -0.3])
    for optimizer in both(row):

        def final(param: Tensor, o: optim.Optimizer = optimizer) -> Tensor:
            return few_steps(o, [param])[0]

        forward, backward = torch.func.jacfwd(final)(start), torch.func.jacrev(final)(start)

        assert forward.isfinite().all()
        torch.testing.assert_close(forward, backward, rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize("form", [0, 1], ids=["numbers", "tensors"])
@rows
def test_a_step_is_compiled_without_a_break_and_not_anew_for_each_step(row: Row, form: int) -> None:
    optimizer = row.made(forms(row)[form], next(row.flags()))
    params = expected = [param[0] for param in tasks()]
    state = other = optimizer.init(params)
    torch.compiler.reset()
    counter = CompileCounterWithBackend(("eager", "aot_eager")[form])
    compiled = torch.compile(optimizer.step, fullgraph=True, backend=counter)

    for _ in range(8):
        params, state = compiled(params, [2 * (param - 1) for param in params], state)
        expected, other = optimizer.step(expected, [2 * (param - 1) for param in expected], other)

    torch.testing.assert_close(params, expected, rtol=1e-12, atol=1e-12)
    assert state.steps == (8, 8)
    # For the first step, for any, and where something begins, such as a buffer.
    assert counter.frame_count <= 4


def test_values_for_each_step_are_compiled() -> None:
    optimizer = optim.SGD(optim.PerStep([0.1, [0.2, 0.3], torch.tensor(0.4)]), momentum=0.9)
    params = [param[0] for param in tasks()]
    torch.compiler.reset()

    found = torch.compile(lambda *p: few_steps(optimizer, [*p]), fullgraph=True, backend="eager")

    expected = few_steps(optimizer, params)
    torch.testing.assert_close(found(*params), expected, rtol=1e-12, atol=1e-12)


@rows
def test_a_step_can_be_recomputed_by_a_checkpoint(row: Row) -> None:
    for values in forms(row):
        optimizer = row.made(values, next(row.flags()))
        slopes = []
        for call in (lambda f, *args: f(*args), recomputed):
            start = params = [torch.linspace(0, 2, 6).view(3, 2).requires_grad_()]
            state = optimizer.init(params)
            for _ in range(3):
                grads = [2 * (param - 1) for param in params]
                params, state = call(optimizer.step, params, grads, state)
            slopes.append(torch.autograd.grad(params[0].square().sum(), start)[0])

        torch.testing.assert_close(*slopes, rtol=0.0, atol=0.0)


def recomputed(function: Any, *args: Any) -> Any:
    return checkpoint(function, *args, use_reentrant=False)


@rows
def test_a_state_is_a_pytree(row: Row) -> None:
    optimizer = row.made(row.values(), next(row.flags()))
    params = [param[0] for param in tasks()]
    _, state = optimizer.step(params, params, optimizer.init(params))

    leaves, spec = pytree.tree_flatten(state)

    assert pytree.tree_unflatten(leaves, spec) == state
    assert [leaf for leaf in leaves if isinstance(leaf, Tensor)]
