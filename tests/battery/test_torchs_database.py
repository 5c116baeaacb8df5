"""Every entry of torch's own database of modules, under weights that are computed.

Forward and gradients of `Learner.functional`, and of a converted, cleared and substituted module,
are those of the plain module with these weights copied in, and of `torch.func.functional_call`.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from itertools import product
from typing import Any

import pytest
import torch
from comparing import assert_same, gradients, load, mapped, scalar, seed_torch, tensors_in
from torch import Tensor, nn
from torch.func import functional_call
from torchs_database import entries

from metann import DependentModule, Learner

# Types of numbers, and whether in train mode.
KINDS = tuple(product((torch.float32, torch.float64), (True, False)))
# An entry with more inputs than this, which are the products of many options, takes each of them
# in one of the four kinds; the others take each input in each kind.
MANY = 200
# The sums of a backward pass may be taken in another order; nothing else may differ.
ROUNDINGS = 8.0


@dataclass(frozen=True)
class Case:
    """One input of an entry: the module, and the arguments it is called with."""

    module: nn.Module
    args: tuple[Any, ...]
    kwargs: dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What came of one call."""

    output: list[Tensor]
    gradients: list[Tensor]
    warnings: set[str]


def cases(info: Any, dtype: torch.dtype, training: bool) -> Iterator[Case]:
    """Each input of an entry, as torch's own tests make them."""
    seed_torch(0)
    inputs = info.module_inputs_func(
        info, device="cpu", dtype=dtype, requires_grad=True, training=training
    )
    for given in inputs:
        arguments, call = given.constructor_input, given.forward_input
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # What is asked of the constructor is torch's choice.
            module = info.module_cls(*arguments.args, **arguments.kwargs)
        module.to(dtype).train(training)
        if info.is_lazy:
            with torch.no_grad():
                module(*call.args, **call.kwargs)
        yield Case(module, call.args, call.kwargs)


def outcome(case: Case, function: Callable[..., Any], weights: Sequence[Tensor]) -> Outcome:
    """Call from a fixed seed with copies of the inputs: some modules overwrite them."""
    args, kwargs = mapped(Tensor.clone, case.args), mapped(Tensor.clone, case.kwargs)
    seed_torch(1)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        output = function(*args, **kwargs)
    real = [t for t in tensors_in([case.args, case.kwargs]) if t.requires_grad]
    found = gradients(scalar(output), [*weights, *real])
    return Outcome(tensors_in(output), found, {str(warning.message) for warning in caught})


def check(case: Case, training: bool) -> None:
    """Compare two ways of metann with two of torch; in the end the module is converted."""
    module = case.module
    leaves = [p.detach().clone().requires_grad_() for p in module.parameters()]
    # No leaves, nor the module's own values; the gradient of each is that of its leaf.
    weights = [leaf + 0.1 * torch.rand_like(leaf) for leaf in leaves]
    named = dict(zip(dict(module.named_parameters()), weights, strict=True))
    buffers = {name: buffer.clone() for name, buffer in module.named_buffers()}

    called = outcome(case, partial(Learner(module).functional, weights, training), leaves)
    swapped = outcome(case, partial(swap_and_call, module, {**named, **copies(buffers)}), leaves)
    loaded = outcome(case, load(module, weights), [*module.parameters()])
    module.load_state_dict(buffers, strict=False)
    cleared = DependentModule(module).clear_params()
    cleared.substitute(named)
    substituted = outcome(case, cleared, leaves)

    for found, expected in product((called, substituted), (swapped, loaded)):
        assert_same(found.output, expected.output, ROUNDINGS)
        assert_same(found.gradients, expected.gradients, ROUNDINGS)
        assert found.warnings == expected.warnings


def swap_and_call(module: nn.Module, tensors: dict[str, Tensor], *args: Any, **kwargs: Any) -> Any:
    """`functional_call`, with the arguments of the module as one's own."""
    return functional_call(module, tensors, args, kwargs)


def copies(tensors: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tensors.items()}


@pytest.fixture(autouse=True)
def _every_warning_is_given_each_time() -> Iterator[None]:
    """Those that torch gives once in a process, too."""
    before = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    yield
    torch.set_warn_always(before)


@pytest.mark.parametrize("name", entries())
def test_an_entry_of_torchs_database(name: str, subtests: pytest.Subtests) -> None:
    for turn, (dtype, training) in enumerate(KINDS):
        found = [*cases(entries()[name], dtype, training)]
        chosen = range(turn, len(found), len(KINDS)) if len(found) > MANY else range(len(found))
        assert chosen, f"torch has no input for {name} any more: say so here"
        for number in chosen:
            text = f"{found[number].module}, {dtype}, training={training}, input {number}"
            try:
                check(found[number], training)
            except (Exception, pytest.fail.Exception):
                with subtests.test(text):
                    raise
