"""Inner loops, and the algorithms that are built on them."""

from metann.meta.adapted import Adapted
from metann.meta.anil import ANIL
from metann.meta.fast import Fast
from metann.meta.inner_loop import InnerLoop
from metann.meta.maml import MAML
from metann.meta.maml_plus_plus import MAMLPlusPlus
from metann.meta.meta_sgd import MetaSGD
from metann.meta.objective import Objective
from metann.meta.reptile import Reptile
from metann.meta.selection import Selection
from metann.meta.steps import InnerStep
from metann.meta.task_losses import TaskLosses

__all__ = [
    "ANIL",
    "MAML",
    "Adapted",
    "Fast",
    "InnerLoop",
    "InnerStep",
    "MAMLPlusPlus",
    "MetaSGD",
    "Objective",
    "Reptile",
    "Selection",
    "TaskLosses",
]
