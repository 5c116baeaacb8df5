"""Which of torch's operations have another form here, the reason, and where to read about it.

Two tables, one readable place. `REPLACED`: what the generator writes into generated classes, and
what a functional call puts in its place when a user's own module calls it under a transform.
`SUPPLIED`: whose second derivative is given to torch. Nothing here needs torch.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Replaced:
    """A function of torch, and the one with every derivative and a batching rule.

    Attributes:
        original: torch's name, in full.
        by: the name of ours in `metann.functional`.
        why: what torch's lacks, or gets wrong.
        link: torch's documentation or issue.
    """

    original: str
    by: str
    why: str
    link: str


@dataclass(frozen=True)
class Supplied:
    """An operator of torch, mostly a backward pass, and its form that can be differentiated.

    Attributes:
        operator: its name among `torch.ops.aten`, with the overload if it is not the default.
        by: the name of ours in `metann.functional`.
        why: what torch's lacks, or gets wrong.
        link: torch's documentation or issue.
    """

    operator: str
    by: str
    why: str
    link: str


REPLACED: tuple[Replaced, ...] = (
    Replaced(
        "torch.nn.functional.scaled_dot_product_attention",
        "scaled_dot_product_attention",
        "the fused kernels have neither a forward-mode derivative nor a batching rule",
        "https://github.com/pytorch/pytorch/issues/128971",
    ),
)

SUPPLIED: tuple[Supplied, ...] = (
    Supplied(
        "_scaled_dot_product_flash_attention_for_cpu_backward",
        "flash_attention_backward",
        "its derivative is not implemented, so no Transformer layer had a second order",
        "https://github.com/pytorch/pytorch/issues/117974",
    ),
)
