"""torch/nn/modules/channelshuffle.py, flatten.py, fold.py and pixelshuffle.py"""

from torch import nn

from samples.draw import normal
from samples.sample import Sample, of, on

SAMPLES = (
    Sample(nn.ChannelShuffle, of(2), on(normal(2, 4, 2, 2))),
    Sample(nn.ChannelShuffle, of(3), on(normal(2, 6, 2, 2))),
    Sample(nn.Flatten, of(), on(normal(2, 3, 2))),
    Sample(nn.Flatten, of(start_dim=0, end_dim=1), on(normal(2, 3, 2))),
    Sample(nn.Unflatten, of(1, (2, 3)), on(normal(2, 6))),
    Sample(nn.Unflatten, of(-1, (3, -1)), on(normal(2, 4, 6))),
    Sample(nn.Fold, of((3, 4), (2, 3)), on(normal(2, 12, 4))),
    Sample(nn.Fold, of((5, 5), 2, dilation=2, padding=1, stride=2), on(normal(2, 8, 9))),
    Sample(nn.Unfold, of((2, 3)), on(normal(2, 2, 3, 4))),
    Sample(nn.Unfold, of(2, dilation=2, padding=1, stride=2), on(normal(2, 2, 5, 5))),
    Sample(nn.PixelShuffle, of(2), on(normal(2, 4, 2, 3))),
    Sample(nn.PixelShuffle, of(3), on(normal(2, 9, 1, 2))),
    Sample(nn.PixelUnshuffle, of(2), on(normal(2, 1, 4, 6))),
    Sample(nn.PixelUnshuffle, of(3), on(normal(2, 1, 3, 6))),
)
