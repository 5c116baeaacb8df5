"""The names of `learn2learn.optim`."""

from metann.compat.learn2learn.learnable_optimizer import LearnableOptimizer as LearnableOptimizer
from metann.compat.learn2learn.transforms import DifferentiableSGD as DifferentiableSGD
from metann.compat.learn2learn.transforms import ModuleTransform as ModuleTransform
from metann.compat.learn2learn.transforms import ParameterUpdate as ParameterUpdate

__all__ = ["DifferentiableSGD", "LearnableOptimizer", "ModuleTransform", "ParameterUpdate"]
