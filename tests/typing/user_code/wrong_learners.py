"""Wrong use of learners: each marked line is an error, by the rules named."""

from __future__ import annotations

from torch import Tensor, nn

from metann import Learner


class Net(nn.Module):
    """A module whose forward is annotated."""

    def forward(self, x: Tensor, scale: float = 1.0) -> Tensor:
        return x * scale


def arguments(params: list[Tensor], x: Tensor) -> None:
    learner = Learner(Net())
    # E: mypy[call-overload] pyright[reportArgumentType] pyrefly[no-matching-overload]
    learner.functional(params, True, "x")
    # E: mypy[call-overload] pyright[reportCallIssue] pyrefly[no-matching-overload]
    learner.functional(params, True, x, scales=2.0)
    # E: mypy[call-overload] pyright[reportCallIssue] pyrefly[no-matching-overload]
    learner.functional(params, x)
    # E: mypy[call-overload] pyrefly[no-matching-overload]
    # E: pyright[reportCallIssue, reportArgumentType]
    learner.functional(params, True, x, buffers="none")
    # E: mypy[call-overload] pyrefly[no-matching-overload]
    # E: pyright[reportCallIssue, reportArgumentType]
    learner.batched(params, True, x, buffers="writeback")
    # E: mypy[type-var] pyright[reportArgumentType] pyrefly[bad-specialization]
    Learner("net")


def results(params: list[Tensor], x: Tensor) -> str:
    learner = Learner(nn.Linear(3, 4))
    # E: mypy[misc] pyright[reportAttributeAccessIssue] pyrefly[read-only]
    learner.module = nn.Linear(3, 4)
    # E: mypy[return-value] pyright[reportReturnType] pyrefly[bad-return]
    return learner.functional(params, True, x)
