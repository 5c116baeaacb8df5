"""The 56 cases of a comparison of libraries for meta-learning, rebuilt, and further ones.

In that comparison, on torch 2.13, torch.func and learn2learn had 46 right, MetaNN 0.3.2 and
TorchOpt 45, higher 44. All of them fail at `EmbeddingBag`, at the six cases that take fused
attention, at a lazy module, and, without an error, at `weight_norm`.
"""

from scoreboard.attention import ATTENTION
from scoreboard.changed import CHANGED, FURTHER
from scoreboard.layers import FEEDFORWARD, RECURRENT
from scoreboard.models import LAZY, MODELS

SCOREBOARD = (*FEEDFORWARD, *RECURRENT, *ATTENTION, *MODELS, *CHANGED)

__all__ = ["FURTHER", "LAZY", "SCOREBOARD"]
