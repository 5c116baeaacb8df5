"""What else a module of torch can do: give its output, be pickled, copied, moved to meta."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable
from functools import partial
from typing import Any

import torch
from measuring import assert_same, gradients, run
from samples.sample import Given
from torch import Tensor, nn
from torch.nn.utils.rnn import PackedSequence

from matrix.problem import Problem, Use
from matrix.sides import Side, Torch


def forward(use: Use, side: type[Side]) -> None:
    """The output, all of it, is that of a plain module with these weights."""
    problem = Problem(use, side)
    call = partial(problem.side.call, problem.weights, problem.side.buffers())
    plain, _ = Torch(problem.plain).model(problem.weights)
    inputs = problem.inputs
    assert_same(run(call, inputs), run(plain, inputs), use.sample.tolerance)


def pickled(use: Use, side: type[Side]) -> None:
    """A model that was saved and loaded computes the same."""

    def through_a_file(model: nn.Module) -> Any:
        file = io.BytesIO()
        torch.save(model, file)
        file.seek(0)
        return torch.load(file, weights_only=False)

    _assert_twin(use, side, through_a_file)


def deep_copied(use: Use, side: type[Side]) -> None:
    """A copy computes the same and shares no memory with its original."""
    _assert_twin(use, side, copy.deepcopy)


def _assert_twin(use: Use, side: type[Side], make: Callable[[nn.Module], nn.Module]) -> None:
    problem = Problem(use, side)
    model, _ = problem.side.model(problem.weights)
    twin = make(model)
    assert type(twin) is type(model)
    memory = {t.data_ptr() for t in [*model.parameters(), *model.buffers()] if t.numel()}
    assert not any(t.data_ptr() in memory for t in [*twin.parameters(), *twin.buffers()])
    assert_same(run(twin, problem.inputs), run(model, problem.inputs), use.sample.tolerance)


def on_meta(use: Use, side: type[Side]) -> None:
    """Without data: outputs and gradients have the shapes and types that they have with data."""
    problem = Problem(use, side)
    leaves = problem.fresh()
    outputs = problem.outputs(*leaves)
    slopes = gradients(torch.stack([o.sum() for o in outputs]).sum(), leaves)
    problem.plain.to("meta")
    problem.side = side(problem.plain)
    problem.inputs = Given(*map(_moved, (problem.inputs.args, problem.inputs.kwargs)))
    on = [leaf.detach().to("meta").requires_grad_() for leaf in leaves]
    found = problem.outputs(*on)
    total = torch.stack([o.sum() for o in found]).sum()
    assert _kinds(found, "meta") == _kinds(outputs, "meta")
    assert _kinds(gradients(total, on), "meta") == _kinds(slopes, "meta")


def _kinds(tensors: Any, device: str) -> list[Any]:
    return [(t.shape, t.dtype, device) for t in tensors]


def _moved(value: Any) -> Any:
    """The same without data; the lengths of a packed sequence stay, as torch wants them."""
    if isinstance(value, PackedSequence):
        return value.to("meta")
    if isinstance(value, list | tuple):
        return type(value)(map(_moved, value))
    if isinstance(value, dict):
        return {key: _moved(item) for key, item in value.items()}
    return _like(value) if isinstance(value, Tensor) else value


def _like(tensor: Tensor) -> Tensor:
    return tensor.detach().to("meta").requires_grad_(tensor.requires_grad)
