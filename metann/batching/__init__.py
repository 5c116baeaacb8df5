"""One call for all tasks: every weight and argument with a leading task axis."""

from metann.batching.choosing import How as How
from metann.batching.choosing import Way as Way
from metann.batching.choosing import over_tasks as over_tasks

__all__ = ["How", "Way", "over_tasks"]
