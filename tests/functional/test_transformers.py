"""T-57: the layers of a Transformer have a second order, and stand every transform."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck, gradgradcheck
from transforming import (
    FORWARD_MODE_WARNS,
    as_function,
    as_one_vector,
    assert_every_derivative,
    assert_second_order,
    assert_vmap,
    moved,
    stacked,
)

from metann import Learner

pytestmark = [
    pytest.mark.filterwarnings(FORWARD_MODE_WARNS),
    pytest.mark.filterwarnings("ignore:enable_nested_tensor is True, but"),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype"),
]
SIZES = (4, 2, 3)  # d_model, nhead, dim_feedforward
_CAUSAL = torch.ones(3, 3, dtype=torch.bool).triu(1)
_PADDING = torch.tensor([[False, False, False], [False, False, True]])


@dataclass(frozen=True)
class Case:
    """A module, the shapes of its inputs, and the other arguments of its forward."""

    name: str
    made: Callable[[], nn.Module]
    inputs: tuple[tuple[int, ...], ...]
    arguments: dict[str, Any] = field(default_factory=dict)

    def tensors(self) -> list[Tensor]:
        return [torch.randn(shape) for shape in self.inputs]

    def function(self, training: bool) -> tuple[Callable[..., Any], list[Tensor]]:
        """Of weights and inputs; and the weights."""
        function, weights = as_function(self.made(), training, **self.arguments)
        padding = self.arguments.get("src_key_padding_mask")
        if padding is None:
            return function, weights
        # What comes out where nothing went in: zeros from torch's nested tensors, else numbers.
        return lambda *given: function(*given).masked_fill(padding.unsqueeze(-1), 0.0), weights

    def __str__(self) -> str:
        return self.name


def _layer(**options: Any) -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(*SIZES, **{"dropout": 0.0, "batch_first": True, **options})


def _decoder_layer(**options: Any) -> nn.TransformerDecoderLayer:
    return nn.TransformerDecoderLayer(*SIZES, **{"dropout": 0.0, **options})


def _transformer(**options: Any) -> nn.Transformer:
    return nn.Transformer(4, 2, 1, 1, 3, **{"dropout": 0.0, **options})


_ONE, _TWO = ((2, 3, 4),), ((2, 3, 4), (2, 3, 4))
# torch's relu has a kink at 0, where finite differences and derivatives part: gelu has none.
_SMOOTH = {"activation": "gelu"}
CASES = (
    Case("layer", _layer, _ONE),
    Case("layer, smooth", lambda: _layer(**_SMOOTH), _ONE),
    Case("layer, norm first", lambda: _layer(norm_first=True), _ONE),
    Case("layer, no bias", lambda: _layer(bias=False), _ONE),
    Case("layer, time first", lambda: _layer(batch_first=False), _ONE),
    Case("layer, one sequence", _layer, ((3, 4),)),
    Case("layer, causal", _layer, _ONE, {"src_mask": _CAUSAL, "is_causal": True}),
    Case("layer, padding", _layer, _ONE, {"src_key_padding_mask": _PADDING}),
    Case("encoder", lambda: nn.TransformerEncoder(_layer(), 2), _ONE),
    Case(
        "encoder, causal mask to be found out",
        lambda: nn.TransformerEncoder(_layer(), 1),
        _ONE,
        {"mask": _CAUSAL},
    ),
    Case(
        "encoder, padding, nested",
        lambda: nn.TransformerEncoder(_layer(), 1, norm=nn.LayerNorm(4)),
        _ONE,
        {"src_key_padding_mask": _PADDING},
    ),
    Case(
        "encoder, padding, nested, not checked",
        lambda: nn.TransformerEncoder(_layer(), 1, mask_check=False),
        _ONE,
        {"src_key_padding_mask": _PADDING},
    ),
    Case("decoder layer", _decoder_layer, _TWO),
    Case(
        "decoder layer, masks",
        _decoder_layer,
        _TWO,
        {"tgt_mask": _CAUSAL[:2, :2], "tgt_is_causal": True, "memory_mask": _CAUSAL[:2, :2]},
    ),
    Case("decoder", lambda: nn.TransformerDecoder(_decoder_layer(), 2), _TWO),
    Case("transformer", _transformer, _TWO),
    Case("transformer, batch first", lambda: _transformer(batch_first=True), _TWO),
    Case("transformer, causal", _transformer, _TWO, {"tgt_mask": _CAUSAL[:2, :2]}),
)
each_case = pytest.mark.parametrize("case", CASES, ids=str)
each_mode = pytest.mark.parametrize("training", [True, False])


@each_mode
@each_case
def test_T57_both_orders_are_those_of_finite_differences(case: Case, training: bool) -> None:
    function, weights = case.function(training)

    assert_second_order(function, [*weights, *case.tensors()])


@each_case
def test_T57_in_eval_mode_each_derivative_is_that_of_finite_differences(case: Case) -> None:
    function, weights = case.function(False)

    assert_every_derivative(function, [*weights, *case.tensors()])


@each_mode
@each_case
def test_a_set_of_weights_for_each_task(case: Case, training: bool) -> None:
    function, weights = case.function(training)

    assert_vmap(function, stacked([*weights, *case.tensors()]))


@each_mode
@each_case
def test_one_set_of_weights_for_all_tasks(case: Case, training: bool) -> None:
    function, weights = case.function(training)

    assert_vmap(lambda *inputs: function(*weights, *inputs), stacked(case.tensors()))


def test_padding_may_be_batched() -> None:
    module = moved(nn.TransformerEncoder(_layer(), 1))
    weights, learner = list(module.parameters()), Learner(module)

    def call(x: Tensor, padding: Tensor) -> Tensor:
        return learner.functional(weights, False, x, src_key_padding_mask=padding)

    assert_vmap(call, [torch.randn(2, 2, 3, 4), torch.stack([_PADDING, _PADDING.flip(0)])])


@pytest.mark.parametrize("made", [_layer, _decoder_layer, _transformer])
def test_T57_with_dropout_it_has_a_second_order(made: Callable[..., nn.Module]) -> None:
    function, weights = as_function(made(dropout=0.4, **_SMOOTH), True)
    inputs = [torch.randn(2, 3, 4) for _ in range(1 if made is _layer else 2)]

    def seeded(*tensors: Tensor) -> Any:
        torch.manual_seed(5)
        return function(*tensors)

    of_vector, vector = as_one_vector(seeded, [*weights, *inputs])
    assert gradcheck(of_vector, vector, fast_mode=True, check_forward_ad=True)
    assert gradgradcheck(of_vector, vector, fast_mode=True, check_fwd_over_rev=True)


def test_T57_two_steps_of_maml_through_a_transformer() -> None:
    """The gradient of the loss after two inner steps, by the weights before them."""
    function, weights = as_function(_layer(**_SMOOTH), True)
    x, y = torch.randn(2, 2, 3, 4)

    def after_two_steps(*start: Tensor) -> Tensor:
        fast = list(start)
        for _ in range(2):
            loss = (function(*fast, x) - y).square().mean()
            gradients = torch.autograd.grad(loss, fast, create_graph=True)
            fast = [w - 0.1 * g for w, g in zip(fast, gradients, strict=True)]
        return (function(*fast, x) - y).square().mean()

    of_vector, vector = as_one_vector(after_two_steps, weights)
    assert gradcheck(of_vector, vector, fast_mode=True)


@pytest.mark.parametrize("training", [True, False])
def test_under_autocast_tasks_give_what_they_give_alone(training: bool) -> None:
    function, weights = as_function(_layer().float(), training)
    tasks = [tensor.float() for tensor in stacked([*weights, torch.randn(2, 3, 4)])]
    # Without gradients torch takes its fast path alone: autocast does not keep it from that on CPU.
    tasks[0].requires_grad_()

    with torch.autocast("cpu", torch.bfloat16):
        together = torch.vmap(function)(*tasks)
        alone = [function(*task) for task in zip(*tasks, strict=True)]

    bound = 4 * torch.finfo(torch.bfloat16).eps
    torch.testing.assert_close(together, torch.stack(alone), rtol=bound, atol=bound)
