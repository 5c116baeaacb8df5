"""The optimisers of TorchOpt, as gradient transformations.

Each is the chain of a sign and a decay, what `metann.optim` makes of gradients, and a learning
rate: a number, a tensor (which may be learned), or a function of the number of updates so far.
"""

from __future__ import annotations

from metann import optim
from metann.compat.torchopt.base import GradientTransformation, chain
from metann.compat.torchopt.stages import Rate, decayed, scaled, signed_and_decayed, taken_by
from metann.compat.torchopt.variants import AdamWithRoot, RMSpropFrom

Betas = tuple[float, float]


def sgd(
    lr: Rate,
    momentum: float = 0.0,
    dampening: float = 0.0,
    weight_decay: float = 0.0,
    nesterov: bool = False,
    *,
    moment_requires_grad: bool = False,
    maximize: bool = False,
) -> GradientTransformation:
    """Gradient descent: `metann.optim.SGD`, see there.

    Source: the function of this name in TorchOpt 0.7; `torch.optim.SGD`.
    """
    descent = optim.SGD(1.0, momentum, dampening, nesterov=nesterov)
    return _optimizer(lr, weight_decay, maximize, taken_by(descent, moment_requires_grad))


def adam(
    lr: Rate = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    *,
    eps_root: float = 0.0,
    moment_requires_grad: bool = False,
    maximize: bool = False,
    use_accelerated_op: bool = False,  # noqa: ARG001
) -> GradientTransformation:
    """Adam: `metann.optim.Adam`, see there.

    Meta-gradients are finite where a gradient is 0, whatever `eps_root` is; TorchOpt's are NaN
    there when it is 0. `use_accelerated_op` makes no difference here.

    Source: the function of this name in TorchOpt 0.7; `torch.optim.Adam`.
    """
    taken = taken_by(AdamWithRoot(1.0, betas, eps, eps_root=eps_root), moment_requires_grad)
    return _optimizer(lr, weight_decay, maximize, taken)


def adamw(
    lr: Rate = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-8,
    weight_decay: float = 1e-2,
    *,
    eps_root: float = 0.0,
    mask: object = None,
    moment_requires_grad: bool = False,
    maximize: bool = False,
    use_accelerated_op: bool = False,  # noqa: ARG001
) -> GradientTransformation:
    """Adam that shrinks the weights apart from the gradient: `metann.optim.AdamW`, see there.

    `mask` is a tree of bools, or a function from the list of parameters to one: where to shrink.

    Source: the function of this name in TorchOpt 0.7; `torch.optim.AdamW`.
    """
    taken = taken_by(AdamWithRoot(1.0, betas, eps, eps_root=eps_root), moment_requires_grad)
    return _optimizer(lr, 0.0, maximize, taken, decayed(weight_decay, mask))


def rmsprop(
    lr: Rate = 1e-2,
    alpha: float = 0.99,
    eps: float = 1e-8,
    weight_decay: float = 0.0,
    momentum: float = 0.0,
    centered: bool = False,
    *,
    initial_scale: float = 0.0,
    nesterov: bool = False,
    maximize: bool = False,
) -> GradientTransformation:
    """RMSprop: `metann.optim.RMSprop`, see there.

    Source: the function of this name in TorchOpt 0.7; `torch.optim.RMSprop`.
    """
    scale = RMSpropFrom(1.0, alpha, eps, centered=centered, initial_scale=initial_scale)
    following = optim.SGD(1.0, momentum, nesterov=nesterov)
    return _optimizer(lr, weight_decay, maximize, taken_by(scale), taken_by(following))


def adagrad(
    lr: Rate = 1e-2,
    lr_decay: float = 0.0,
    weight_decay: float = 0.0,
    initial_accumulator_value: float = 0.0,
    eps: float = 1e-10,
    *,
    maximize: bool = False,
) -> GradientTransformation:
    """Adagrad: `metann.optim.Adagrad`, see there.

    Source: the function of this name in TorchOpt 0.7; `torch.optim.Adagrad`.
    """
    rule = optim.Adagrad(1.0, lr_decay, 0.0, initial_accumulator_value, eps)
    return _optimizer(lr, weight_decay, maximize, taken_by(rule))


def adadelta(
    lr: Rate = 1e-3,
    rho: float = 0.9,
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    *,
    moment_requires_grad: bool = False,
) -> GradientTransformation:
    """Adadelta: `metann.optim.Adadelta`, see there.

    Source: the function of this name in TorchOpt 0.7; `torch.optim.Adadelta`.
    """
    rule = optim.Adadelta(1.0, rho, eps)
    return _optimizer(lr, weight_decay, False, taken_by(rule, moment_requires_grad))


def adamax(
    lr: Rate = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    *,
    moment_requires_grad: bool = False,
) -> GradientTransformation:
    """Adamax: `metann.optim.Adamax`, see there.

    Source: the function of this name in TorchOpt 0.7; `torch.optim.Adamax`.
    """
    rule = optim.Adamax(1.0, betas, eps)
    return _optimizer(lr, weight_decay, False, taken_by(rule, moment_requires_grad))


def radam(
    lr: Rate = 1e-3,
    betas: Betas = (0.9, 0.999),
    eps: float = 1e-6,
    weight_decay: float = 0.0,
    *,
    moment_requires_grad: bool = False,
) -> GradientTransformation:
    """RAdam: `metann.optim.RAdam`, see there.

    Source: the function of this name in TorchOpt 0.7; `torch.optim.RAdam`.
    """
    rule = optim.RAdam(1.0, betas, eps)
    return _optimizer(lr, weight_decay, False, taken_by(rule, moment_requires_grad))


def _optimizer(
    lr: Rate, weight_decay: float, maximize: bool, *stages: GradientTransformation
) -> GradientTransformation:
    return chain(signed_and_decayed(weight_decay, maximize), *stages, scaled(lr))
