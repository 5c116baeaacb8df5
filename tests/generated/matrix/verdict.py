"""What came of asking one side one question about one use of a layer."""

from __future__ import annotations

import traceback
import warnings
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from torch.autograd.gradcheck import GradcheckError

from matrix.problem import Use
from matrix.sides import Side

if TYPE_CHECKING:
    from matrix.columns import Column


@dataclass(frozen=True)
class Verdict:
    """`kind` is "wrong" where there was a result without an error, and it was not right."""

    kind: Literal["right", "wrong", "error"]
    text: str = ""

    def __str__(self) -> str:
        return f"{self.kind}: {self.text}" if self.text else self.kind


def verdict(column: Column, use: Use, side: type[Side]) -> Verdict:
    """Ask, and say what came of it. What warns is no matter here: other tests see to that."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            column.check(use, side)
    except Exception as error:  # noqa: BLE001 - whatever it is, it is the verdict
        return Verdict("wrong" if _is_ours(error) else "error", _beginning(error))
    return Verdict("right")


def _is_ours(error: Exception) -> bool:
    """Whether a comparison failed, rather than torch, which has assertions of its own."""
    *_, (frame, _) = traceback.walk_tb(error.__traceback__)
    module = frame.f_globals.get("__name__", "")
    compares = module.split(".")[0] in {"matrix", "measuring"} or module.startswith("torch.testing")
    return isinstance(error, GradcheckError) or (isinstance(error, AssertionError) and compares)


def _beginning(error: Exception) -> str:
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text[:300]}"
