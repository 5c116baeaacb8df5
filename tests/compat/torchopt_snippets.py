"""Programs as TorchOpt's documentation shows them, each a function of the library to run it on.

The calls are those of its README, of its pages on optimisers and on explicit differentiation, and
of its notebooks. Each returns tensors, which one test compares with references, and another, where
TorchOpt is installed, with TorchOpt.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.func import functional_call

Numbers = list[Tensor]

# What the page on optimisers and the API reference list, with settings that matter.
OPTIMIZERS: dict[str, tuple[str, dict[str, Any]]] = {
    "sgd": ("MetaSGD", {"lr": 0.1}),
    "momentum": ("MetaSGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.1}),
    "dampening": ("MetaSGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.3}),
    "nesterov": ("MetaSGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    "adam": ("MetaAdam", {"lr": 0.1, "betas": (0.8, 0.95), "weight_decay": 0.1}),
    "adam uphill": ("MetaAdam", {"lr": 0.05, "maximize": True}),
    "adamw": ("MetaAdamW", {"lr": 0.1, "weight_decay": 0.2}),
    "rmsprop": ("MetaRMSProp", {"lr": 0.05, "alpha": 0.9, "eps": 1e-3}),
    "rmsprop centered": ("MetaRMSProp", {"lr": 0.05, "momentum": 0.8, "centered": True}),
    "adagrad": ("MetaAdaGrad", {"lr": 0.1, "lr_decay": 0.3, "initial_accumulator_value": 0.2}),
    "adadelta": ("MetaAdaDelta", {"lr": 1.0, "rho": 0.8, "eps": 1e-3}),
    "adamax": ("MetaAdaMax", {"lr": 0.1, "weight_decay": 0.1}),
    "radam": ("MetaRAdam", {"lr": 0.1, "betas": (0.8, 0.6)}),
}


class Net(nn.Module):
    """As in the notebook on meta-optimisers: one weight, whose loss is its square times x."""

    def __init__(self) -> None:
        super().__init__()
        self.a = nn.Parameter(torch.tensor(1.0), requires_grad=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.a**2 * x


class Regression(nn.Module):
    """As in the notebook on stop_gradient."""

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.fc = nn.Linear(dim, 1, bias=True)

    def forward(self, x: Tensor) -> Tensor:
        return self.fc(x)


def small_net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 1))


def data(samples: int = 6) -> tuple[Tensor, Tensor]:
    return torch.randn(samples, 3), torch.randn(samples, 1)


def called(net: nn.Module, params: dict[str, Tensor], x: Tensor) -> Tensor:
    output: Tensor = functional_call(net, params, (x,))
    return output


def inner_loss(model: Callable[[Tensor], Tensor], batch: Any, meta_parameter: Tensor) -> Tensor:
    x, y = batch
    return F.mse_loss(meta_parameter.exp() * model(x), y)


# ── README and the page on explicit differentiation ──────────────────────────────────────────


def functional_optimizer(torchopt: Any, net: nn.Module, batches: Any) -> Numbers:
    """Optax-like: gradients and state in, updates and state out."""
    optimizer = torchopt.adam(0.1)
    params = dict(net.named_parameters())
    opt_state = optimizer.init(tuple(params.values()))
    for xs, ys in batches:
        loss = F.mse_loss(called(net, params, xs), ys)
        grads = torch.autograd.grad(loss, tuple(params.values()))
        updates, opt_state = optimizer.update(grads, opt_state)
        torchopt.apply_updates(tuple(params.values()), updates)
    return [*params.values()]


def differentiable_functional(torchopt: Any, net: nn.Module, batch: Any, meta: Tensor) -> Numbers:
    """The same without writing in place, and differentiated."""
    opt = torchopt.adam(0.1, eps_root=1e-2)
    names, params = zip(*net.named_parameters(), strict=True)
    first = params
    state = opt.init(params)
    for _ in range(3):
        fast = dict(zip(names, params, strict=True))
        loss = inner_loss(partial(called, net, fast), batch, meta)
        grads = torch.autograd.grad(loss, params, create_graph=True)
        updates, state = opt.update(grads, state, inplace=False)
        params = torchopt.apply_updates(params, updates, inplace=False)
    outer = sum(p.square().sum() for p in params)
    return [*params, *torch.autograd.grad(outer, [meta, *first])]  # type: ignore[arg-type]


def meta_optimizer(torchopt: Any, net: nn.Module, batches: Any, meta: Tensor, name: str) -> Numbers:
    """The inner loop of the page, and the meta-gradient, by the meta-parameter and the weights."""
    kind, settings = OPTIMIZERS[name]
    first = [*net.parameters()]
    opt = getattr(torchopt, kind)(net, **settings)
    for batch in batches[:-1]:
        opt.step(inner_loss(net, batch, meta))
    x, y = batches[-1]
    loss = F.mse_loss(net(x), y)
    return [loss, *net.parameters(), *torch.autograd.grad(loss, [meta, *first])]


def low_and_high_level(torchopt: Any) -> tuple[Numbers, Numbers]:
    """`MetaOptimizer(net, sgd(lr=1.0))` and `MetaSGD(net, lr=1.0)`."""
    found = []
    for make in (
        lambda net: torchopt.MetaOptimizer(net, torchopt.sgd(lr=0.1)),
        lambda net: torchopt.MetaSGD(net, lr=0.1),
    ):
        net, x = Net(), nn.Parameter(torch.tensor(2.0), requires_grad=True)
        optim = make(net)
        for _ in range(2):
            optim.step(net(x))
        net(x).backward()
        found.append([net.a.detach(), *(p.grad for p in [x] if p.grad is not None)])
    return found[0], found[1]


def general_utilities(torchopt: Any) -> tuple[list[Tensor], list[Tensor]]:
    """The states of a net and of its optimiser are extracted, recovered, and the loop repeated."""
    net = Net()
    x = nn.Parameter(torch.tensor(2.0), requires_grad=True)
    optim = torchopt.MetaAdam(net, lr=1.0)
    init_net_state = torchopt.extract_state_dict(net, by="reference")
    init_optim_state = torchopt.extract_state_dict(optim, by="reference")
    init_net_state = torchopt.extract_state_dict(net, by="reference", detach_buffers=True)
    states = [torchopt.extract_state_dict(net, by=by) for by in ("copy", "deepcopy")]
    states += [torchopt.extract_state_dict(optim, by=by) for by in ("copy", "deepcopy")]
    assert len(states) == 4

    found = []
    for _ in range(2):
        for _ in range(2):
            optim.step(net(x))
        grad = torch.autograd.grad(net(x), x)[0]
        found.append([net.a.detach(), grad])
        torchopt.recover_state_dict(net, init_net_state)
        torchopt.recover_state_dict(optim, init_optim_state)
    return found[0], found[1]


# ── the notebook on stop_gradient ────────────────────────────────────────────────────────────


def stop_gradient(torchopt: Any, batch: Any) -> Numbers:
    """Two bilevel processes, one after the other; the second begins where the first ended."""
    net, (x, y) = Regression(3), batch
    meta_parameter = nn.Parameter(torch.tensor(1.0), requires_grad=True)
    optim = torchopt.MetaSGD(net, lr=1e-1)
    meta_optim = torch.optim.Adam([meta_parameter], lr=1e-1)
    found = []
    for _ in range(2):
        loss = F.mse_loss(net(x), y) * meta_parameter
        optim.step(loss)
        outer_loss = F.mse_loss(net(x), y)
        meta_optim.zero_grad()
        outer_loss.backward()
        assert meta_parameter.grad is not None
        found += [outer_loss.detach(), meta_parameter.grad.clone()]
        meta_optim.step()
        torchopt.stop_gradient(net)
        torchopt.stop_gradient(optim)
    return [*found, meta_parameter.detach()]


# ── the page on optimisers ───────────────────────────────────────────────────────────────────


def func_optimizer(torchopt: Any, net: nn.Module, batches: Any) -> Numbers:
    """`FuncOptimizer` keeps the state."""
    optimizer = torchopt.FuncOptimizer(torchopt.adam(0.1))
    names, params = zip(*net.named_parameters(), strict=True)
    for xs, ys in batches:
        pred = called(net, dict(zip(names, params, strict=True)), xs)
        params = optimizer.step(F.mse_loss(pred, ys), params)
    return [*params]


def chained(torchopt: Any, net: nn.Module, batches: Any) -> Numbers:
    """A norm that clips, and a step."""
    impl = torchopt.chain(torchopt.clip.clip_grad_norm(max_norm=0.2), torchopt.sgd(0.5))
    return stepped(torchopt, impl, net, batches)


def hooked(torchopt: Any, net: nn.Module, batches: Any) -> Numbers:
    """A hook on what flows back through the gradients."""
    hook = torchopt.hook.register_hook(torchopt.hook.zero_nan_hook)
    impl = torchopt.chain(hook, torchopt.adam(1e-1))
    return stepped(torchopt, impl, net, batches)


def scheduled(torchopt: Any, net: nn.Module, batches: Any, kind: str) -> Numbers:
    """A learning rate that follows the number of steps."""
    schedule = torchopt.schedule
    lr = {
        "linear": lambda: schedule.linear_schedule(
            init_value=0.1, end_value=0.01, transition_steps=3, transition_begin=1
        ),
        "polynomial": lambda: schedule.polynomial_schedule(0.1, 0.01, 2, 3),
        "exponential": lambda: schedule.exponential_decay(0.1, 0.5, 1, 2, True, 0.03),
    }[kind]()
    return stepped(torchopt, torchopt.adam(lr=lr), net, batches)


def stepped(torchopt: Any, impl: Any, net: nn.Module, batches: Any) -> Numbers:
    optim = torchopt.MetaOptimizer(net, impl)
    for x, y in batches:
        optim.step(F.mse_loss(net(x), y))
    return [*net.parameters()]
