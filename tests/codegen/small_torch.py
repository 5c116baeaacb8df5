"""A torch of a few classes, as source files: what the generator reads, at the size of a test."""

from __future__ import annotations

from pathlib import Path

MODULE = """
from typing import Any

class Module:
    training: bool

    def __init__(self, *args: Any, **kwargs: Any) -> None: ...
"""

LINEAR = '''
import torch
from torch import Tensor
from torch.nn import functional as F
from torch.nn.parameter import Parameter, UninitializedParameter

from .lazy import LazyModuleMixin
from .module import Module

class Linear(Module):
    """Text of torch's own, which is not carried over."""

    in_features: int
    weight: Tensor

    def __init__(
        self,
        in_features: int,
        out_features: int,
        bias: bool = True,
        device=None,
        dtype=None,
    ) -> None:
        factory_kwargs = {"device": device, "dtype": dtype}
        super().__init__()
        self.weight = Parameter(
            torch.empty((out_features, in_features), **factory_kwargs)
        )
        if bias:
            self.bias = Parameter(torch.empty(out_features, **factory_kwargs))
        else:
            self.register_parameter("bias", None)

    def forward(self, input: Tensor) -> Tensor:
        """Runs."""
        return F.linear(input, self.weight, self.bias)

class LazyLinear(LazyModuleMixin, Linear):
    cls_to_become = Linear
    weight: UninitializedParameter

    def __init__(self, out_features: int) -> None:
        super().__init__(0, 0, False)
        self.weight = UninitializedParameter()
'''

FILES = {
    "version.py": '__version__ = "2.13.0+cpu"\n',
    "types.py": "from torch import Size\n\nDevice = str | int | None\n",
    "nn/__init__.py": "from torch.nn.modules import *\n",
    "nn/common_types.py": (
        "from typing import TypeVar\n\n"
        'T = TypeVar("T")\n'
        "_scalar_or_tuple_2_t = T | tuple[T, T]\n"
        "_size_2_t = _scalar_or_tuple_2_t[int]\n"
        "_size_2_opt_t = _scalar_or_tuple_2_t[int | None]\n"
    ),
    "nn/modules/__init__.py": (
        "from .module import Module\n"
        "from .linear import LazyLinear, Linear\n\n"
        '__all__ = ["LazyLinear", "Linear", "Module"]\n'
    ),
    "nn/modules/module.py": MODULE,
    "nn/modules/linear.py": LINEAR,
    "nn/modules/lazy.py": "class LazyModuleMixin: ...\n",
    "nn/utils/parametrize.py": "",
    "nn/utils/parametrizations.py": "",
}


def write_torch(folder: Path, version: str = "2.13.0", **more: str) -> Path:
    """Write the small torch; `more` are files of torch.nn.modules with one class each.

    Example: `write_torch(folder, pool="class Pool(Module): ...")` adds nn/modules/pool.py, and
    exports Pool from torch.nn
    """
    for name, text in FILES.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    (folder / "version.py").write_text(f'__version__ = "{version}+cpu"\n')
    package = folder / "nn/modules/__init__.py"
    for name, text in more.items():
        (folder / f"nn/modules/{name}.py").write_text(f"from .module import Module\n{text}")
        class_name = text.partition("class ")[2].partition("(")[0]
        exported = package.read_text().replace("__all__ = [", f'__all__ = ["{class_name}", ')
        package.write_text(f"from .{name} import {class_name}\n{exported}")
    return folder
