"""The names of `learn2learn.algorithms`."""

from metann.compat.learn2learn.base_learner import BaseLearner as BaseLearner
from metann.compat.learn2learn.gbml import GBML as GBML
from metann.compat.learn2learn.maml import MAML as MAML
from metann.compat.learn2learn.maml import maml_update as maml_update
from metann.compat.learn2learn.meta_sgd import MetaSGD as MetaSGD
from metann.compat.learn2learn.meta_sgd import meta_sgd_update as meta_sgd_update

__all__ = ["GBML", "MAML", "BaseLearner", "MetaSGD", "maml_update", "meta_sgd_update"]
