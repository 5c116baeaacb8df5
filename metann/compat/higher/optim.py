"""Differentiable optimisers: the names of `higher.optim`."""

from metann.compat.higher.differentiable_optimizer import (
    DifferentiableOptimizer as DifferentiableOptimizer,
)
from metann.compat.higher.kinds import DifferentiableAdadelta as DifferentiableAdadelta
from metann.compat.higher.kinds import DifferentiableAdafactor as DifferentiableAdafactor
from metann.compat.higher.kinds import DifferentiableAdagrad as DifferentiableAdagrad
from metann.compat.higher.kinds import DifferentiableAdam as DifferentiableAdam
from metann.compat.higher.kinds import DifferentiableAdamax as DifferentiableAdamax
from metann.compat.higher.kinds import DifferentiableAdamW as DifferentiableAdamW
from metann.compat.higher.kinds import DifferentiableASGD as DifferentiableASGD
from metann.compat.higher.kinds import DifferentiableMuon as DifferentiableMuon
from metann.compat.higher.kinds import DifferentiableNAdam as DifferentiableNAdam
from metann.compat.higher.kinds import DifferentiableRAdam as DifferentiableRAdam
from metann.compat.higher.kinds import DifferentiableRMSprop as DifferentiableRMSprop
from metann.compat.higher.kinds import DifferentiableRprop as DifferentiableRprop
from metann.compat.higher.kinds import DifferentiableSGD as DifferentiableSGD
from metann.compat.higher.overrides import (
    apply_trainable_opt_params as apply_trainable_opt_params,
)
from metann.compat.higher.overrides import (
    get_trainable_opt_params as get_trainable_opt_params,
)
from metann.compat.higher.registry import create_diff_optim as create_diff_optim
from metann.compat.higher.registry import get_diff_optim as get_diff_optim
from metann.compat.higher.registry import register_optim as register_optim

__all__ = [
    "DifferentiableASGD",
    "DifferentiableAdadelta",
    "DifferentiableAdafactor",
    "DifferentiableAdagrad",
    "DifferentiableAdam",
    "DifferentiableAdamW",
    "DifferentiableAdamax",
    "DifferentiableMuon",
    "DifferentiableNAdam",
    "DifferentiableOptimizer",
    "DifferentiableRAdam",
    "DifferentiableRMSprop",
    "DifferentiableRprop",
    "DifferentiableSGD",
    "apply_trainable_opt_params",
    "create_diff_optim",
    "get_diff_optim",
    "get_trainable_opt_params",
    "register_optim",
]
