"""The updates written out plainly, from the papers, for scalars and tensors of one shape.

Each takes a parameter, its gradient, a dict to remember things in, and the number of the step from
1, and returns the parameter after it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

Memory = dict[str, Any]


def gradient_descent(p: Tensor, g: Tensor, memory: Memory, number: int, **h: Any) -> Tensor:
    g = (-g if h["maximize"] else g) + h["weight_decay"] * p
    v = memory["v"] = (
        g if number == 1 else (h["momentum"] * memory["v"] + (1 - h.get("dampening", 0.0)) * g)
    )
    return p - h["lr"] * (g + h["momentum"] * v if h.get("nesterov") else v)


def decayed(p: Tensor, g: Tensor, h: dict[str, Any], is_decoupled: bool) -> tuple[Tensor, Tensor]:
    g = -g if h["maximize"] else g
    if is_decoupled:
        return p - h["lr"] * h["weight_decay"] * p, g
    return p, g + h["weight_decay"] * p


def moments(g: Tensor, memory: Memory, beta1: Tensor, beta2: Tensor) -> tuple[Tensor, Tensor]:
    memory["m"] = beta1 * memory.get("m", 0.0) + (1 - beta1) * g
    memory["v"] = beta2 * memory.get("v", 0.0) + (1 - beta2) * g**2
    return memory["m"], memory["v"]


def adam(p: Tensor, g: Tensor, memory: Memory, number: int, **h: Any) -> Tensor:
    beta1, beta2 = h["betas"]
    p, g = decayed(p, g, h, h["decoupled_weight_decay"])
    m, v = moments(g, memory, beta1, beta2)
    if h["amsgrad"]:
        v = memory["largest"] = torch.max(v, memory.get("largest", v))
    m_hat, v_hat = m / (1 - beta1**number), v / (1 - beta2**number)
    return p - h["lr"] * m_hat / (v_hat.sqrt() + h["eps"])


def adamw(p: Tensor, g: Tensor, memory: Memory, number: int, **h: Any) -> Tensor:
    return adam(p, g, memory, number, decoupled_weight_decay=True, **h)


def nadam(p: Tensor, g: Tensor, memory: Memory, number: int, **h: Any) -> Tensor:
    beta1, beta2 = h["betas"]
    p, g = decayed(p, g, h, h["decoupled_weight_decay"])
    m, v = moments(g, memory, beta1, beta2)
    mu, following = (
        beta1 * (1 - 0.96 ** (t * h["momentum_decay"]) / 2) for t in (number, number + 1)
    )
    memory["product"] = memory.get("product", 1.0) * mu
    m_hat = following * m / (1 - memory["product"] * following)
    m_hat = m_hat + (1 - mu) * g / (1 - memory["product"])
    return p - h["lr"] * m_hat / ((v / (1 - beta2**number)).sqrt() + h["eps"])


def radam(p: Tensor, g: Tensor, memory: Memory, number: int, **h: Any) -> Tensor:
    beta1, beta2 = h["betas"]
    p, g = decayed(p, g, h, h["decoupled_weight_decay"])
    m, v = moments(g, memory, beta1, beta2)
    m_hat = m / (1 - beta1**number)
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * number * beta2**number / (1 - beta2**number)
    if length <= 5:
        return p - h["lr"] * m_hat
    r = (length - 4) * (length - 2) * longest / ((longest - 4) * (longest - 2) * length)
    return p - h["lr"] * m_hat * r.sqrt() * (1 - beta2**number).sqrt() / (v.sqrt() + h["eps"])


def adamax(p: Tensor, g: Tensor, memory: Memory, number: int, **h: Any) -> Tensor:
    beta1, beta2 = h["betas"]
    p, g = decayed(p, g, h, is_decoupled=False)
    m = memory["m"] = beta1 * memory.get("m", 0.0) + (1 - beta1) * g
    u = memory["u"] = torch.max(beta2 * memory.get("u", torch.zeros_like(p)), g.abs() + h["eps"])
    return p - h["lr"] / (1 - beta1**number) * m / u


PLAIN: dict[str, Callable[..., Tensor]] = {
    "SGD": gradient_descent,
    "Adam": adam,
    "AdamW": adamw,
    "NAdam": nadam,
    "RAdam": radam,
    "Adamax": adamax,
}
