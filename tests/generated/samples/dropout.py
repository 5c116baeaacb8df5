"""torch/nn/modules/dropout.py"""

from torch import nn

from samples.draw import normal
from samples.sample import Sample, of, on

_SHAPES = {
    nn.Dropout: (3, 4),
    nn.Dropout1d: (3, 4, 5),
    nn.Dropout2d: (3, 4, 2, 2),
    nn.Dropout3d: (3, 4, 2, 2, 2),
    nn.AlphaDropout: (3, 4),
    nn.FeatureAlphaDropout: (3, 4, 2),
}

SAMPLES = tuple(
    Sample(layer, arguments, on(normal(*shape)))
    for layer, shape in _SHAPES.items()
    for arguments in (of(), of(p=0.3), of(inplace=True))
)
