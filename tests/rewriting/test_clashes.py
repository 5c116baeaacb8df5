"""Names that are taken: another one where there is one, an error that names both where not."""

from __future__ import annotations

import pytest
from before_after import assert_rewrites, rewritten

from metann.codegen.errors import CodegenError


def test_a_users_class_may_have_the_name_of_a_layer_of_torch() -> None:
    assert_rewrites(
        """
        from torch import nn

        class LayerNorm(nn.Module):
            def __init__(self):
                super().__init__()
                self.norm = nn.LayerNorm(3)

        class Linear(nn.Linear): ...

        net = LayerNorm(), Linear(3, 4), nn.Linear(3, 4)
        """,
        """
        from metann import DependentModule
        from metann.generated import DependentLayerNorm as DependentTorchLayerNorm
        from metann.generated import DependentLinear as DependentTorchLinear

        class DependentLayerNorm(DependentModule):
            def __init__(self):
                super().__init__()
                self.norm = DependentTorchLayerNorm(3)

        class DependentLinear(DependentTorchLinear): ...

        net = DependentLayerNorm(), DependentLinear(3, 4), DependentTorchLinear(3, 4)
        """,
    )


def test_a_users_class_may_be_called_module() -> None:
    assert_rewrites(
        """
        from torch import nn
        class Module(nn.Module): ...
        class Net(Module): ...
        """,
        """
        from metann import DependentModule as DependentTorchModule
        class DependentModule(DependentTorchModule): ...
        class DependentNet(DependentModule): ...
        """,
    )


@pytest.mark.parametrize(
    "taken",
    [
        "DependentLinear = 3",
        "def f(DependentLinear): ...",
        "from other import DependentLinear",
        "import other as DependentLinear",
        "class DependentLinear: ...",
        "for DependentLinear in []: ...",
    ],
)
def test_the_name_of_a_counterpart_may_be_taken(taken: str) -> None:
    found = rewritten(f"from torch import nn\n{taken}\nnet = nn.Linear(3, 4)\n").text

    assert f"\n{taken}\nnet = DependentTorchLinear(3, 4)\n" in found
    assert "from metann.generated import DependentLinear as DependentTorchLinear\n" in found


@pytest.mark.parametrize(
    "taken",
    [
        "class DependentNet: ...",
        "from other import DependentNet",
        "DependentNet = None",
        "def f(DependentNet): ...",
    ],
)
def test_the_new_name_of_a_class_may_be_taken(taken: str) -> None:
    with pytest.raises(
        CodegenError,
        match=r"^Asked to make class Net in line 3 of pkg\.nets dependent, but its new name, "
        r"DependentNet, is taken in this file\. Rename one of the two\.$",
    ):
        rewritten(f"from torch import nn\n{taken}\nclass Net(nn.Module): ...\n")


def test_both_names_of_a_counterpart_may_be_taken() -> None:
    with pytest.raises(
        CodegenError,
        match=r"but DependentLinear and DependentTorchLinear both are names of something else",
    ):
        rewritten(
            "from torch import nn\nDependentLinear = DependentTorchLinear = nn.Linear(3, 4)\n"
        )
