"""The names and calls of higher, on top of metann: differentiable inner loops.

Change `import higher` to `from metann.compat import higher`.
"""

from metann.compat.higher import optim as optim
from metann.compat.higher import patch as patch
from metann.compat.higher import utils as utils
from metann.compat.higher.context import innerloop_ctx as innerloop_ctx
from metann.compat.higher.functional_module import FunctionalModule as FunctionalModule
from metann.compat.higher.optim import create_diff_optim as create_diff_optim
from metann.compat.higher.optim import get_diff_optim as get_diff_optim
from metann.compat.higher.optim import register_optim as register_optim
from metann.compat.higher.patch import monkeypatch as monkeypatch

__all__ = [
    "FunctionalModule",
    "create_diff_optim",
    "get_diff_optim",
    "innerloop_ctx",
    "monkeypatch",
    "optim",
    "patch",
    "register_optim",
    "utils",
]
