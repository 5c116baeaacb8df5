"""How many bytes of tensors a function needs: counted, not timed or estimated."""

from __future__ import annotations

from collections.abc import Callable
from itertools import accumulate
from typing import Any

from torch.profiler import ProfilerActivity, profile


def peak_bytes(function: Callable[[], object]) -> int:
    """The most that torch's CPU allocator had given out during a call, and not had back.

    The call is made once before that: what is kept for good is there then.
    """
    function()
    return max(_in_use(function))


def left_bytes(function: Callable[[], object]) -> int:
    """What it had given out during a call, and not had back at the end."""
    return _in_use(function)[-1]


def _in_use(function: Callable[[], object]) -> list[int]:
    """What has been given out since the call began, after each allocation and each release."""
    with profile(activities=[ProfilerActivity.CPU], profile_memory=True) as profiled:
        function()
    results: Any = profiled.profiler.kineto_results
    events = [event for event in results.events() if event.name() == "[memory]"]
    events.sort(key=lambda event: event.start_ns())
    return [*accumulate(event.nbytes() for event in events)]
