"""Learning rates that follow the number of updates."""

from __future__ import annotations

import math

from metann.compat.torchopt.stages import Schedule
from metann.optim.hyper import Value


def polynomial_schedule(
    init_value: Value,
    end_value: Value,
    power: Value,
    transition_steps: int,
    transition_begin: int = 0,
) -> Schedule:
    """From one value to another by a power of the share of the steps that is left.

    Args:
        init_value: until `transition_begin` updates have been made.
        end_value: when `transition_steps` more have been made.
        power: 1 is a straight line.
        transition_steps: how many; 0 stays at `init_value`.
        transition_begin: how many updates come before.

    Source: the function of this name in TorchOpt 0.7, which is that of optax.
    """

    def schedule(count: int) -> Value:
        if transition_steps <= 0:
            return init_value
        done = min(max(count - max(transition_begin, 0), 0), transition_steps)
        left = 1 - done / transition_steps
        return (init_value - end_value) * left**power + end_value

    return schedule


def linear_schedule(
    init_value: Value, end_value: Value, transition_steps: int, transition_begin: int = 0
) -> Schedule:
    """A straight line from one value to another: `polynomial_schedule` with power 1."""
    return polynomial_schedule(init_value, end_value, 1, transition_steps, transition_begin)


def exponential_decay(
    init_value: Value,
    decay_rate: float,
    transition_begin: int = 0,
    transition_steps: int = 1,
    staircase: bool = False,
    end_value: float | None = None,
) -> Schedule:
    """Times `decay_rate` for every `transition_steps` updates.

    Args:
        init_value: until `transition_begin` updates have been made.
        decay_rate: below 1 it falls, above 1 it rises; 0 stays at `init_value`.
        transition_begin: how many updates come before.
        transition_steps: how many updates the rate is for; 0 stays at `init_value`.
        staircase: fall at whole multiples of these alone.
        end_value: where it stops.

    Source: the function of this name in TorchOpt 0.7, which is that of optax.
    """

    def schedule(count: int) -> Value:
        done = count - max(transition_begin, 0)
        if transition_steps <= 0 or decay_rate == 0:
            return init_value
        share = done / transition_steps
        exponent = math.floor(share) if staircase else share
        value = init_value * decay_rate**exponent if done > 0 else init_value
        if end_value is None:
            return value
        return max(value, end_value) if decay_rate < 1 else min(value, end_value)

    return schedule
