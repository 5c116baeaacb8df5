"""torch/nn/modules/loss.py"""

from collections.abc import Iterator

from torch import Tensor, nn

from samples.draw import (
    built,
    constant,
    integers,
    log_probabilities,
    normal,
    probabilities,
    signs,
    uniform,
)
from samples.sample import Given, HeldConstant, Missing, Sample, of, on

_REDUCTIONS = (of(), of(reduction="sum"), of(reduction="none"))
_TWO_TENSORS = on(normal(3, 4), normal(3, 4))
_CLASSES = on(normal(3, 4), constant([1, 3, 0]))
_LOG_CLASSES = on(log_probabilities(3, 4, dim=1), constant([1, 3, 0]))
_PIXELS = on(log_probabilities(2, 4, 2, 2, dim=1), integers(2, 2, 2, below=4))
_LABELS = on(normal(3, 4), constant([[3, 0, -1, 1], [1, -1, 0, 2], [0, 1, 2, 3]]))
_PROBABILITIES = on(uniform(3, 4), uniform(3, 4, grad=False))
_LOGITS = on(normal(3, 4), uniform(3, 4, grad=False))
_CLASS_WEIGHTS = uniform(4, grad=False)
_RANKED = on(normal(4), normal(4), signs(4))
_TRIPLET = on(normal(3, 4), normal(3, 4), normal(3, 4))
_PAIR_AND_SIGN = on(normal(4, 3), normal(4, 3), signs(4))
_DEPRECATED = ("`NLLLoss2d` has been deprecated",)
_LEGACY = ("size_average and reduce args will be deprecated",)
_DIVIDED_BY_ALL = ("reduction: 'mean' divides the total loss by both the batch size",)


def _no_kernel(name: str) -> Missing:
    return Missing(
        f"torch has no derivative of the kernel {name}",
        error=f"derivative for aten::{name} is not implemented",
    )


def _each_reduction(
    layer: type[nn.Module], inputs: Given, *options: Given, second_order: Missing | None = None
) -> Iterator[Sample]:
    """One sample for each reduction, and one for each of the other options."""
    for arguments in (*_REDUCTIONS, *options):
        yield Sample(layer, arguments, inputs, second_order=second_order)


def _regression() -> Iterator[Sample]:
    # The approximation that `full` adds is for targets above 1.
    counts = on(uniform(3, 4), uniform(3, 4, high=3.0, grad=False))
    yield from _each_reduction(nn.L1Loss, _TWO_TENSORS)
    yield Sample(nn.L1Loss, of(size_average=False), _TWO_TENSORS, warns=_LEGACY)
    yield Sample(nn.L1Loss, of(reduce=False), _TWO_TENSORS, warns=_LEGACY)
    yield from _each_reduction(nn.MSELoss, _TWO_TENSORS)
    yield from _each_reduction(nn.SmoothL1Loss, _TWO_TENSORS, of(beta=0.3), of(beta=0.0))
    yield from _each_reduction(nn.HuberLoss, _TWO_TENSORS, of(delta=0.3))
    yield from _each_reduction(
        nn.PoissonNLLLoss, counts, of(log_input=False, eps=0.1), of(full=True)
    )
    with_variance = on(*_TWO_TENSORS.args, uniform(3, 4))
    yield from _each_reduction(nn.GaussianNLLLoss, with_variance, of(full=True))
    limit = HeldConstant("the lower limit of the variance")
    yield Sample(nn.GaussianNLLLoss, of(eps=0.5), with_variance, held_constant=limit)
    divergence = on(log_probabilities(3, 4, dim=1), probabilities(3, 4, dim=1, grad=True))
    for reduction in ("sum", "none", "batchmean"):
        yield Sample(nn.KLDivLoss, of(reduction=reduction), divergence)
    yield Sample(nn.KLDivLoss, of(), divergence, warns=_DIVIDED_BY_ALL)
    logarithms = on(log_probabilities(3, 4, dim=1), log_probabilities(3, 4, dim=1))
    yield Sample(nn.KLDivLoss, of(reduction="batchmean", log_target=True), logarithms)


def _classification() -> Iterator[Sample]:
    options = (of(weight=_CLASS_WEIGHTS), of(ignore_index=1))
    yield from _each_reduction(nn.NLLLoss, _LOG_CLASSES, *options)
    yield Sample(nn.NLLLoss, of(), _PIXELS, note="pixels")
    yield Sample(nn.NLLLoss2d, of(), _PIXELS, warns=_DEPRECATED)
    for arguments in (of(weight=_CLASS_WEIGHTS), of(reduction="sum"), of(ignore_index=1)):
        yield Sample(nn.NLLLoss2d, arguments, _PIXELS, warns=_DEPRECATED)
    yield from _each_reduction(nn.CrossEntropyLoss, _CLASSES, *options, of(label_smoothing=0.2))
    yield Sample(
        nn.CrossEntropyLoss,
        of(weight=_CLASS_WEIGHTS),
        on(normal(3, 4), probabilities(3, 4, dim=1, grad=True)),
        note="probabilities",
    )
    yield from _each_reduction(nn.BCELoss, _PROBABILITIES, of(weight=_CLASS_WEIGHTS))
    yield from _each_reduction(
        nn.BCEWithLogitsLoss,
        _LOGITS,
        of(weight=_CLASS_WEIGHTS),
        of(pos_weight=uniform(4, grad=False)),
    )


def _margins() -> Iterator[Sample]:
    signed = on(normal(4), signs(4))
    yield from _each_reduction(nn.HingeEmbeddingLoss, signed, of(margin=0.5))
    yield from _each_reduction(nn.SoftMarginLoss, signed)
    yield from _each_reduction(
        nn.MultiLabelMarginLoss,
        _LABELS,
        second_order=_no_kernel("multilabel_margin_loss_backward"),
    )
    yield from _each_reduction(nn.MultiLabelSoftMarginLoss, _LOGITS, of(weight=_CLASS_WEIGHTS))
    yield from _each_reduction(
        nn.MultiMarginLoss,
        _CLASSES,
        of(p=2, margin=0.5),
        of(weight=_CLASS_WEIGHTS),
        second_order=_no_kernel("multi_margin_loss_backward"),
    )
    yield from _each_reduction(nn.MarginRankingLoss, _RANKED, of(margin=1.5))
    yield from _each_reduction(nn.CosineEmbeddingLoss, _PAIR_AND_SIGN, of(margin=-0.5))


def _manhattan(left: Tensor, right: Tensor) -> Tensor:
    return (left - right).abs().sum(-1)


def _triplets() -> Iterator[Sample]:
    yield from _each_reduction(
        nn.TripletMarginLoss, _TRIPLET, of(margin=2.0, p=3.0, eps=1e-4), of(margin=3.0, swap=True)
    )
    yield from _each_reduction(
        nn.TripletMarginWithDistanceLoss,
        _TRIPLET,
        of(margin=3.0, swap=True),
        of(distance_function=_manhattan, margin=3.0),
        of(distance_function=built(nn.PairwiseDistance), margin=3.0),
    )


def _of_logits(loss: nn.CTCLoss, logits: Tensor, *targets: Tensor) -> Tensor:
    return loss(logits.log_softmax(2), *targets)


def _sequences() -> Iterator[Sample]:
    targets = (constant([[1, 2, 1], [2, 2, 1]]), constant([6, 6]), constant([3, 2]))
    given = on(log_probabilities(6, 2, 4, dim=2), *targets)
    missing = _no_kernel("_ctc_loss_backward")
    held = HeldConstant("the sum of the probabilities of a step, which is 1")
    for arguments in (*_REDUCTIONS, of(blank=3)):
        yield Sample(nn.CTCLoss, arguments, given, second_order=missing, held_constant=held)
        yield Sample(
            nn.CTCLoss,
            arguments,
            on(normal(6, 2, 4), *targets),
            note="of logits",
            call=_of_logits,
            second_order=missing,
        )
    yield Sample(
        nn.CTCLoss,
        of(zero_infinity=True),
        on(normal(6, 2, 4), targets[0], constant([6, 2]), constant([3, 3])),
        note="a target that does not fit",
        call=_of_logits,
        second_order=missing,
    )


_CHUNKED = Missing(
    "torch computes the loss in chunks, with the gradient, which its backward uses up",
    error="linear_cross_entropy chunked backward called twice",
)


def _linear_cross_entropy() -> Iterator[Sample]:
    layer, inputs = nn.LinearCrossEntropyLoss, on(normal(3, 5), integers(3, below=4))
    for options in (*_REDUCTIONS, of(bias=True), of(weight=_CLASS_WEIGHTS), of(ignore_index=1)):
        yield Sample(layer, of(5, 4, **options.kwargs), inputs)
    yield Sample(layer, of(5, 4, label_smoothing=0.2), inputs)
    targets = on(normal(3, 5), integers(3, 2, below=4))
    yield Sample(layer, of(5, 4, out_features=(2,), bias=True), targets)
    yield Sample(layer, of(5, 4), on(normal(3, 5), probabilities(3, 4, dim=1)), note="soft")
    chunks = built(nn.LinearCrossEntropyOptions, batch_chunk_size=2, chunking_method=None)
    yield Sample(layer, of(5, 4, bias=True, options=chunks), inputs, second_order=_CHUNKED)


SAMPLES = (
    *_regression(),
    *_classification(),
    *_margins(),
    *_triplets(),
    *_sequences(),
    *_linear_cross_entropy(),
)
