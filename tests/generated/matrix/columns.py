"""The columns of the matrix: what is asked of every layer."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from matrix import batching, citizens, differentiating, lowering
from matrix.problem import Use
from matrix.sides import Side


@dataclass(frozen=True)
class Column:
    """A question.

    Attributes:
        title: the head of the column.
        question: what is compared with what.
        check: raises if the side has no answer, or a wrong one.
        is_slow: the tests ask only about the first sample of each layer, the command about all.
    """

    title: str
    question: str
    check: Callable[[Use, type[Side]], None]
    is_slow: bool = False


COLUMNS = (
    Column(
        "forward",
        "the output under other weights than the module's, with a plain module of these weights",
        citizens.forward,
    ),
    Column(
        "gradient",
        "by weights and real inputs, with finite differences (`gradcheck`)",
        differentiating.first_order,
    ),
    Column(
        "second order",
        "the derivative of the gradient, with finite differences (`gradgradcheck`)",
        differentiating.second_order,
    ),
    Column(
        "vmap",
        "outputs and gradients for several sets of weights (or of inputs, if there are none) at "
        "once, with a loop; random layers with `randomness` of both kinds",
        batching.over_parameters,
    ),
    Column(
        "jvp",
        "the change along a direction by forward mode, with that by reverse mode",
        differentiating.forward_mode,
    ),
    Column(
        "forward over reverse",
        "`jvp` of `grad`, a Hessian times a vector, with finite differences of the gradient",
        differentiating.forward_over_reverse,
    ),
    Column(
        "compile",
        '`torch.compile(fullgraph=True, backend="aot_eager")`: outputs and gradients, with those '
        "that are not compiled",
        lowering.compiled,
        is_slow=True,
    ),
    Column(
        "bf16 autocast",
        "outputs and gradients in bfloat16, with a plain module's under the same autocast; a "
        "second order that is finite",
        lowering.under_autocast,
    ),
    Column(
        "pickle",
        "a model with computed weights, saved and loaded: its output, with that before",
        citizens.pickled,
    ),
    Column(
        "deepcopy",
        "a copy of a model with computed weights, which shares no memory: its output, with that "
        "of the original",
        citizens.deep_copied,
    ),
    Column(
        "meta",
        "on the meta device: shapes and types of outputs and gradients, with those of real data",
        citizens.on_meta,
    ),
)
