"""What can go wrong in a linear solver, and what is said then."""

from __future__ import annotations

import warnings

import torch
from torch import Tensor

from metann.errors import ArgumentError, LinearSolveError, NotConvergedWarning


def require_settings(steps: int, tolerance: float | None) -> None:
    """Raise unless a solver can be run with these.

    Raises:
        ArgumentError: it cannot.
    """
    if steps < 1 or (tolerance is not None and not 0 < tolerance < 1):
        raise ArgumentError(
            "a linear solver needs steps >= 1 and a tolerance between 0 and 1, "
            f"got steps={steps} and tolerance={tolerance}. "
            "Give tolerance=None to take all steps whatever is left."
        )


def share(which: Tensor) -> str:
    """How many of the tasks these are, in words."""
    if which.numel() == 1:
        return "here"
    return f"for {int(which.sum())} of {which.numel()} tasks"


def require_finite(target: Tensor, *found: Tensor) -> None:
    """Raise unless all is finite: the target, and what was found for it.

    Raises:
        LinearSolveError: it is not.
    """
    if not bool(torch.isfinite(target).all()):
        raise LinearSolveError(
            "the gradient that an implicit solution was given is not finite. Look for the reason "
            "in the outer loss: torch.autograd.set_detect_anomaly(True) names the operation."
        )
    if not all(bool(torch.isfinite(tensor).all()) for tensor in found):
        raise LinearSolveError(
            "a product with the Hessian of the inner objective is not finite, or the solver "
            "diverged. See that the inner loop has converged and that its loss is smooth there; "
            "for a Neumann series take a lower rate."
        )


def require_definite(curvatures: Tensor, damping: float) -> None:
    """Raise unless the least curvature that each task has seen is positive.

    Raises:
        LinearSolveError: one is not.
    """
    wrong = curvatures <= 0
    if not bool(wrong.any()):
        return
    least = float(curvatures.min())
    raise LinearSolveError(
        "conjugate gradient needs a positive definite matrix; that of the inner objective has a "
        f"curvature of {least:.3g} {share(wrong)}, so the point is no strict minimum. Make the "
        f"proximal term stronger, or the damping of the solver {damping:.3g}, by more than "
        f"{abs(least):.3g}; take more inner steps; or give indefinite='stop' to keep what was "
        "reached."
    )


def require_convergent(length: Tensor, rate: float) -> None:
    """Raise if the last term of a Neumann series is longer than the first, which has length 1.

    Raises:
        LinearSolveError: it is.
    """
    grown = length > 1
    if bool(grown.any()):
        raise LinearSolveError(
            f"the Neumann series diverges {share(grown)}: with rate={rate:.3g} its last term is "
            f"{float(length.max()):.3g} times as long as its first. Take a rate below 2 / the "
            "greatest eigenvalue; if the matrix is not positive definite there is none: make the "
            "proximal term stronger."
        )


def warn_unless_done(is_open: Tensor, length: Tensor, tolerance: float, steps: int) -> None:
    """Warn if a task goes on: of the length of its target, 1, so much is left.

    Warns:
        NotConvergedWarning: one does.
    """
    if bool(is_open.any()):
        warnings.warn(
            f"a linear solver has not reached tolerance={tolerance:.3g} {share(is_open)} after "
            f"{steps} steps: {float(length.max()):.3g} of the target is left, and the implicit "
            "gradient is off by as much. Give more steps, a stronger proximal term, or "
            "tolerance=None if so many steps are what you want.",
            NotConvergedWarning,
            stacklevel=3,
        )
