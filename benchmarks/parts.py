"""What `run.py` runs: the parts in the order of the page, each a program in this folder."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass


class UnknownPartError(ValueError):
    """There is no part of the given name."""


@dataclass(frozen=True)
class Part:
    """A program, what it is given by default, and what it is given for `--full`.

    Attributes:
        name: on the command line.
        title: on the page.
        text: what is measured, for the reader of the page.
        figure: the file name of its figure, if it has one.
        minutes: after these it is ended, and counts as failed; five times as many with `--full`.
    """

    name: str
    title: str
    text: str
    program: str
    options: tuple[str, ...] = ()
    full: tuple[str, ...] = ()
    figure: str | None = None
    minutes: float = 6.0

    def arguments(self, full: bool) -> list[str]:
        """The program and its options."""
        return [self.program, *(self.full if full else self.options)]

    def command(self, full: bool) -> str:
        """What a reader types for the same."""
        return " ".join(["python", f"benchmarks/{self.program}", *self.arguments(full)[1:]])


PARTS = (
    Part(
        "overhead",
        "A call with other weights",
        "A module is called as it is, with `torch.func.functional_call`, and in three ways of "
        "metann, in one process and in turn. The ratio is taken within each round; shown is the "
        "median.",
        "overhead.py",
        ("--rounds", "150"),
        figure="overhead.png",
    ),
    Part(
        "first-order",
        "First-order gradients",
        "Forward and backward of a Transformer. The second derivatives that metann gives to torch "
        "must cost nothing where nobody asks for them; for the plain module they are withdrawn.",
        "first_order.py",
        ("--rounds", "15"),
    ),
    Part(
        "meta-step",
        "A meta-step",
        "The losses of all tasks after adaptation and their gradient, to second order. Everyone "
        "computes the same, which is checked in float64 first. The ratio is our time to that of "
        "each, within a round; below 1 metann is faster. *Best peer* is the fastest of the loops "
        "over tasks by other libraries.",
        "meta_step.py",
        ("--seconds", "9"),
        figure="meta_step.png",
        minutes=12,
    ),
    Part(
        "memory",
        "Memory of a meta-step",
        "The most bytes of tensors at a time, counted by torch's profiler, for some numbers of "
        "inner steps; each figure is from a process of its own. *resident* is what the process "
        "had at its peak, *seconds* the processor's time, both of the longest loop.",
        "memory.py",
        ("steps", "--most", "5", "--size", "42"),
        full=("steps",),
        figure="memory.png",
    ),
    Part(
        "meta-steps",
        "Memory and time of many meta-steps",
        "What a process has grown by after the first tenth of them, and the time of a meta-step "
        "in the second tenth (*early*) and in the last (*late*).",
        "memory.py",
        ("meta-steps", "--count", "200"),
        full=("meta-steps", "--count", "1000"),
    ),
    Part(
        "implicit",
        "Implicit gradients",
        "A meta-step by implicit gradients, five steps of the solver, beside one that goes back "
        "through the inner steps; and what its graph keeps.",
        "implicit.py",
        ("--rounds", "3", "--most", "16"),
        full=("--rounds", "7"),
    ),
    Part(
        "mixed-mode",
        "Three ways through an inner loop",
        "Its graph kept, its steps recomputed (`checkpoint=True`), or differentiated in forward "
        "mode (`mixed_mode=True`).",
        "mixed_mode.py",
        ("--rounds", "3", "--most", "8"),
        full=("--rounds", "5"),
    ),
    Part(
        "compiled",
        "torch.compile",
        "A whole meta-step as one graph, and what it takes to make it. Both give the same "
        "meta-gradient, up to rounding.",
        "compiled.py",
        ("--rounds", "10", "--steps", "1", "2"),
        full=("--steps", "1", "5"),
    ),
    Part(
        "foreach",
        "Inner steps by foreach kernels",
        "Five steps of an optimiser by torch's kernels for lists of tensors, to a loop over the "
        "parameters. Below 1 they are faster.",
        "foreach_kernels.py",
        ("--rounds", "15"),
        full=("--rounds", "40"),
    ),
    Part(
        "sinusoid",
        "Table 2 of the MAML paper",
        "The sinusoid regression of [arXiv 1703.03400](https://arxiv.org/abs/1703.03400), trained "
        "anew: squared errors after some steps on curves that the net has not seen. With `--full` "
        "it is trained as long as in the paper and held against its figures, which were 0.67, "
        "0.38 and 0.35; a short training does not reach them. "
        "The figure is of a full one with seed 1.",
        "sinusoid.py",
        ("--iterations", "2000"),
        full=("--full",),
        figure="sinusoid.png",
        minutes=12,
    ),
    Part(
        "generator",
        "The generator",
        "What `python tools/generate.py --check` takes for all layers of torch, and what the first "
        "use of a class of yours takes, whose counterpart is then written in memory.",
        "generator.py",
        ("--rounds", "2"),
    ),
    Part(
        "import",
        "Imports",
        "What `import metann` adds to `import torch`, by the processor's time. Names are loaded "
        "when first used, so the rows below it say what that adds, with all that stands above.",
        "importing.py",
        ("--rounds", "7"),
    ),
    Part(
        "conversion",
        "Conversion",
        "A net of 200 modules, and models of the sizes of ResNet-18 and GPT-2 in plain torch "
        "([big_models.py](../benchmarks/big_models.py)). `Learner(net)` plans its calls; "
        "`stateless` copies everything but the weights.",
        "conversion.py",
        ("--rounds", "20"),
    ),
    Part(
        "checking",
        "Type checkers",
        "What the processor takes to open a file that uses metann, and the same file with "
        "`torch.nn` alone.",
        "checking.py",
        ("--rounds", "3"),
        full=("--rounds", "9"),
    ),
    Part(
        "wheel",
        "The wheel",
        "Built as a release is; kB of 1000 bytes.",
        "wheel.py",
    ),
)


def chosen(names: Sequence[str]) -> tuple[Part, ...]:
    """The parts of these names, or all, in the order of the page.

    Raises:
        UnknownPartError: there is none of this name.
    """
    known = {part.name for part in PARTS}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise UnknownPartError(
            f"no part of the benchmarks is called {', '.join(unknown)}; "
            f"there are {', '.join(sorted(known))}"
        )
    return tuple(part for part in PARTS if not names or part.name in names)
