"""Differentiable optimisers: `torch.optim` as functions, whose results have a graph."""

from metann.optim.adam import Adam as Adam
from metann.optim.adam import AdamW as AdamW
from metann.optim.adamax import Adamax as Adamax
from metann.optim.hyper import Hyper as Hyper
from metann.optim.hyper import PerStep as PerStep
from metann.optim.hyper import per_group as per_group
from metann.optim.nadam import NAdam as NAdam
from metann.optim.optimizer import Optimizer as Optimizer
from metann.optim.radam import RAdam as RAdam
from metann.optim.sgd import SGD as SGD
from metann.optim.state import State as State
