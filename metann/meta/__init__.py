"""Inner loops, and the algorithms that are built on them."""

from metann.meta.adapted import Adapted
from metann.meta.fast import Fast
from metann.meta.inner_loop import InnerLoop
from metann.meta.maml import MAML
from metann.meta.objective import Objective
from metann.meta.selection import Selection
from metann.meta.steps import InnerStep
from metann.meta.task_losses import TaskLosses

__all__ = [
    "MAML",
    "Adapted",
    "Fast",
    "InnerLoop",
    "InnerStep",
    "Objective",
    "Selection",
    "TaskLosses",
]
