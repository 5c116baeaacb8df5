"""Imports are put where a person would put them; those that were needed no more are gone."""

from __future__ import annotations

import pytest
from before_after import assert_rewrites, assert_stays, plain, rewritten

from metann.codegen.errors import CodegenError

MANY = '''
    #!/usr/bin/env python
    # Licence: MIT

    """What this file is for."""

    from __future__ import annotations

    import math  # maths
    import os

    # Others' packages.
    import numpy as np
    import torch
    from einops import rearrange
    from torch import nn
    from zlib_ng import crc32

    # Ours.
    from .blocks import Block
    from ..other import thing

    net = nn.Linear(3, 4), nn.init.ones_
    '''

DEPENDENT_MANY = '''
    #!/usr/bin/env python
    # Licence: MIT

    """What this file is for."""

    from __future__ import annotations

    import math  # maths
    import os

    # Others' packages.
    import numpy as np
    import torch
    from einops import rearrange
    from metann.generated import DependentLinear
    from torch import nn
    from zlib_ng import crc32

    # Ours.
    from .blocks import Block
    from ..other import thing

    net = DependentLinear(3, 4), nn.init.ones_
    '''


def test_new_imports_stand_among_those_of_installed_packages() -> None:
    assert_rewrites(
        MANY,
        DEPENDENT_MANY,
    )


@pytest.mark.parametrize(
    ("before", "after"),
    [
        ("import os\n\nfrom torch import nn\n", "import os\n\n{}"),
        ("import os\n\nimport torch.nn as nn\n", "import os\n\n{}"),
        ("import os\n\nimport torch.nn as nn\nimport zzz\n", "import os\n\nimport zzz\n{}"),
        ("import torch.nn as nn\n\nfrom . import b\n", "{}\nfrom . import b\n"),
        ("import os\nfrom torch import nn\n", "import os\n{}"),
        ('"""Doc."""\nfrom torch import nn\n', '"""Doc."""\n{}'),
        ('"""Doc."""\n\nfrom torch import nn\n', '"""Doc."""\n\n{}'),
        ("# Licence\nfrom torch import nn\n", "# Licence\n{}"),
        ("# Licence\n\n\nfrom torch import nn\n", "# Licence\n\n\n{}"),
        ("import os\n# nets\nfrom torch import nn\n", "import os\n{}# nets\n"),
        ("from torch import nn; import os\n", "import os\n\n{}"),
        ("if True:\n    from torch import nn\n    import os\n", "{}\nif True:\n    import os\n"),
        ("if True:\n    from torch import nn\n", "{}\nif True:\n    from torch import nn\n"),
        ("from torch import nn, Tensor\n", "{}from torch import Tensor\n"),
        ("from torch import Tensor, nn\n", "{}from torch import Tensor\n"),
        ("from torch import (\n  Tensor,\n  nn,\n)\n", "{}from torch import (\n  Tensor,\n)\n"),
        ("from torch import (\n  nn,\n  Tensor,\n)\n", "{}from torch import (\n  Tensor,\n)\n"),
        (
            "from torch import (\n    Tensor,  # T\n    nn,\n)\n",
            "{}from torch import (\n    Tensor,  # T\n)\n",
        ),
        ("import torch, torch.nn as nn\n", "import torch\n{}"),
    ],
)  # fmt: skip
def test_an_import_that_is_no_longer_needed_is_gone(before: str, after: str) -> None:
    new = "from metann.generated import DependentLinear\n"

    assert_rewrites(
        f"{before}\nnet = nn.Linear(3, 4)\n", f"{after.format(new)}\nnet = DependentLinear(3, 4)\n"
    )


@pytest.mark.parametrize(
    "line",
    [
        "from torch.nn import Linear  # noqa: F401",
        "from torch.nn import Linear  # as others do",
        "from torch.nn import Linear as Linear",
        "from torch.nn import (  # layers\n    Linear,\n)",
        "from torch.nn import (\n    Linear,  # the layer\n)",
        "from torch.nn import Linear\n__all__ = ['Linear']",
        "from torch.nn import Linear\n__all__ = []\n__all__ += ['Linear']",
        "from torch.nn import Linear\n__all__ = []\n__all__.extend(('Linear',))",
        "from torch.nn import Linear\nx = []  # type: list[Linear]",
        "from torch.nn import Linear\nx: 'Linear'",
        "from torch.nn import Linear\nisinstance(3, Linear)",
        "from torch.nn import Linear\ndef f(x: Linear): ...",
    ],
)
def test_an_import_that_somebody_needs_stays(line: str) -> None:
    new = "from metann.generated import DependentLinear\n"

    assert_rewrites(f"{line}\nnet = Linear(3, 4)\n", f"{new}{line}\nnet = DependentLinear(3, 4)\n")


def test_imports_that_were_not_used_before_stay() -> None:
    assert_rewrites(
        """
        import torch
        import torch.nn.functional as F
        from torch import nn, optim
        from torch.nn import Linear, Conv2d

        net = Linear(3, 4)
        """,
        """
        import torch
        import torch.nn.functional as F
        from metann.generated import DependentLinear
        from torch import nn, optim
        from torch.nn import Conv2d

        net = DependentLinear(3, 4)
        """,
    )


def test_a_package_keeps_all_its_imports() -> None:
    text = "from torch.nn import Linear\n\nnet = Linear(3, 4)\n"

    found = rewritten(text, module="pkg", is_package=True).text

    assert "from torch.nn import Linear\n" in found
    assert "net = DependentLinear(3, 4)" in found


def test_imports_for_type_checkers_only() -> None:
    assert_rewrites(
        """
        from typing import TYPE_CHECKING

        import torch.nn as nn

        if TYPE_CHECKING:
            from torch import Tensor
            from torch.nn import Linear

        def f(x: Tensor, m: "Linear") -> Tensor:
            return nn.ReLU()(m(x))
        """,
        """
        from typing import TYPE_CHECKING

        from metann.generated import DependentReLU

        if TYPE_CHECKING:
            from torch import Tensor
            from torch.nn import Linear

        def f(x: Tensor, m: "Linear") -> Tensor:
            return DependentReLU()(m(x))
        """,
    )


def test_what_is_imported_from_metann_already_is_used() -> None:
    assert_rewrites(
        """
        from metann import DependentModule, Learner
        from metann.generated import DependentLinear
        from torch import nn

        class Net(nn.Module):
            layer = DependentLinear, nn.Linear, nn.Conv2d
        """,
        """
        from metann import DependentModule, Learner
        from metann.generated import DependentLinear
        from metann.generated import DependentConv2d

        class DependentNet(DependentModule):
            layer = DependentLinear, DependentLinear, DependentConv2d
        """,
    )


RELATIVE = """
    from . import blocks
    from .blocks import Block as B
    from .. import other
    from ..other import thing
    from ...top import *
    from torch import nn

    net = nn.Linear(3, 4)
    """


def test_relative_imports_stay_in_the_same_folder() -> None:
    found = rewritten(plain(RELATIVE), module="top.pkg.sub.nets").text

    assert "from ..other import thing" in found
    assert "from . import blocks" in found


def test_relative_imports_become_absolute_elsewhere() -> None:
    found = rewritten(plain(RELATIVE), module="lib.pkg.sub.nets", keep_relative_imports=False).text

    assert found == plain("""
        from lib.pkg.sub import blocks
        from lib.pkg.sub.blocks import Block as B
        from lib.pkg import other
        from lib.pkg.other import thing
        from lib.top import *
        from metann.generated import DependentLinear

        net = DependentLinear(3, 4)
        """)


def test_relative_imports_of_a_package_start_in_it() -> None:
    found = rewritten(
        "from .blocks import Block\n",
        module="lib.pkg",
        is_package=True,
        keep_relative_imports=False,
    ).text

    assert found == "from lib.pkg.blocks import Block\n"


@pytest.mark.parametrize(
    ("line", "module", "is_package"),
    [
        ("from .. import x", "nets", False),
        ("from . import x", "nets", False),
        ("from .blocks import x", "nets", False),
        ("from ...blocks import x", "pkg.nets", False),
        ("from ..blocks import x", "pkg", True),
    ],
)
def test_a_relative_import_out_of_the_package_is_an_error(
    line: str, module: str, is_package: bool
) -> None:
    where = line.removesuffix(" x").replace(".", r"\.")
    with pytest.raises(CodegenError, match=rf"`{where}` in line 1 leads out of its package"):
        rewritten(f"{line}\n", module=module, is_package=is_package, keep_relative_imports=False)


def test_a_file_without_imports() -> None:
    """Only a star can have brought the name then."""
    assert_stays("net = Linear(3, 4)\n")
