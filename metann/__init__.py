"""PyTorch layers whose weights may be results of a computation.

Names are imported when first used: the generator works without importing torch, and the generated
layers are loaded one file at a time.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from metann import errors as errors
    from metann import generated as generated
    from metann import meta as meta
    from metann import optim as optim
    from metann import tasks as tasks
    from metann import utils as utils
    from metann.convert import to_dependent as to_dependent
    from metann.learner import Learner as Learner
    from metann.meta import MAML as MAML
    from metann.module import DependentModule as DependentModule
    from metann.registry import register as register
    from metann.registry import set_missing_policy as set_missing_policy
else:  # For type checkers every name would exist if this function did: they report no misspelling.

    def __getattr__(name: str) -> object:
        """Import a public name when it is first asked for."""
        if name not in _HOMES:
            raise AttributeError(f"module 'metann' has no attribute {name!r}")
        home = import_module(_HOMES[name])
        value: object = home if home.__name__ == f"metann.{name}" else getattr(home, name)
        globals()[name] = value
        return value


# The public name -> the module that holds it; a submodule stands for itself.
_HOMES = {
    "DependentModule": "metann.module",
    "Learner": "metann.learner",
    "MAML": "metann.meta",
    "errors": "metann.errors",
    "generated": "metann.generated",
    "meta": "metann.meta",
    "optim": "metann.optim",
    "register": "metann.registry",
    "set_missing_policy": "metann.registry",
    "tasks": "metann.tasks",
    "to_dependent": "metann.convert",
    "utils": "metann.utils",
}

__all__ = [
    "MAML",
    "DependentModule",
    "Learner",
    "errors",
    "generated",
    "meta",
    "optim",
    "register",
    "set_missing_policy",
    "tasks",
    "to_dependent",
    "utils",
]
__version__: str = "0.4.0"


def __dir__() -> list[str]:
    """All public names, imported or not."""
    return sorted({*globals(), *__all__})
