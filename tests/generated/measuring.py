"""What the tests do with a sample: construct the layer, run it, differentiate, compare."""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import torch
from samples.sample import Given, Sample
from torch import Tensor, nn
from torch.nn.modules.lazy import LazyModuleMixin

from metann.functional.derivatives import withdrawn as torch_alone  # noqa: F401


class Used(nn.Module):
    """Holds a layer that has no forward of its own, and calls a function on it instead."""

    def __init__(self, part: nn.Module, call: Callable[..., Any]) -> None:
        super().__init__()
        self.part = part
        self.call = call

    def forward(self, *args: Any, **kwargs: Any) -> Any:
        return self.call(self.part, *args, **kwargs)


@contextmanager
def allowed_warnings(sample: Sample) -> Iterator[None]:
    """Only the warnings that the sample names are let through; the others are errors."""
    with warnings.catch_warnings():
        for message in sample.warns:
            warnings.filterwarnings("ignore", message=message)
        yield


def constructed(sample: Sample, layer: type[nn.Module], seed: int = 0) -> nn.Module:
    """`layer`, or a module that holds it, with the sample's arguments and moved parameters."""
    seed_torch(seed)
    arguments = sample.arguments.made(torch.Generator().manual_seed(1))
    built = layer(*arguments.args, **arguments.kwargs)
    module = built if sample.call is None else Used(built, sample.call)
    if isinstance(built, LazyModuleMixin):
        _shown_data(module, sample)
    _move(module)
    return module


def layer_of(module: nn.Module) -> nn.Module:
    """The layer that the sample is about, out of the module that holds it."""
    return module.part if hasattr(module, "call") else module


def _shown_data(module: nn.Module, sample: Sample) -> None:
    """A lazy module learns its shapes from a first call, here without side effects."""
    inputs = inputs_of(sample)
    with torch.no_grad():
        module.eval()(*inputs.args, **inputs.kwargs)
    module.train()


def _move(module: nn.Module) -> None:
    """Away from zero, so that no parameter and no running statistic is left at 0 or 1."""
    with torch.no_grad():
        for parameter in module.parameters():
            direction = torch.where(parameter < 0, -1.0, 1.0)
            parameter.add_(torch.rand_like(parameter) * direction, alpha=0.2)
        for name, buffer in module.named_buffers():
            if name.endswith(("running_mean", "running_var")):
                buffer.add_(torch.rand_like(buffer))


def seed_torch(seed: int) -> None:
    """Seed the CPU alone: torch.manual_seed takes 4 ms, to note the stack for other devices."""
    torch.default_generator.manual_seed(seed)


def inputs_of(sample: Sample) -> Given:
    """The sample's inputs, the same ones each time."""
    return sample.inputs.made(torch.Generator().manual_seed(2))


def run(function: Callable[..., Any], inputs: Given, copies: bool = True, seed: int = 3) -> Any:
    """The output, from a seed; for copies of the inputs, as some layers overwrite them."""
    given = copied(inputs) if copies else inputs
    seed_torch(seed)
    return function(*given.args, **given.kwargs)


def copied(inputs: Given) -> Given:
    """The same inputs in other tensors, through which gradients flow back."""
    return Given(mapped(Tensor.clone, inputs.args), mapped(Tensor.clone, inputs.kwargs))


def mapped(function: Callable[[Tensor], Tensor], value: Any) -> Any:
    """`value` with every tensor inside it, at any depth, replaced by `function` of it."""
    if isinstance(value, Tensor):
        return function(value)
    if isinstance(value, dict):
        return {key: mapped(function, item) for key, item in value.items()}
    if isinstance(value, tuple) and hasattr(value, "_fields"):
        return type(value)(*(mapped(function, item) for item in value))
    if isinstance(value, list | tuple):
        return type(value)(mapped(function, item) for item in value)
    return value


def structure(value: Any) -> Any:
    """The types and names in `value`, without its tensors."""
    if isinstance(value, dict):
        return {key: structure(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return type(value), [structure(item) for item in value]
    return type(value)


def tensors_in(value: Any) -> list[Tensor]:
    """Every tensor inside `value`, in order."""
    found: list[Tensor] = []
    mapped(lambda tensor: found.append(tensor) or tensor, value)
    return found


def leaves_of(inputs: Given) -> list[Tensor]:
    """The input tensors whose gradients are compared."""
    return [t for t in tensors_in([inputs.args, inputs.kwargs]) if t.requires_grad]


def scalar(output: Any) -> Tensor:
    """A number that depends on every real output, with a different first and second derivative."""
    real = [tensor for tensor in tensors_in(output) if tensor.is_floating_point()]
    generator = torch.Generator().manual_seed(4)
    weights = [torch.rand(tensor.shape, generator=generator) + 0.5 for tensor in real]
    pairs = zip(weights, real, strict=True)
    return torch.stack([(w * (x + x.square() / 2)).sum() for w, x in pairs]).sum()


def gradients(value: Tensor, of: Sequence[Tensor], create_graph: bool = False) -> list[Tensor]:
    """d value / d each tensor, zeros for those that it does not depend on."""
    if not of:
        return []
    found = torch.autograd.grad(
        value, of, create_graph=create_graph, allow_unused=True, materialize_grads=True
    )
    return list(found)


def second_gradients(
    value: Tensor, first: Sequence[Tensor], second: Sequence[Tensor]
) -> list[Tensor]:
    """The gradient, by `second`, of the squared norm of the gradient by `first`."""
    found = gradients(value, first, create_graph=True)
    norm = torch.stack([gradient.to_dense().square().sum() for gradient in found])
    return [gradient.to_dense() for gradient in gradients(norm.sum(), second)]


def assert_same(actual: Any, expected: Any, tolerance: float) -> None:
    """Same structure, and the same numbers up to `tolerance`, relative and absolute."""
    assert structure(actual) == structure(expected)
    for one, other in zip(tensors_in(actual), tensors_in(expected), strict=True):
        assert one.layout is other.layout
        dense = one.to_dense(), other.to_dense()
        torch.testing.assert_close(*dense, rtol=tolerance, atol=tolerance, equal_nan=True)
