"""torch/nn/modules/transformer.py"""

from collections.abc import Iterator

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from samples.attention import FUSED, FUSED_IN_EVAL
from samples.draw import built, constant, normal
from samples.sample import Given, Missing, Sample, of, on

_SIZES = (4, 2, 3)  # d_model, nhead, dim_feedforward
_ONE_LAYER_EACH = (4, 2, 1, 1, 3)
_SOURCE, _MEMORY = normal(3, 2, 4), normal(2, 2, 4)
_CAUSAL = constant([[False, True, True], [False, False, True], [False, False, False]])
_PADDING = constant([[False, False, False], [False, False, True]])
_NOT_NESTED = ("enable_nested_tensor is True, but self.use_nested_tensor is False",)
_NESTED = ("The PyTorch API of nested tensors is in prototype stage",)
_OPTIONS: tuple[Given, ...] = (
    of(),
    of(dropout=0.0),
    of(dropout=0.0, bias=False),
    of(dropout=0.0, norm_first=True),
    of(dropout=0.0, activation="gelu"),
    of(dropout=0.0, activation=F.silu, layer_norm_eps=1e-3),
)


def _missing(options: Given) -> Missing:
    """Dropout is 0.1 where not given."""
    return FUSED if options.kwargs.get("dropout") == 0.0 else FUSED_IN_EVAL


def _encoder_layers() -> Iterator[Sample]:
    layer, kind = nn.TransformerEncoderLayer, of(*_SIZES, dropout=0.0)
    for options in _OPTIONS:
        arguments = of(*_SIZES, **options.kwargs)
        yield Sample(layer, arguments, on(_SOURCE), second_order=_missing(options))
    for inputs, note in (
        (on(_SOURCE, src_mask=_CAUSAL, is_causal=True), "is_causal"),
        (on(_SOURCE, src_key_padding_mask=_PADDING), "src_key_padding_mask"),
        (on(normal(3, 4)), "one sequence"),
    ):
        yield Sample(layer, kind, inputs, note=note, second_order=FUSED)
    batch_first = of(*_SIZES, dropout=0.0, batch_first=True)
    yield Sample(layer, batch_first, on(normal(2, 3, 4)), second_order=FUSED)


def _decoder_layers() -> Iterator[Sample]:
    layer, kind = nn.TransformerDecoderLayer, of(*_SIZES, dropout=0.0)
    for options in _OPTIONS:
        arguments = of(*_SIZES, **options.kwargs)
        yield Sample(layer, arguments, on(_SOURCE, _MEMORY), second_order=_missing(options))
    masks = {"tgt_key_padding_mask": _PADDING, "memory_key_padding_mask": _PADDING}
    for inputs, note in (
        (on(_SOURCE, _MEMORY, tgt_mask=_CAUSAL, tgt_is_causal=True), "tgt_is_causal"),
        (on(_SOURCE, _SOURCE, **masks), "key_padding_masks"),
    ):
        yield Sample(layer, kind, inputs, note=note, second_order=FUSED)
    batch_first = of(*_SIZES, dropout=0.0, batch_first=True)
    pair = on(normal(2, 3, 4), normal(2, 2, 4))
    yield Sample(layer, batch_first, pair, second_order=FUSED)


def _encoders() -> Iterator[Sample]:
    layer = built(nn.TransformerEncoderLayer, *_SIZES, dropout=0.0, batch_first=True)
    random = built(nn.TransformerEncoderLayer, *_SIZES, batch_first=True)
    by_steps = built(nn.TransformerEncoderLayer, *_SIZES, dropout=0.0)
    source = normal(2, 3, 4)
    padded = on(source, src_key_padding_mask=_PADDING)
    for arguments, inputs in (
        (of(layer, 2), on(source)),
        (of(layer, 1, norm=built(nn.LayerNorm, 4)), on(source)),
        (of(by_steps, 1, enable_nested_tensor=False), on(_SOURCE, mask=_CAUSAL, is_causal=True)),
        (of(layer, 1, enable_nested_tensor=False), padded),
        (of(layer, 1), padded),
        (of(layer, 1, mask_check=False), padded),
    ):
        yield Sample(nn.TransformerEncoder, arguments, inputs, second_order=FUSED, warns=_NESTED)
    yield Sample(nn.TransformerEncoder, of(random, 1), on(source), second_order=FUSED_IN_EVAL)


def _decoders() -> Iterator[Sample]:
    layer, pair = built(nn.TransformerDecoderLayer, *_SIZES, dropout=0.0), on(_SOURCE, _MEMORY)
    for arguments in (of(layer, 2), of(layer, 1, norm=built(nn.LayerNorm, 4))):
        yield Sample(nn.TransformerDecoder, arguments, pair, second_order=FUSED)
    masked = on(_SOURCE, _MEMORY, tgt_mask=_CAUSAL)
    yield Sample(nn.TransformerDecoder, of(layer, 1), masked, note="tgt_mask", second_order=FUSED)


def _transformer(arguments: Given, inputs: Given, note: str = "") -> Sample:
    missing = _missing(arguments)
    return Sample(
        nn.Transformer, arguments, inputs, note=note, second_order=missing, warns=_NOT_NESTED
    )


class Scaled(nn.Module):
    """Somebody's encoder or decoder, with the calls that nn.Transformer makes."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))

    def forward(self, first: Tensor, memory: Tensor | None = None, **_: object) -> Tensor:
        return first * self.scale + (0 if memory is None else memory.mean())


def _transformers() -> Iterator[Sample]:
    both = on(_MEMORY, _SOURCE)
    for options in _OPTIONS:
        yield _transformer(of(*_ONE_LAYER_EACH, **options.kwargs), both)
    kind = of(*_ONE_LAYER_EACH, dropout=0.0)
    yield _transformer(kind, on(*both.args, tgt_mask=_CAUSAL), note="tgt_mask")
    batch_first = of(*_ONE_LAYER_EACH, dropout=0.0, batch_first=True)
    yield _transformer(batch_first, on(normal(2, 3, 4), normal(2, 2, 4)))
    for half in ("custom_encoder", "custom_decoder"):
        custom = of(*_ONE_LAYER_EACH, dropout=0.0, **{half: built(Scaled)})
        yield _transformer(custom, both)


SAMPLES = (
    *_encoder_layers(),
    *_decoder_layers(),
    *_encoders(),
    *_decoders(),
    *_transformers(),
)
