"""torch/nn/modules/upsampling.py"""

from torch import nn

from samples.draw import normal
from samples.sample import Sample, of, on

_LINE, _IMAGE, _VOLUME = normal(2, 2, 3), normal(2, 2, 3, 3), normal(1, 2, 2, 3, 2)

SAMPLES = (
    Sample(nn.Upsample, of(scale_factor=2), on(_LINE)),
    Sample(nn.Upsample, of(size=5), on(_IMAGE)),
    Sample(nn.Upsample, of((4, 5)), on(_IMAGE)),
    Sample(nn.Upsample, of(scale_factor=(2.0, 1.5)), on(_IMAGE)),
    Sample(nn.Upsample, of(scale_factor=2.0, mode="nearest-exact"), on(_IMAGE)),
    Sample(nn.Upsample, of(scale_factor=2.0, mode="linear"), on(_LINE)),
    Sample(nn.Upsample, of(scale_factor=2.0, mode="linear", align_corners=True), on(_LINE)),
    Sample(nn.Upsample, of(scale_factor=2.0, mode="bilinear"), on(_IMAGE)),
    Sample(nn.Upsample, of(scale_factor=2.0, mode="bilinear", align_corners=True), on(_IMAGE)),
    Sample(nn.Upsample, of(scale_factor=2.0, mode="bicubic"), on(_IMAGE)),
    Sample(nn.Upsample, of(size=(3, 4, 3), mode="trilinear"), on(_VOLUME)),
    Sample(
        nn.Upsample,
        of(scale_factor=1.7, mode="bilinear", recompute_scale_factor=True),
        on(_IMAGE),
    ),
    Sample(nn.UpsamplingBilinear2d, of(scale_factor=2), on(_IMAGE)),
    Sample(nn.UpsamplingBilinear2d, of(size=(4, 5)), on(_IMAGE)),
    Sample(nn.UpsamplingNearest2d, of(scale_factor=2), on(_IMAGE)),
    Sample(nn.UpsamplingNearest2d, of(size=5), on(_IMAGE)),
)
