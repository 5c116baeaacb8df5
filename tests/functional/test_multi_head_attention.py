"""T-63: `DependentMultiheadAttention` is `nn.MultiheadAttention`, whatever the options."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from transforming import (
    FORWARD_MODE_WARNS,
    as_function,
    assert_every_derivative,
    assert_vmap,
    moved,
    stacked,
)

from metann import Learner, functional
from metann.generated import DependentMultiheadAttention

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)
N, L, E, HEADS = 2, 3, 4, 2
_ALWAYS = torch.ones(L, L, dtype=torch.bool).triu(1)
_PADDED = torch.tensor([[False] * L, [False] * (L - 1) + [True]])

MASKS: dict[str, dict[str, Any]] = {
    "no mask": {},
    "padding": {"key_padding_mask": _PADDED},
    "mask": {"attn_mask": _ALWAYS},
    "real mask": {"attn_mask": torch.linspace(-1, 1, L * L, dtype=torch.float64).view(L, L)},
    "mask of each head": {
        "attn_mask": torch.linspace(-1, 1, N * HEADS * L * L, dtype=torch.float64).view(-1, L, L)
    },
    "mask and padding": {"attn_mask": _ALWAYS, "key_padding_mask": _PADDED},
    "causal": {"attn_mask": _ALWAYS, "is_causal": True},
    "causal and padding": {
        "attn_mask": _ALWAYS,
        "is_causal": True,
        "key_padding_mask": _PADDED,
    },
}
WEIGHTS: dict[str, dict[str, bool]] = {
    "no weights": {"need_weights": False},
    "mean weights": {"need_weights": True},
    "all weights": {"need_weights": True, "average_attn_weights": False},
}


@dataclass(frozen=True)
class Use:
    """One way to construct the layer, and one to call it."""

    constructed: dict[str, Any]
    mask: str
    weights: str

    def layer(self, kind: type[nn.MultiheadAttention] = nn.MultiheadAttention) -> Any:
        return kind(E, HEADS, **self.constructed)

    def inputs(self) -> list[Tensor]:
        widths = (E, self.constructed.get("kdim", E), self.constructed.get("vdim", E))
        batch = (N, L) if self.constructed.get("batch_first") else (L, N)
        return [torch.randn(*batch, width) for width in widths]

    def arguments(self) -> dict[str, Any]:
        return {**MASKS[self.mask], **WEIGHTS[self.weights]}

    def __str__(self) -> str:
        options = [f"{name}={value}" for name, value in self.constructed.items() if value]
        return ", ".join([*options, self.mask, self.weights])


def _constructed() -> list[dict[str, Any]]:
    """Every combination of the constructor's options."""
    flags = ("batch_first", "add_bias_kv", "add_zero_attn")
    return [
        {**dict(zip(flags, chosen, strict=True)), **other, "dropout": 0.3, "bias": bias}
        for chosen in product((False, True), repeat=len(flags))
        for other in ({}, {"kdim": 5, "vdim": 3})
        for bias in (True, False)
    ]


CONSTRUCTED = _constructed()
CALLED = [*product(MASKS, WEIGHTS)]
_MOST = {**CONSTRUCTED[-1], "dropout": 0.0}
# Each call of the plainest layer, nearly each of the one with most options, and each layer.
FEW = [
    *(Use({}, *called) for called in CALLED),
    *(Use(_MOST, *called) for called in product(MASKS, ("no weights", "all weights"))),
    *(
        Use({**options, "dropout": 0.0}, "mask and padding", "no weights")
        for options in CONSTRUCTED[1:-1]
        if options["bias"]
    ),
]
each_layer = pytest.mark.parametrize("options", CONSTRUCTED, ids=str)
few = pytest.mark.parametrize("use", FEW, ids=str)


def _measured(layer: nn.Module, use: Use, inputs: list[Tensor]) -> list[Tensor]:
    """The outputs, and the gradients of the parameters and the inputs."""
    given = [tensor.detach().requires_grad_() for tensor in inputs]
    torch.manual_seed(1)
    outputs = [output for output in layer(*given, **use.arguments()) if output is not None]
    value = torch.stack([(output + output.square()).sum() for output in outputs]).sum()
    return [*outputs, *torch.autograd.grad(value, [*layer.parameters(), *given])]


@pytest.mark.parametrize("training", [True, False])
@each_layer
def test_T63_constructed_directly_it_is_torchs(options: dict[str, Any], training: bool) -> None:
    for called in CALLED:
        use = Use(options, *called)
        torchs = moved(use.layer()).train(training)
        ours = use.layer(DependentMultiheadAttention).train(training).clear_params()
        ours.substitute(
            {name: p.detach().requires_grad_() for name, p in torchs.named_parameters()}
        )
        inputs = use.inputs()

        measured, expected = _measured(ours, use, inputs), _measured(torchs, use, inputs)

        torch.testing.assert_close(measured, expected, rtol=1e-12, atol=1e-12, msg=str(use))


@pytest.mark.parametrize("training", [True, False])
@each_layer
def test_T63_without_gradients_it_is_torchs(options: dict[str, Any], training: bool) -> None:
    for called in CALLED:
        use = Use(options, *called)
        torchs = moved(use.layer()).train(training)
        same = [use.inputs()[0]] * 3  # The one tensor with which torch takes its fastest kernel.
        inputs = same if "kdim" not in options else use.inputs()
        learner = Learner(torchs)

        with torch.no_grad():
            torch.manual_seed(1)
            expected = torchs(*inputs, **use.arguments())
            torch.manual_seed(1)
            outputs = learner.functional(
                list(torchs.parameters()), training, *inputs, **use.arguments()
            )

        torch.testing.assert_close(outputs, expected, rtol=1e-12, atol=1e-12, msg=str(use))


@few
def test_T63_each_derivative_is_that_of_finite_differences(use: Use) -> None:
    function, weights = as_function(use.layer(), False, **use.arguments())

    assert_every_derivative(_outputs_of(function), [*weights, *use.inputs()])


@few
def test_T63_under_vmap_it_is_torchs(use: Use) -> None:
    function, weights = as_function(use.layer(), False, **use.arguments())

    for index in range(1 if use.weights == "no weights" else 2):
        given = stacked([*weights, *use.inputs()])
        assert_vmap(lambda *tensors, i=index: function(*tensors)[i], given)


def _outputs_of(function: Any) -> Any:
    return lambda *tensors: tuple(output for output in function(*tensors) if output is not None)


# ── one sequence, one mask ───────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("need_weights", [False, True])
def test_a_sequence_without_a_batch(need_weights: bool) -> None:
    function, weights = as_function(
        nn.MultiheadAttention(E, HEADS), False, need_weights=need_weights
    )
    inputs = [torch.randn(L, E) for _ in range(3)]

    assert_every_derivative(_outputs_of(function), [*weights, *inputs])
    assert_vmap(lambda *tensors: function(*tensors)[0], stacked([*weights, *inputs]))


@pytest.mark.parametrize("need_weights", [False, True])
@pytest.mark.parametrize("training", [False, True])
def test_masks_may_be_batched(training: bool, need_weights: bool) -> None:
    layer = moved(nn.MultiheadAttention(E, HEADS, batch_first=True))
    weights, learner = list(layer.parameters()), Learner(layer)

    def call(x: Tensor, padding: Tensor, mask: Tensor) -> Tensor:
        masks = {"key_padding_mask": padding, "attn_mask": mask}
        return learner.functional(weights, training, x, x, x, need_weights=need_weights, **masks)[0]

    padding = torch.zeros(2, N, L).masked_fill(torch.stack([_PADDED, ~_PADDED]), -1e3)
    assert_vmap(call, [torch.randn(2, N, L, E), padding, torch.randn(2, L, L)])


# ── every way to have the layer ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize("training", [False, True])
def test_constructed_directly_it_is_batched(training: bool) -> None:
    layer = DependentMultiheadAttention(E, HEADS, batch_first=True).train(training)
    moved(layer)

    def call(x: Tensor) -> Tensor:
        return layer(x, x, x, need_weights=False)[0]

    with torch.no_grad():
        assert_vmap(call, [torch.randn(2, N, L, E)])


def test_bound_it_is_batched_over_sets_of_weights() -> None:
    module = nn.MultiheadAttention(E, HEADS)
    learner, x = Learner(module), torch.randn(L, N, E)

    def call(*weights: Tensor) -> Tensor:
        return learner.bind(list(weights), training=False)(x, x, x, need_weights=False)[0]

    assert_vmap(call, stacked(list(module.parameters())))


def test_other_modes_of_torch_do_not_get_in_between() -> None:
    function, weights = as_function(nn.MultiheadAttention(E, HEADS), False, need_weights=False)
    inputs = [torch.randn(L, N, E) for _ in range(3)]

    with torch.device("cpu"):  # A mode of torch.overrides, too.
        assert_vmap(lambda *tensors: function(*tensors)[0], stacked([*weights, *inputs]))


class Doubled(nn.MultiheadAttention):
    """Somebody's subclass, for which a counterpart is written on demand."""

    def forward(self, query: Tensor, *args: Any, **kwargs: Any) -> Any:
        return super().forward(2 * query, *args, **kwargs)


def test_a_subclass_has_every_derivative_and_is_batched() -> None:
    function, weights = as_function(Doubled(E, HEADS), False, need_weights=False)
    inputs = [torch.randn(L, N, E) for _ in range(3)]

    assert_every_derivative(_outputs_of(function), [*weights, *inputs])
    assert_vmap(lambda *tensors: function(*tensors)[0], stacked([*weights, *inputs]))


def test_the_form_outside_of_transforms_is_torchs() -> None:
    x, weight, bias = torch.randn(L, N, E), torch.randn(3 * E, E), torch.randn(3 * E)
    arguments = (x, x, x, E, HEADS, weight, bias, None, None, False, 0.0, torch.eye(E), None)

    ours = functional.multi_head_attention_forward(*arguments, need_weights=True)

    theirs = nn.functional.multi_head_attention_forward(*arguments, need_weights=True)
    torch.testing.assert_close(ours, theirs, rtol=0, atol=0)
