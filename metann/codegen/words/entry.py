"""What is said of one layer in the docstring of its counterpart."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Words:
    """What a layer computes, and what its sources do not say of its dependents.

    `computes` is the first line. A formula in backticks is Python; "for each element x" makes it
    one of numbers. `more` is what does not fit there.
    `shape`: of what forward takes and returns. Example: "(N, C, H, W) -> (N, C), or without N"
    `dependents`: what is said of those whose registration cannot be read. Example:
    {"weight_hr_l[k]": "shape (proj_size, hidden_size), absent without proj_size"}
    `holds`: what else has dependents, if it is not only submodules that can be read.
    """

    computes: str
    more: str = ""
    shape: str = ""
    dependents: Mapping[str, str] = field(default_factory=dict[str, str])
    holds: str = ""
