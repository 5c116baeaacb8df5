"""torch/nn/modules/linear.py"""

from torch import nn
from torch.nn.modules.linear import NonDynamicallyQuantizableLinear

from samples.draw import normal
from samples.sample import Sample, of, on

SAMPLES = (
    Sample(nn.Identity, of(), on(normal(2, 3))),
    Sample(nn.Identity, of(54, unused_argument1=0.1), on(normal(2, 3))),
    Sample(nn.Linear, of(3, 4), on(normal(2, 3))),
    Sample(nn.Linear, of(3, 4, bias=False), on(normal(2, 3))),
    Sample(nn.Linear, of(3, 4), on(normal(3)), note="one vector"),
    Sample(nn.Linear, of(in_features=3, out_features=2), on(input=normal(2, 2, 3))),
    Sample(NonDynamicallyQuantizableLinear, of(3, 4), on(normal(2, 3))),
    Sample(NonDynamicallyQuantizableLinear, of(3, 4, bias=False), on(normal(2, 3))),
    Sample(nn.Bilinear, of(2, 3, 4), on(normal(5, 2), normal(5, 3))),
    Sample(nn.Bilinear, of(2, 3, 4, bias=False), on(normal(5, 2), normal(5, 3))),
    Sample(nn.LazyLinear, of(4), on(normal(2, 3))),
    Sample(nn.LazyLinear, of(4, bias=False), on(normal(2, 3))),
)
