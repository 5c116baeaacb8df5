"""torch/nn/modules/sparse.py"""

from torch import nn

from samples.draw import constant, normal
from samples.sample import Given, HeldConstant, Missing, Sample, of, on

# Every row of a table of five is looked up, one of them twice.
_ROWS = on(constant([[0, 1, 2], [4, 3, 1]]))
_FLAT = constant([0, 1, 2, 4, 3, 1])
_BAGS = on(_FLAT, constant([0, 2]))
_WEIGHTED = on(constant([[0, 1, 2], [4, 3, 1]]), per_sample_weights=normal(2, 3))
_NO_KERNEL = Missing(
    "torch has no derivative of the kernels of embedding_bag's gradient",
    error="derivative for .*_embedding_bag.*_backward.* is not implemented",
)
_RENORM = HeldConstant("the shortening of rows, in place, to at most max_norm")
_PADDING = HeldConstant("the row of padding_idx", at_second_order=False)
_SCALED = HeldConstant("that the gradient of a row is divided by its count", at_second_order=False)

_EMBEDDINGS = (
    Sample(nn.Embedding, of(5, 3), _ROWS),
    Sample(nn.Embedding, of(5, 3, padding_idx=1), _ROWS, held_constant=_PADDING),
    Sample(nn.Embedding, of(5, 3, padding_idx=-1), _ROWS, held_constant=_PADDING),
    Sample(nn.Embedding, of(5, 3, scale_grad_by_freq=True), _ROWS, held_constant=_SCALED),
    Sample(nn.Embedding, of(5, 3, sparse=True), _ROWS),
    Sample(nn.Embedding, of(5, 3, max_norm=1.0, norm_type=1.0), _ROWS, held_constant=_RENORM),
    Sample(nn.Embedding, of(5, 3, _weight=normal(5, 3, grad=False)), _ROWS),
)

_BAGS_OF_EMBEDDINGS: tuple[tuple[Given, Given, str], ...] = (
    (of(5, 3), _ROWS, ""),
    (of(5, 3), _BAGS, "offsets"),
    (of(5, 3, mode="sum"), _BAGS, "offsets"),
    (of(5, 3, mode="max"), _BAGS, "offsets"),
    (of(5, 3, mode="sum"), _WEIGHTED, "per_sample_weights"),
    (of(5, 3, padding_idx=1), _ROWS, ""),
    (of(5, 3, mode="sum", padding_idx=1), _WEIGHTED, "per_sample_weights"),
    (of(5, 3, include_last_offset=True), on(_FLAT, constant([0, 2, 6])), "offsets"),
    (of(5, 3, max_norm=1.0), _BAGS, "offsets"),
    (of(5, 3, max_norm=1.0, norm_type=1.0), _BAGS, "offsets"),
    (of(5, 3, _weight=normal(5, 3, grad=False)), _BAGS, "offsets"),
    (of(5, 3, mode="sum", sparse=True), _BAGS, "offsets"),
    (of(5, 3, scale_grad_by_freq=True), _BAGS, "offsets"),
)


def _held_by(arguments: Given) -> HeldConstant | None:
    if "max_norm" in arguments.kwargs:
        return _RENORM
    # The gradient of the gradient is divided again, by the counts of other rows in the bag.
    return HeldConstant(_SCALED.what) if "scale_grad_by_freq" in arguments.kwargs else None


SAMPLES = (
    *_EMBEDDINGS,
    *(
        Sample(
            nn.EmbeddingBag,
            arguments,
            inputs,
            note=note,
            second_order=_NO_KERNEL,
            held_constant=_held_by(arguments),
        )
        for arguments, inputs, note in _BAGS_OF_EMBEDDINGS
    ),
)
