"""torch/nn/modules/normalization.py"""

from torch import nn

from samples.draw import normal
from samples.sample import Missing, Sample, of, on

_BY_HAND = Missing(
    "torch writes the gradient by hand with out= arguments",
    error="functions with out=... arguments don't support automatic differentiation",
)
_ANOTHER_WINDOW = "torch sums other channels in its gradient than in its output"
_IMAGE = on(normal(2, 4, 3, 2))

SAMPLES = (
    Sample(
        nn.CrossMapLRN2d,
        of(3),
        _IMAGE,
        second_order=_BY_HAND,
        wrong_gradient=_ANOTHER_WINDOW,
    ),
    Sample(
        nn.CrossMapLRN2d,
        of(2, alpha=0.5, beta=0.5, k=2),
        _IMAGE,
        second_order=_BY_HAND,
        wrong_gradient=_ANOTHER_WINDOW,
    ),
    Sample(nn.GroupNorm, of(2, 4), _IMAGE),
    Sample(nn.GroupNorm, of(2, 4, affine=False), _IMAGE),
    Sample(nn.GroupNorm, of(2, 4, bias=False), _IMAGE),
    Sample(nn.GroupNorm, of(1, 4, eps=1e-3), _IMAGE),
    Sample(nn.LayerNorm, of(3), on(normal(2, 3))),
    Sample(nn.LayerNorm, of([3, 2], eps=1e-3), _IMAGE),
    Sample(nn.LayerNorm, of(3, elementwise_affine=False), on(normal(2, 3))),
    Sample(nn.LayerNorm, of(3, bias=False), on(normal(2, 3))),
    Sample(nn.LocalResponseNorm, of(2), _IMAGE),
    Sample(nn.LocalResponseNorm, of(3, alpha=0.5, beta=0.5, k=2.0), _IMAGE),
    Sample(nn.RMSNorm, of(3), on(normal(2, 3))),
    Sample(nn.RMSNorm, of((3, 2), eps=1e-3), _IMAGE),
    Sample(nn.RMSNorm, of(3, elementwise_affine=False), on(normal(2, 3))),
)
