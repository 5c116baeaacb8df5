"""Source text -> SourceFile."""

from __future__ import annotations

import subprocess
import sys

import pytest
from small_torch import LINEAR

from metann.codegen.errors import CodegenError
from metann.codegen.read import read_file
from metann.codegen.source import Argument, Registration, Signature
from metann.codegen.version import read_version


def read_class(text: str):
    (source,) = read_file(text, "torch.nn.modules.some").classes.values()
    return source


def test_a_constructor_is_read_with_annotations_and_defaults():
    linear = read_file(LINEAR, "torch.nn.modules.linear").classes["Linear"]

    assert linear.methods["__init__"].signatures == (
        Signature(
            (
                Argument("self"),
                Argument("in_features", "int"),
                Argument("out_features", "int"),
                Argument("bias", "bool", "True"),
                Argument("device", None, "None"),
                Argument("dtype", None, "None"),
            ),
            "None",
        ),
    )


def test_registered_parameters_are_read_with_their_shapes():
    linear = read_file(LINEAR, "torch.nn.modules.linear").classes["Linear"]

    assert linear.registrations == (
        Registration("weight", "(out_features, in_features)"),
        Registration("bias", "(out_features,)", conditions=(("bias", True),)),
        Registration("bias", None, is_none=True),
    )


def test_a_registration_knows_all_ifs_around_it():
    some = read_class(
        "class Some:\n"
        "    def __init__(self, size: int, affine, bias):\n"
        "        if self.affine:\n"
        "            self.weight = Parameter(torch.empty(size))\n"
        "            if not bias:\n"
        "                self.register_parameter('bias', None)\n"
        "            else:\n"
        "                self.bias = Parameter(torch.empty(size))\n"
        "        if not self.affine:\n"
        "            self.other = Parameter(torch.empty(size))\n"
    )

    assert {item.name: item.conditions for item in some.registrations if not item.is_none} == {
        "weight": (("affine", True),),
        "bias": (("affine", True), ("bias", True)),
        "other": (("affine", False),),
    }


@pytest.mark.parametrize(
    ("body", "submodules"),
    [
        ("self.linear1 = Linear(a, a)", {"linear1": "Linear"}),
        ("self.attention = nn.Attention(a)", {"attention": "nn.Attention"}),
        ("if a:\n            self.x = given\n        else:\n            self.x = Linear(a)", {}),
        ("if a:\n            self.x = Linear(a)\n        else:\n            self.x = Conv(a)", {}),
        ("self.size = a", {}),
        ("x = Linear(a)", {}),
    ],
)
def test_submodules_that_are_always_of_one_class_are_read(body, submodules):
    source = read_class(f"class Layer:\n    def __init__(self, a):\n        {body}\n")

    assert source.submodules == submodules


@pytest.mark.parametrize(
    ("written", "shape"),
    [
        ("torch.empty((a, b))", "(a, b)"),
        ("torch.empty(\n    (\n        a,\n        b,\n    ),\n)", "(a, b)"),
        ("torch.empty(a)", "(a,)"),
        ("torch.empty(3 * a)", "(3 * a,)"),
        ("torch.empty((1, self.b))", "(1, b)"),
        ("torch.empty(self.shape)", "shape"),
        ("torch.empty(shape)", "shape"),
        ("given", None),
    ],
)
def test_a_shape_is_a_tuple_as_the_source_writes_it(written, shape):
    source = read_class(
        "class Layer:\n"
        "    def __init__(self, a: int, b: int, shape: list[int], given: Tensor) -> None:\n"
        f"        self.weight = Parameter({written})\n"
    )

    assert [item.shape for item in source.registrations] == [shape]


@pytest.mark.parametrize(
    ("body", "returned"),
    [
        ("return F.relu(input, inplace=self.inplace)", "F.relu(input, inplace=self.inplace)"),
        ('"""Runs."""\n        return input', "input"),
        ("return f(\n            a,  # first\n            b,\n        )", "f(a, b)"),
        ("x = input\n        return x", None),
        ("if input:\n            return input", None),
        ("raise NotImplementedError", None),
    ],
)
def test_a_forward_of_one_expression_is_told_from_longer_ones(body, returned):
    source = read_class(f"class Layer:\n    def forward(self, input):\n        {body}\n")

    assert source.methods["forward"].returned == returned


def test_overloads_are_read_instead_of_the_implementation():
    source = read_class(
        "class Layer:\n"
        "    @overload\n    def __init__(self, a: int) -> None: ...\n"
        "    @typing.overload\n    def __init__(self, *args: str) -> None: ...\n"
        "    def __init__(self, *args): ...\n"
    )

    shown = [
        ", ".join(map(str, signature.arguments))
        for signature in source.methods["__init__"].signatures
    ]
    assert shown == ["self, a: int", "self, *args: str"]


def test_markers_of_a_parameter_list_are_kept():
    source = read_class("class Layer:\n    def forward(self, a, /, b, *, c=1, **d): ...\n")

    (signature,) = source.methods["forward"].signatures
    assert ", ".join(map(str, signature.arguments)) == "self, a, /, b, *, c=1, **d"


def test_annotations_of_the_class_and_of_its_constructor_are_read():
    source = read_class(
        "class Layer:\n"
        "    weight: Tensor\n"
        "    def __init__(self) -> None:\n"
        "        self.mean: Tensor | None\n"
    )

    assert source.annotations == {"weight": "Tensor", "mean": "Tensor | None"}


def test_lazy_and_deprecated_classes_are_recognised():
    source = read_class(
        '@deprecated("old")\nclass Layer(LazyModuleMixin, Linear):\n    cls_to_become = Linear\n'
    )

    assert (source.bases, source.becomes, source.is_deprecated) == (
        ("LazyModuleMixin", "Linear"),
        "Linear",
        True,
    )


@pytest.mark.parametrize(
    ("line", "name", "meaning"),
    [
        ("import torch", "torch.Tensor", "torch.Tensor"),
        ("import torch.nn.functional as F", "F.relu", "torch.nn.functional.relu"),
        ("from torch.nn import functional as F", "F.relu", "torch.nn.functional.relu"),
        ("from .module import Module", "Module", "torch.nn.modules.module.Module"),
        ("from . import module", "module.Module", "torch.nn.modules.module.Module"),
        ("from ..parameter import Parameter", "Parameter", "torch.nn.parameter.Parameter"),
        ("class Own: ...", "Own", "torch.nn.modules.some.Own"),
        ("Own = namedtuple('Own', [])", "Own", "torch.nn.modules.some.Own"),
        ("if TYPE_CHECKING:\n    from torch import Tensor", "Tensor", "torch.Tensor"),
        ("", "int", "int"),
    ],
)
def test_a_name_of_a_file_means(line, name, meaning):
    assert read_file(line, "torch.nn.modules.some").qualified(name) == meaning


def test_a_package_resolves_its_relative_imports_from_itself():
    file = read_file("from .linear import Linear", "torch.nn.modules", is_package=True)

    assert file.qualified("Linear") == "torch.nn.modules.linear.Linear"


def test_the_version_is_read_without_its_build(tmp_path):
    (tmp_path / "version.py").write_text('debug = False\n__version__ = "2.13.0+cpu"\n')

    assert read_version(tmp_path / "version.py") == "2.13.0"


def test_a_version_file_without_version_is_an_error(tmp_path):
    (tmp_path / "version.py").write_text("debug = False\n")

    with pytest.raises(CodegenError, match=r"Asked for torch's version, but .*assigns no"):
        read_version(tmp_path / "version.py")


def test_the_runtimes_part_of_the_generator_imports_no_libcst_and_no_black():
    code = (
        "import sys, metann.codegen.render, metann.codegen.model\n"
        "names = {'libcst', 'black', 'typer', 'rich', 'torch'} & set(sys.modules)\n"
        "assert not names, names"
    )

    subprocess.run([sys.executable, "-c", code], check=True)


def test_the_generator_imports_neither_torch_nor_the_generated_files():
    code = (
        "import sys, metann.codegen.tool, metann.codegen.users.command\n"
        "names = [n for n in sys.modules if n.startswith(('torch', 'metann.generated'))]\n"
        "assert not names, names"
    )

    subprocess.run([sys.executable, "-c", code], check=True)
