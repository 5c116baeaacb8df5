"""nn.MultiheadAttention of torch/nn/modules/activation.py"""

from collections.abc import Iterator
from typing import Any

from torch import nn

from samples.draw import constant, normal
from samples.sample import Given, Missing, Sample, of, on

FUSED = Missing(
    "attention takes a fused kernel, and torch has no derivative of that kernel's gradient",
    error="_scaled_dot_product_flash_attention_for_cpu_backward is not implemented",
)
# With dropout there is no fused kernel on the CPU.
FUSED_IN_EVAL = Missing(FUSED.reason, FUSED.error, modes=(False,))

_QUERY, _KEY, _VALUE = normal(3, 2, 4), normal(5, 2, 4), normal(5, 2, 4)
_SELF = (_QUERY, normal(3, 2, 4), normal(3, 2, 4))
_OTHER_SIZES = (_QUERY, normal(5, 2, 3), normal(5, 2, 5))
_PADDING = constant([[False] * 5, [False] * 3 + [True] * 2])
_CAUSAL = constant([[False, True, True], [False, False, True], [False, False, False]])

# Constructor arguments and inputs, each taken with and without `need_weights`.
_USES: tuple[tuple[Given, Given, str], ...] = (
    (of(4, 2), on(_QUERY, _KEY, _VALUE), ""),
    (of(4, 2, bias=False), on(_QUERY, _KEY, _VALUE), ""),
    (of(4, 2, add_bias_kv=True), on(_QUERY, _KEY, _VALUE), ""),
    (of(4, 2, add_zero_attn=True), on(_QUERY, _KEY, _VALUE), ""),
    (of(4, 2, dropout=0.3), on(_QUERY, _KEY, _VALUE), ""),
    (of(4, 2, kdim=3, vdim=5), on(*_OTHER_SIZES), ""),
    (of(4, 2, kdim=3, vdim=5, bias=False, add_bias_kv=True), on(*_OTHER_SIZES), ""),
    (of(4, 2, batch_first=True), on(normal(2, 3, 4), normal(2, 5, 4), normal(2, 5, 4)), ""),
    (of(4, 2), on(normal(3, 4), normal(5, 4), normal(5, 4)), "one sequence"),
    (of(4, 2), on(_QUERY, _KEY, _VALUE, key_padding_mask=_PADDING), "key_padding_mask"),
    (of(4, 2), on(*_SELF, attn_mask=_CAUSAL), "attn_mask"),
    (of(4, 2), on(*_SELF, attn_mask=_CAUSAL, is_causal=True), "is_causal"),
)


def _without_weights(arguments: Given, inputs: Given, note: str) -> Sample:
    dropout: Any = arguments.kwargs.get("dropout")
    return Sample(
        nn.MultiheadAttention,
        arguments,
        on(*inputs.args, **inputs.kwargs, need_weights=False),
        note=f"{note}, need_weights=False".removeprefix(", "),
        second_order=FUSED_IN_EVAL if dropout else FUSED,
    )


def _samples() -> Iterator[Sample]:
    for arguments, inputs, note in _USES:
        yield Sample(nn.MultiheadAttention, arguments, inputs, note=note)
        yield _without_weights(arguments, inputs, note)
    of_heads = on(_QUERY, _KEY, _VALUE, average_attn_weights=False)
    yield Sample(nn.MultiheadAttention, of(4, 2), of_heads, note="weights of each head")
    real_mask = on(_QUERY, _KEY, _VALUE, attn_mask=normal(3, 5))
    yield Sample(nn.MultiheadAttention, of(4, 2), real_mask, note="real attn_mask")


SAMPLES = tuple(_samples())
