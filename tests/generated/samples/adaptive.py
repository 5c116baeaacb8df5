"""torch/nn/modules/adaptive.py"""

from torch import nn

from samples.draw import constant, normal
from samples.sample import Sample, of, on

# A target in the head and one in each of the two tails.
_BATCH = on(normal(4, 6), constant([0, 3, 6, 1]))
# Two in each of these.
_TWICE = on(normal(6, 6), constant([0, 3, 6, 1, 4, 7]))

SAMPLES = (
    Sample(nn.AdaptiveLogSoftmaxWithLoss, of(6, 8, [2, 5], div_value=1.5), _BATCH),
    Sample(nn.AdaptiveLogSoftmaxWithLoss, of(6, 8, [2, 5], 1.5), _TWICE, note="two in each"),
    Sample(nn.AdaptiveLogSoftmaxWithLoss, of(6, 8, [2, 5], 1.5, head_bias=True), _BATCH),
    Sample(
        nn.AdaptiveLogSoftmaxWithLoss,
        of(6, 8, [3], div_value=2.0),
        on(normal(6), constant(5)),
        note="one example",
    ),
)
