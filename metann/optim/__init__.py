"""Differentiable optimisers: `torch.optim` as functions, whose results have a graph."""

from metann.optim.adadelta import Adadelta as Adadelta
from metann.optim.adafactor import Adafactor as Adafactor
from metann.optim.adagrad import Adagrad as Adagrad
from metann.optim.adam import Adam as Adam
from metann.optim.adam import AdamW as AdamW
from metann.optim.adamax import Adamax as Adamax
from metann.optim.asgd import ASGD as ASGD
from metann.optim.by_parameter import ByParameter as ByParameter
from metann.optim.clipping import clip_by_norm as clip_by_norm
from metann.optim.clipping import clip_by_value as clip_by_value
from metann.optim.from_torch import from_torch as from_torch
from metann.optim.hyper import Hyper as Hyper
from metann.optim.hyper import PerStep as PerStep
from metann.optim.hyper import per_group as per_group
from metann.optim.muon import Muon as Muon
from metann.optim.nadam import NAdam as NAdam
from metann.optim.optimizer import Optimizer as Optimizer
from metann.optim.radam import RAdam as RAdam
from metann.optim.rmsprop import RMSprop as RMSprop
from metann.optim.rprop import Rprop as Rprop
from metann.optim.sgd import SGD as SGD
from metann.optim.state import State as State
from metann.optim.transformed import transformed as transformed
