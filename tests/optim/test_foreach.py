"""Many small parameters in one call of torch's foreach kernels: the same results as one by one."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import pytest
import torch
from optimizers import ROWS, Row
from torch import Tensor

from metann import optim
from metann.optim import foreach

TAKING_MANY = [row for row in ROWS if "takes_many" in vars(row.ours)]
SHAPES = ((2, 3), (), (4,), (0, 2), (1,), (3, 1, 2), (2,), (5,))

rows = pytest.mark.parametrize(
    ("row", "flags"),
    [pytest.param(row, flags, id=f"{row}-{flags}") for row in TAKING_MANY for flags in row.flags()],
)


@pytest.fixture
def calls(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """The numbers of parameters that have been taken together."""
    found: list[int] = []
    chosen = foreach.chosen

    def spied(*args: Any) -> Any:
        indices = chosen(*args)
        if indices:
            found.append(len(indices))
        return indices

    monkeypatch.setattr(foreach, "chosen", spied)
    return found


@contextmanager
def one_by_one() -> Iterator[None]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(foreach, "are_possible", lambda: False)
        yield


def inputs(number_of_steps: int, shapes: Any = SHAPES) -> tuple[list[Tensor], list[list[Tensor]]]:
    """Parameters and gradients."""
    params, *grads = ([torch.randn(s) for s in shapes] for _ in range(number_of_steps + 1))
    return params, grads


def after(
    optimizer: optim.Optimizer, params: list[Tensor], grads: list[list[Tensor]]
) -> tuple[list[Tensor], optim.State]:
    state = optimizer.init(params)
    for step, given in enumerate(grads):
        # The last parameter has no gradient, but in the end: then it is behind the others.
        some = [*given[:-1], given[-1] if step == len(grads) - 1 else None]
        params, state = optimizer.step(params, some, state)
    return params, state


@rows
def test_steps_are_those_of_a_loop(row: Row, flags: dict[str, Any], calls: list[int]) -> None:
    optimizer = row.made(row.values(), flags)
    params, grads = inputs(row.steps + 1)
    grads[0][0].zero_()

    found = after(optimizer, params, grads)

    assert calls == [7] * row.steps
    with one_by_one():
        expected = after(optimizer, params, grads)
    assert found[1].steps == expected[1].steps == (row.steps + 1,) * 7 + (1,)
    torch.testing.assert_close(found[0], expected[0], rtol=1e-12, atol=1e-12)
    torch.testing.assert_close(found[1].slots, expected[1].slots, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("what", ["params", "grads", "slots"])
def test_what_has_a_graph_is_taken_one_by_one(what: str, calls: list[int]) -> None:
    optimizer = optim.Adam(0.1)
    params, (grads, more) = inputs(2)
    params, state = optimizer.step(params, more, optimizer.init(params))
    assert calls == [8]
    required = {"params": params, "grads": grads, "slots": state.slots["exp_avg"]}[what]
    required[3] = cast("Tensor", required[3]).requires_grad_()

    found, _ = optimizer.step(params, grads, state)

    assert calls == [8]
    assert found[3].requires_grad
    with torch.no_grad():
        optimizer.step(params, grads, state)
    assert calls == [8, 8]


@pytest.mark.parametrize(
    "optimizer",
    [
        optim.Adam(torch.tensor(0.1)),
        optim.Adam([0.1] * 8),
        optim.Adam(betas=(torch.tensor(0.9), 0.999)),
        optim.Adam(optim.PerStep([0.1])),
        optim.NAdam(),
        optim.Rprop(),
    ],
    ids=["tensor", "list", "in a pair", "per step", "without", "signs"],
)
def test_hyper_parameters_that_are_no_numbers_are_for_one_at_a_time(
    optimizer: optim.Optimizer, calls: list[int]
) -> None:
    after(optimizer, *inputs(2))

    assert calls == []


def test_large_parameters_are_taken_one_by_one(calls: list[int]) -> None:
    for size in (8192, 8193):
        after(optim.SGD(0.1, momentum=0.9), *inputs(2, [(size,)] * 7))

    assert calls == [6]


def test_few_parameters_are_taken_one_by_one(calls: list[int]) -> None:
    after(optim.Adam(0.1), *inputs(2, SHAPES[:5]))

    assert calls == []


@pytest.mark.parametrize(
    "dtypes", [(torch.float32, torch.float64), (torch.complex128, torch.complex128)]
)
def test_mixed_and_complex_parameters_are_taken_one_by_one(dtypes: Any, calls: list[int]) -> None:
    params = [torch.randn(3, dtype=dtypes[i % 2]) for i in range(8)]
    after(optim.Adam(0.1), params, [[p.clone() for p in params]] * 2)

    assert calls == []


def test_not_inside_transforms_and_the_compiler(calls: list[int]) -> None:
    optimizer = optim.Adam(0.1)
    params, grads = inputs(1)
    params, (given,) = [p.detach() for p in params], grads

    def stepped(*params: Tensor) -> tuple[Tensor, ...]:
        return tuple(after(optimizer, [*params], [[g.detach() for g in given]])[0])

    torch.compiler.reset()
    compiled = torch.compile(stepped, fullgraph=True, backend="aot_eager")(*params)
    stacked = torch.vmap(stepped)(*(torch.stack([p, p]) for p in params))

    assert calls == []
    expected = stepped(*params)
    assert calls == [8]
    torch.testing.assert_close(compiled, expected)
    torch.testing.assert_close(stacked, tuple(torch.stack([p, p]) for p in expected))


def test_a_subclass_with_an_update_of_its_own_gets_tensors(calls: list[int]) -> None:
    @dataclass(frozen=True, eq=False)
    class Signed(optim.SGD):
        def update(self, param: Tensor, grad: Tensor, *rest: Any) -> Any:
            return super().update(param, grad.sign(), *rest)

    params, grads = inputs(1)
    optimizer = Signed(0.1, momentum=0.9)

    found, _ = optimizer.step(params, grads[0], optimizer.init(params))

    assert calls == []
    expected = [p - 0.1 * g.sign() for p, g in zip(params, grads[0], strict=True)]
    torch.testing.assert_close(found, expected)


@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_a_gradient_of_another_shape_is_refused(momentum: float) -> None:
    params, grads = inputs(1)
    optimizer = optim.SGD(0.1, momentum=momentum)

    with pytest.raises(ValueError, match=r"for parameter 2 of shape \(4,\) there is one of shape"):
        optimizer.step(
            params, [*grads[0][:2], torch.randn(1), *grads[0][3:]], optimizer.init(params)
        )
