"""The differentiable optimisers of TorchOpt by name, with its defaults."""

from __future__ import annotations

from torch import nn

from metann.compat.torchopt import alias
from metann.compat.torchopt.alias import Betas
from metann.compat.torchopt.meta_optimizer import MetaOptimizer
from metann.compat.torchopt.stages import Rate


class MetaSGD(MetaOptimizer):
    """Differentiable gradient descent in the user's module: see `MetaOptimizer` and `sgd`.

    Not the algorithm of that name, which learns step sizes: that is `metann.meta.MetaSGD`.
    """

    def __init__(
        self,
        module: nn.Module,
        lr: Rate,
        momentum: float = 0.0,
        weight_decay: float = 0.0,
        dampening: float = 0.0,
        nesterov: bool = False,
        moment_requires_grad: bool = True,
        maximize: bool = False,
    ) -> None:
        impl = alias.sgd(
            lr,
            momentum,
            dampening,
            weight_decay,
            nesterov,
            moment_requires_grad=moment_requires_grad,
            maximize=maximize,
        )
        super().__init__(module, impl)


class MetaAdam(MetaOptimizer):
    """Differentiable Adam in the user's module: see `MetaOptimizer` and `adam`."""

    def __init__(
        self,
        module: nn.Module,
        lr: Rate = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        eps_root: float = 0.0,
        moment_requires_grad: bool = True,
        maximize: bool = False,
        use_accelerated_op: bool = False,
    ) -> None:
        impl = alias.adam(
            lr,
            betas,
            eps,
            weight_decay,
            eps_root=eps_root,
            moment_requires_grad=moment_requires_grad,
            maximize=maximize,
            use_accelerated_op=use_accelerated_op,
        )
        super().__init__(module, impl)


class MetaAdamW(MetaOptimizer):
    """Differentiable AdamW in the user's module: see `MetaOptimizer` and `adamw`."""

    def __init__(
        self,
        module: nn.Module,
        lr: Rate = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 1e-2,
        *,
        eps_root: float = 0.0,
        mask: object = None,
        moment_requires_grad: bool = False,
        maximize: bool = False,
        use_accelerated_op: bool = False,
    ) -> None:
        impl = alias.adamw(
            lr,
            betas,
            eps,
            weight_decay,
            eps_root=eps_root,
            mask=mask,
            moment_requires_grad=moment_requires_grad,
            maximize=maximize,
            use_accelerated_op=use_accelerated_op,
        )
        super().__init__(module, impl)


class MetaRMSProp(MetaOptimizer):
    """Differentiable RMSprop in the user's module: see `MetaOptimizer` and `rmsprop`."""

    def __init__(
        self,
        module: nn.Module,
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
    ) -> None:
        impl = alias.rmsprop(
            lr,
            alpha,
            eps,
            weight_decay,
            momentum,
            centered,
            initial_scale=initial_scale,
            nesterov=nesterov,
            maximize=maximize,
        )
        super().__init__(module, impl)


class MetaAdaGrad(MetaOptimizer):
    """Differentiable Adagrad in the user's module: see `MetaOptimizer` and `adagrad`."""

    def __init__(
        self,
        module: nn.Module,
        lr: Rate = 1e-2,
        lr_decay: float = 0.0,
        weight_decay: float = 0.0,
        initial_accumulator_value: float = 0.0,
        eps: float = 1e-10,
        *,
        maximize: bool = False,
    ) -> None:
        start = initial_accumulator_value
        impl = alias.adagrad(lr, lr_decay, weight_decay, start, eps, maximize=maximize)
        super().__init__(module, impl)


class MetaAdaDelta(MetaOptimizer):
    """Differentiable Adadelta in the user's module: see `MetaOptimizer` and `adadelta`."""

    def __init__(
        self,
        module: nn.Module,
        lr: Rate = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0.0,
        *,
        moment_requires_grad: bool = True,
    ) -> None:
        with_grad = moment_requires_grad
        impl = alias.adadelta(lr, rho, eps, weight_decay, moment_requires_grad=with_grad)
        super().__init__(module, impl)


class MetaAdaMax(MetaOptimizer):
    """Differentiable Adamax in the user's module: see `MetaOptimizer` and `adamax`."""

    def __init__(
        self,
        module: nn.Module,
        lr: Rate = 2e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        moment_requires_grad: bool = True,
    ) -> None:
        with_grad = moment_requires_grad
        impl = alias.adamax(lr, betas, eps, weight_decay, moment_requires_grad=with_grad)
        super().__init__(module, impl)


class MetaRAdam(MetaOptimizer):
    """Differentiable RAdam in the user's module: see `MetaOptimizer` and `radam`."""

    def __init__(
        self,
        module: nn.Module,
        lr: Rate = 1e-3,
        betas: Betas = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        moment_requires_grad: bool = True,
    ) -> None:
        with_grad = moment_requires_grad
        impl = alias.radam(lr, betas, eps, weight_decay, moment_requires_grad=with_grad)
        super().__init__(module, impl)


# TorchOpt has both spellings.
MetaAdadelta = MetaAdaDelta
MetaAdagrad = MetaAdaGrad
MetaAdamax = MetaAdaMax
MetaRMSprop = MetaRMSProp
