"""Meta-gradients through two inner steps against finite differences: 56 cases of 56 are right."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from scoreboard import FURTHER, LAZY, SCOREBOARD
from scoreboard.case import Case
from unrolled import (
    Loss,
    Weights,
    along,
    by_learner,
    by_substitution,
    direction_for,
    in_place,
    slope_along,
    unrolled,
)

from metann import DependentModule, Learner
from metann.errors import UninitializedModuleError

CASES = [*SCOREBOARD, *FURTHER]
# What is recomputed later would see what has been substituted since: `functional` is for that.
ONE_MODULE = [case for case in CASES if case.name != "activation checkpointing inside"]


def test_there_are_56_cases_with_names_of_their_own() -> None:
    assert len({case.name for case in SCOREBOARD}) == len(SCOREBOARD) == 56


@pytest.mark.parametrize("case", CASES, ids=str)
def test_the_meta_gradient_by_functional_is_that_of_training_in_place(case: Case) -> None:
    check(case, by_learner)


@pytest.mark.parametrize("case", ONE_MODULE, ids=str)
def test_the_meta_gradient_by_substitution_is_that_of_training_in_place(case: Case) -> None:
    check(case, by_substitution)


def check(case: Case, way: Callable[[Case], tuple[Loss, Weights]]) -> None:
    loss, gradient = unrolled(*way(case))
    _, first_order = unrolled(*way(case), create_graph=False)
    direction = direction_for(gradient)
    wanted = slope_along(case, direction)

    assert torch.isclose(loss, in_place(case, direction), rtol=1e-10, atol=0)
    assert torch.isclose(along(gradient, direction), wanted, rtol=1e-7, atol=0)
    # Without its second derivatives it would not pass.
    assert not torch.isclose(along(first_order, direction), wanted, rtol=1e-3, atol=0)


def test_a_lazy_module_before_its_first_call_is_a_clear_error() -> None:
    for use in (Learner, DependentModule):
        with pytest.raises(
            UninitializedModuleError, match=r"0 \(.*LazyLinear\) .*weight, bias have no shape yet"
        ):
            use(LAZY.make())
