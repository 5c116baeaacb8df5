"""torch/nn/modules/distance.py"""

from torch import nn

from samples.draw import normal
from samples.sample import HeldConstant, Sample, of, on

_PAIR = on(normal(2, 3), normal(2, 3))
_LIMIT = HeldConstant("the lower limit of the norms")

SAMPLES = (
    Sample(nn.CosineSimilarity, of(), _PAIR),
    Sample(nn.CosineSimilarity, of(dim=0, eps=4.0), _PAIR, held_constant=_LIMIT),
    Sample(nn.PairwiseDistance, of(), _PAIR),
    Sample(nn.PairwiseDistance, of(p=1.0), _PAIR),
    Sample(nn.PairwiseDistance, of(p=3.0, eps=1e-4, keepdim=True), _PAIR),
)
