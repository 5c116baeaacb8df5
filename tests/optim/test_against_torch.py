"""Each optimiser takes the steps that torch's takes: float64, 20 steps, every option."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from optimizers import ROWS, Row
from torch import Tensor, nn

from metann import optim
from metann.errors import MetannError

STEPS = 20


def cases() -> list[Any]:
    return [
        pytest.param(row, settings, id=f"{row.name}-" + "-".join(map(str, settings.values())))
        for row in ROWS
        for settings in row.settings()
    ]


def random_gradients(params: list[Tensor], step: int) -> list[Tensor | None]:
    """The size changes from step to step; each parameter goes without one now and then."""
    return [
        None if (step + index) % 4 == 1 else torch.randn_like(param) * 3.0 ** (step % 3 - 1)
        for index, param in enumerate(params)
    ]


def run_both(row: Row, settings: dict[str, Any], params: list[Tensor]) -> tuple[Any, ...]:
    originals = [nn.Parameter(param.clone()) for param in params]
    theirs = row.theirs(originals, **settings)
    ours = row.ours(**settings)
    state = ours.init(params)
    for step in range(STEPS):
        grads = random_gradients(params, step)
        for original, grad in zip(originals, grads, strict=True):
            original.grad = None if grad is None else grad.clone()
        theirs.step()
        params, state = ours.step(params, grads, state)
    return originals, theirs, params, state


@pytest.mark.parametrize(("row", "settings"), cases())
def test_twenty_steps_are_those_of_torch(row: Row, settings: dict[str, Any]) -> None:
    params = [torch.randn(shape) for shape in row.shapes]
    try:
        row.theirs([nn.Parameter(torch.ones(1, 1))], **settings)
    except ValueError:
        with pytest.raises(MetannError, match=r".{40}\. [A-Z].{15}"):
            row.ours(**settings)
        return

    originals, theirs, stepped, state = run_both(row, settings, params)

    torch.testing.assert_close(stepped, [p.detach() for p in originals], rtol=1e-12, atol=1e-12)
    assert_same_state(theirs, originals, state)
    assert state.count == STEPS


def assert_same_state(
    theirs: torch.optim.Optimizer, originals: list[nn.Parameter], state: optim.State
) -> None:
    """What torch remembers we remember, under the same names."""
    for index, original in enumerate(originals):
        for name, expected in theirs.state[original].items():
            if name == "step":
                assert state.steps[index] == expected
            elif expected is None:
                assert state.slots[name][index] is None
            else:
                found = state.slots[name][index]
                torch.testing.assert_close(found, torch.as_tensor(expected), rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("row", [row for row in ROWS if row.has_complex], ids=str)
def test_complex_parameters_are_pairs_of_real_numbers_as_in_torch(row: Row) -> None:
    settings = next(row.settings())
    params = [torch.randn(shape, dtype=torch.complex128) for shape in row.shapes]

    originals, theirs, stepped, state = run_both(row, settings, params)

    torch.testing.assert_close(stepped, [p.detach() for p in originals], rtol=1e-12, atol=1e-12)
    assert_same_state(theirs, originals, state)


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_defaults_are_those_of_torch(row: Row) -> None:
    theirs = row.theirs([nn.Parameter(torch.ones(1, 1))]).defaults
    ours = row.ours()

    options = {*row.learnable, *row.options}

    assert {name: getattr(ours, name) for name in options} == {n: theirs[n] for n in options}


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_T12_T52_without_a_gradient_parameter_and_state_are_unchanged(row: Row) -> None:
    ours = row.ours(**dict(row.learnable, **{n: v[0] for n, v in row.options.items()}))
    params, grads = ([torch.randn(3, 2), torch.randn(3, 2)] for _ in range(2))
    params, state = ours.step(params, grads, ours.init(params))

    stepped, after = ours.step(params, [None, grads[1]], state)

    assert stepped[0] is params[0]
    assert not torch.equal(stepped[1], params[1])
    assert after.steps == (1, 2)
    assert all(after.slots[name][0] is column[0] for name, column in state.slots.items())


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_nothing_that_is_given_is_changed(row: Row) -> None:
    for flags in row.flags():
        ours = row.ours(**{**row.learnable, **flags})
        params = [torch.randn(shape) for shape in row.shapes]
        state = ours.init(params)
        for _ in range(row.steps):
            grads = [torch.randn_like(param) for param in params]
            versions = [t._version for t in tensors_in(params, grads, state)]

            stepped, after = ours.step(params, grads, state)

            assert [t._version for t in tensors_in(params, grads, state)] == versions
            params, state = stepped, after


def tensors_in(params: list[Tensor], grads: list[Tensor], state: optim.State) -> list[Tensor]:
    slots = [value for column in state.slots.values() for value in column]
    return [*params, *grads, *(value for value in slots if value is not None)]


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_sparse_gradients_are_those_of_torch(momentum: float) -> None:
    param, indices = torch.randn(5, 2), torch.tensor([[1, 3]])
    original = nn.Parameter(param.clone())
    theirs = torch.optim.SGD([original], lr=0.1, momentum=momentum)
    ours = optim.SGD(lr=0.1, momentum=momentum)
    params, state = [param], ours.init([param])

    for _ in range(3):
        grad = torch.sparse_coo_tensor(indices, torch.randn(2, 2), (5, 2), check_invariants=True)
        original.grad = grad.clone()
        theirs.step()
        params, state = ours.step(params, [grad], state)

    torch.testing.assert_close(params[0], original.detach(), rtol=1e-12, atol=1e-12)


def test_sparse_gradients_are_dense_ones_where_torch_refuses_them() -> None:
    param = torch.randn(5, 2)
    grad = torch.sparse_coo_tensor(
        torch.tensor([[1, 3]]), torch.randn(2, 2), (5, 2), check_invariants=True
    )
    ours = optim.Adam(lr=0.1)

    (found,), _ = ours.step([param], [grad], ours.init([param]))

    (expected,), _ = ours.step([param], [grad.to_dense()], ours.init([param]))
    torch.testing.assert_close(found, expected, rtol=0.0, atol=0.0)
