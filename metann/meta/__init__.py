"""Inner loops, and the algorithms that are built on them."""

from metann.meta.adapted import Adapted
from metann.meta.anil import ANIL
from metann.meta.fast import Fast
from metann.meta.imaml import IMAML
from metann.meta.implicit import implicit_solution
from metann.meta.inner_loop import InnerLoop
from metann.meta.linear_solvers import (
    LinearSolver,
    conjugate_gradient,
    direct_solve,
    neumann_series,
)
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
    "IMAML",
    "MAML",
    "Adapted",
    "Fast",
    "InnerLoop",
    "InnerStep",
    "LinearSolver",
    "MAMLPlusPlus",
    "MetaSGD",
    "Objective",
    "Reptile",
    "Selection",
    "TaskLosses",
    "conjugate_gradient",
    "direct_solve",
    "implicit_solution",
    "neumann_series",
]
