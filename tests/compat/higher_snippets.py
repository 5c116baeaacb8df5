"""Programs as higher's documentation shows them, each a function of the library to run it on.

The calls are those of its README, changelog, docstrings and examples. Each returns tensors, from
which the test on metann compares with references, and the test on both compares with higher.
"""

from __future__ import annotations

from typing import Any

import torch
import torch.nn.functional as F
from torch import Tensor, nn

Numbers = list[Tensor]


def small_net() -> nn.Module:
    return nn.Sequential(nn.Linear(3, 4), nn.Tanh(), nn.Linear(4, 2))


class Named(nn.Module):
    """A model with a submodule that has a name."""

    def __init__(self) -> None:
        super().__init__()
        self.linear = nn.Linear(3, 4)
        self.head = nn.Linear(4, 2)

    def forward(self, inputs: Tensor) -> Tensor:
        return self.head(self.linear(inputs).tanh())


def small_image_net() -> nn.Module:
    """As in the example on Omniglot, in small."""
    return nn.Sequential(
        nn.Conv2d(1, 3, 3),
        nn.BatchNorm2d(3, momentum=1, affine=True),
        nn.Softplus(),
        nn.AvgPool2d(2, 2),
        nn.Flatten(),
        nn.Linear(12, 2),
    )


def batches(count: int = 2) -> list[tuple[Tensor, Tensor]]:
    return [(torch.randn(5, 3), torch.randint(2, (5,))) for _ in range(count)]


def images() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Two tasks: support and query images with their labels."""
    x_spt, x_qry = torch.randn(2, 6, 1, 6, 6), torch.randn(2, 4, 1, 6, 6)
    return x_spt, torch.randint(2, (2, 6)), x_qry, torch.randint(2, (2, 4))


# ── README: Example Usage ────────────────────────────────────────────────────────────────────


def example_usage(higher: Any, model: nn.Module, opt: torch.optim.Optimizer, data: Any) -> Numbers:
    """The weights after the loop, and gradients of a function of them by the first ones."""
    with higher.innerloop_ctx(model, opt) as (fmodel, diffopt):
        for xs, ys in data:
            logits = fmodel(xs)
            loss = F.cross_entropy(logits, ys)
            diffopt.step(loss)

        total = sum(p.square().sum() for p in fmodel.parameters())
        grad_of_grads = torch.autograd.grad(total, fmodel.parameters(time=0))
    return [*fmodel.fast_params, *grad_of_grads]


# ── examples/maml-omniglot.py ────────────────────────────────────────────────────────────────


def maml_train(higher: Any, net: nn.Module, data: Any, n_inner_iter: int = 2) -> Numbers:
    """The losses of the tasks, and the meta-gradient."""
    x_spt, y_spt, x_qry, y_qry = data
    net.train()
    inner_opt = torch.optim.SGD(net.parameters(), lr=1e-1)
    qry_losses = []
    net.zero_grad()
    for i in range(len(x_spt)):
        with higher.innerloop_ctx(net, inner_opt, copy_initial_weights=False) as (fnet, diffopt):
            for _ in range(n_inner_iter):
                spt_logits = fnet(x_spt[i])
                spt_loss = F.cross_entropy(spt_logits, y_spt[i])
                diffopt.step(spt_loss)

            qry_logits = fnet(x_qry[i])
            qry_loss = F.cross_entropy(qry_logits, y_qry[i])
            qry_losses.append(qry_loss.detach())
            qry_loss.backward()
    return [*qry_losses, *(p.grad for p in net.parameters())]


def maml_test(higher: Any, net: nn.Module, data: Any, n_inner_iter: int = 3) -> Numbers:
    """The losses of the tasks, adapted to without a graph."""
    x_spt, y_spt, x_qry, y_qry = data
    net.train()
    inner_opt = torch.optim.SGD(net.parameters(), lr=1e-1)
    qry_losses = []
    for i in range(len(x_spt)):
        with higher.innerloop_ctx(net, inner_opt, track_higher_grads=False) as (fnet, diffopt):
            for _ in range(n_inner_iter):
                diffopt.step(F.cross_entropy(fnet(x_spt[i]), y_spt[i]))
            qry_logits = fnet(x_qry[i]).detach()
            qry_losses.append(F.cross_entropy(qry_logits, y_qry[i], reduction="none"))
    return qry_losses


# ── examples/deep-energy-mnist.py ────────────────────────────────────────────────────────────


def deep_energy(higher: Any, energy: nn.Module, x: Tensor, n_inner_iter: int = 3) -> Numbers:
    """The labels of least energy, and the gradient of their loss by the energy's weights."""
    y = torch.zeros(len(x), 2, requires_grad=True)
    inner_opt = higher.get_diff_optim(torch.optim.SGD([y], lr=1e-1), [y], device=x.device)
    for _ in range(n_inner_iter):
        found = energy(torch.cat((x, y), dim=1))
        (y,) = inner_opt.step(found.sum(), params=[y])
    loss = F.cross_entropy(y, torch.zeros(len(x), dtype=torch.long))
    # The last bias adds the same energy to all labels.
    return [y, *torch.autograd.grad(loss, [*energy.parameters()][:-1])]


# ── CHANGELOG, version 0.2 ───────────────────────────────────────────────────────────────────


def weights_modified_directly(higher: Any, model: nn.Module, x: Tensor) -> Numbers:
    fmodel = higher.monkeypatch(model)
    weight = fmodel.linear.weight
    fmodel.linear.weight = weight.sin()
    output = fmodel(x)
    grads = torch.autograd.grad(output.sum(), fmodel.parameters(time=0), allow_unused=True)
    return [output, *grads]


def submodules_called_directly(higher: Any, model: nn.Module, x: Tensor) -> Numbers:
    fmodel = higher.monkeypatch(model)
    return [model(x), fmodel(x), model.linear(x), fmodel.linear(x)]


# ── docstrings: override, grad_callback, create_diff_optim, trainable options ────────────────


def learned_options(
    higher: Any, model: nn.Module, opt: torch.optim.Optimizer, data: Any, names: set[str]
) -> Numbers:
    """Gradients by options of the optimiser, and the optimiser with options that are learned."""
    found = higher.optim.get_trainable_opt_params(opt)
    override = {name: found[name] for name in names}
    leaves = [each for name in sorted(names) for each in higher.utils.flatten(override[name])]
    with higher.innerloop_ctx(model, opt, override=override) as (fmodel, diffopt):
        for xs, ys in data:
            diffopt.step(F.cross_entropy(fmodel(xs), ys))
        loss = F.cross_entropy(fmodel(data[0][0]), data[0][1])
    grads = torch.autograd.grad(loss, leaves)
    stepped = [leaf.detach() - 0.001 * grad for leaf, grad in zip(leaves, grads, strict=True)]
    for leaf, value in zip(leaves, stepped, strict=True):
        leaf.data = value
    higher.optim.apply_trainable_opt_params(opt, override)
    return [*grads, *stepped]


def override_by_step(higher: Any, model: nn.Module, data: Any) -> Numbers:
    """A learned rate for each step."""
    rates = [torch.tensor(0.1, requires_grad=True), torch.tensor(0.2, requires_grad=True)]
    opt = torch.optim.SGD(model.parameters(), lr=1.0)
    with higher.innerloop_ctx(model, opt) as (fmodel, diffopt):
        for rate, (xs, ys) in zip(rates, data, strict=True):
            diffopt.step(F.cross_entropy(fmodel(xs), ys), override={"lr": [rate]})
        loss = F.cross_entropy(fmodel(data[0][0]), data[0][1])
    return [loss, *torch.autograd.grad(loss, rates)]


def clipped(higher: Any, model: nn.Module, data: Any) -> Numbers:
    """Gradients are scaled to a norm of at most 0.1 before each step."""

    def callback(all_grads: Any) -> Any:
        norm = torch.stack([grad.square().sum() for grad in all_grads]).sum().sqrt()
        return [grad * (0.1 / norm) for grad in all_grads]

    opt = torch.optim.SGD(model.parameters(), lr=1.0)
    with higher.innerloop_ctx(model, opt) as (fmodel, diffopt):
        for xs, ys in data:
            diffopt.step(F.cross_entropy(fmodel(xs), ys), grad_callback=callback)
        loss = F.cross_entropy(fmodel(data[0][0]), data[0][1])
    return [loss, *torch.autograd.grad(loss, fmodel.parameters(time=0))]


def functional_with_created_optimizer(
    higher: Any, model: nn.Module, data: Any, **options: float
) -> Numbers:
    """`make_functional` and `create_diff_optim`, every weight passed by hand."""
    fmodel = higher.patch.make_functional(model)
    params = higher.utils.get_func_params(model)
    diffopt = higher.create_diff_optim(
        torch.optim.Adam, {"lr": 0.05, **options}, params=[p.detach() for p in params]
    )
    first = params
    for xs, ys in data:
        loss = F.cross_entropy(fmodel(xs, params=params), ys)
        params = diffopt.step(loss, params=params)
    loss = F.cross_entropy(fmodel(data[0][0], params=params), data[0][1])
    return [*params, *torch.autograd.grad(loss, first)]


# ── README: Adding your own optimizers ───────────────────────────────────────────────────────


class Averaged(torch.optim.Optimizer):
    """An optimiser of the user's: steps along an average of the gradients."""

    def __init__(self, params: Any, lr: float, keep: float) -> None:
        super().__init__(params, {"lr": lr, "keep": keep})

    def step(self, closure: Any = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            for p in group["params"]:
                if p.grad is None:
                    continue
                state = self.state[p]
                average = state.setdefault("average", torch.zeros_like(p))
                average.mul_(group["keep"]).add_(p.grad.data)
                p.data.sub_(group["lr"] * average)


def optimizer_of_ones_own(higher: Any, model: nn.Module, data: Any) -> Numbers:
    """After one step of the optimiser itself, two of its differentiable form."""

    class DiffAveraged(higher.optim.DifferentiableOptimizer):  # type: ignore[misc]
        def _update(self, grouped_grads: Any, **kwargs: Any) -> None:
            zipped = zip(self.param_groups, grouped_grads, strict=True)
            for group_idx, (group, grads) in enumerate(zipped):
                for p_idx, (p, g) in enumerate(zip(group["params"], grads, strict=True)):
                    if g is None:
                        continue
                    state = self.state[group_idx][p_idx]
                    average = state.get("average", torch.zeros_like(p))
                    state["average"] = average = average.mul(group["keep"]).add(g)
                    group["params"][p_idx] = p - group["lr"] * average

    higher.register_optim(Averaged, DiffAveraged)
    opt = Averaged(model.parameters(), lr=0.1, keep=0.5)
    F.cross_entropy(model(data[0][0]), data[0][1]).backward()
    opt.step()
    return example_usage(higher, model, opt, data)
