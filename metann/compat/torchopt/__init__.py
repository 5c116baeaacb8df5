"""The names and calls of TorchOpt 0.7, on top of metann.

Example: `import metann.compat.torchopt as torchopt`

What is not here, and what to use in its place: docs/migration/torchopt.md.
"""

from metann.compat.torchopt import base as base
from metann.compat.torchopt import clip as clip
from metann.compat.torchopt import combine as combine
from metann.compat.torchopt import hook as hook
from metann.compat.torchopt import schedule as schedule
from metann.compat.torchopt import utils as utils
from metann.compat.torchopt.alias import adadelta as adadelta
from metann.compat.torchopt.alias import adagrad as adagrad
from metann.compat.torchopt.alias import adam as adam
from metann.compat.torchopt.alias import adamax as adamax
from metann.compat.torchopt.alias import adamw as adamw
from metann.compat.torchopt.alias import radam as radam
from metann.compat.torchopt.alias import rmsprop as rmsprop
from metann.compat.torchopt.alias import sgd as sgd
from metann.compat.torchopt.base import GradientTransformation as GradientTransformation
from metann.compat.torchopt.clip import clip_grad_norm as clip_grad_norm
from metann.compat.torchopt.combine import chain as chain
from metann.compat.torchopt.func_optimizer import FuncOptimizer as FuncOptimizer
from metann.compat.torchopt.hook import nan_to_num as nan_to_num
from metann.compat.torchopt.hook import register_hook as register_hook
from metann.compat.torchopt.meta_optimizer import MetaOptimizer as MetaOptimizer
from metann.compat.torchopt.meta_optimizers import MetaAdaDelta as MetaAdaDelta
from metann.compat.torchopt.meta_optimizers import MetaAdadelta as MetaAdadelta
from metann.compat.torchopt.meta_optimizers import MetaAdaGrad as MetaAdaGrad
from metann.compat.torchopt.meta_optimizers import MetaAdagrad as MetaAdagrad
from metann.compat.torchopt.meta_optimizers import MetaAdam as MetaAdam
from metann.compat.torchopt.meta_optimizers import MetaAdaMax as MetaAdaMax
from metann.compat.torchopt.meta_optimizers import MetaAdamax as MetaAdamax
from metann.compat.torchopt.meta_optimizers import MetaAdamW as MetaAdamW
from metann.compat.torchopt.meta_optimizers import MetaRAdam as MetaRAdam
from metann.compat.torchopt.meta_optimizers import MetaRMSProp as MetaRMSProp
from metann.compat.torchopt.meta_optimizers import MetaRMSprop as MetaRMSprop
from metann.compat.torchopt.meta_optimizers import MetaSGD as MetaSGD
from metann.compat.torchopt.update import apply_updates as apply_updates
from metann.compat.torchopt.utils import ModuleState as ModuleState
from metann.compat.torchopt.utils import extract_state_dict as extract_state_dict
from metann.compat.torchopt.utils import module_clone as module_clone
from metann.compat.torchopt.utils import module_detach_ as module_detach_
from metann.compat.torchopt.utils import recover_state_dict as recover_state_dict
from metann.compat.torchopt.utils import stop_gradient as stop_gradient
