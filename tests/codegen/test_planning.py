"""Library -> LibraryPlan."""

from __future__ import annotations

import pytest
from small_torch import write_torch

from metann.codegen.errors import MissingFactError
from metann.codegen.library import read_torch
from metann.codegen.model import ClassPlan, LibraryPlan
from metann.codegen.plan import plan_library


@pytest.fixture
def plan_of(tmp_path):
    """Plans the small torch with one more file, or several."""

    def plan(**more: str) -> LibraryPlan:
        return plan_library(read_torch(write_torch(tmp_path, **more)))

    return plan


def layer_of(plan: LibraryPlan, name: str) -> ClassPlan:
    return next(item for file in plan.files for item in file.layers if item.name == name)


def shown(layer: ClassPlan) -> list[str]:
    """The declared signatures as a reader sees them."""
    return [
        f"{method.name}({', '.join(map(str, method.arguments))}) -> {method.returns}"
        for method in layer.declared
    ]


def test_a_layer_is_planned_with_bases_dependents_and_forward(plan_of):
    linear = layer_of(plan_of(), "DependentLinear")

    assert linear.bases == ("nn.Linear", "DependentModule")
    assert [(d.name, d.annotation, d.description, d.torch_type) for d in linear.dependents] == [
        ("weight", "Tensor", "shape (out_features, in_features)", None),
        ("bias", "Tensor | None", "shape (out_features,), or None with bias=False", "Parameter"),
    ]
    assert [method.returned for method in linear.methods] == [
        "F.linear(input, self.weight, self.bias)"
    ]
    assert linear.how == "written out"


def test_what_torch_leaves_unannotated_comes_from_the_facts(plan_of):
    assert shown(layer_of(plan_of(), "DependentLinear")) == [
        "__init__(self, in_features: int, out_features: int, bias: bool = True, "
        "device: Device = None, dtype: torch.dtype | None = None) -> None",
        "__call__(self, input: Tensor) -> Tensor",
    ]


def test_a_lazy_layer_inherits_the_counterpart_of_its_base_and_becomes_it(plan_of):
    lazy = layer_of(plan_of(), "DependentLazyLinear")

    assert lazy.bases == ("nn.LazyLinear", "DependentLinear")
    assert lazy.becomes == "DependentLinear"
    assert lazy.methods == ()
    assert lazy.how == "inherits the forward of the counterpart of torch.nn.Linear"


def test_a_hand_written_part_comes_before_what_it_overrides(plan_of):
    plan = plan_of(container="class Sequential(Module): ...")

    layer = layer_of(plan, "DependentSequential")
    assert layer.bases == ("RunsImages", "nn.Sequential", "DependentModule")


def test_a_written_out_forward_reads_what_a_hand_written_part_gives(plan_of):
    plan = plan_of(
        sparse="from torch.nn import functional as F\n\nclass Embedding(Module):\n"
        "    def forward(self, input: int) -> int:\n"
        "        return F.embedding(input, self.weight, weight=self.weight_too)\n"
    )

    layer = layer_of(plan, "DependentEmbedding")
    assert [method.returned for method in layer.methods] == [
        "functional.embedding(input, self.own_weight, weight=self.weight_too)"
    ]


def test_a_forward_and_weights_of_a_private_base_are_found(plan_of):
    plan = plan_of(
        norm="class Norm(_Base): ...\n\n"
        "class _Base(Module):\n"
        "    def __init__(self, size: int) -> None:\n"
        "        self.weight = Parameter(torch.empty(size))\n"
        "    def forward(self, input: int) -> int:\n"
        "        return input\n"
    )

    norm = layer_of(plan, "DependentNorm")
    assert norm.bases == ("nn.Norm", "DependentModule")
    assert [dependent.description for dependent in norm.dependents] == ["shape (size,)"]
    assert [method.returned for method in norm.methods] == ["input"]


def test_a_shape_that_the_base_decides_by_a_constant_is_the_right_one(plan_of):
    plan = plan_of(
        conv="class Conv(_Middle):\n"
        "    def __init__(self, a: int, b: int) -> None:\n"
        "        super().__init__(a, b, True)\n\n"
        "class _Middle(_ConvNd):\n"
        "    def __init__(self, a: int, b: int, transposed: bool) -> None:\n"
        "        super().__init__(a, b, transposed)\n\n"
        "class _ConvNd(Module):\n"
        "    def __init__(self, a: int, b: int, flipped: bool) -> None:\n"
        "        if flipped:\n"
        "            self.weight = Parameter(torch.empty((b, a)))\n"
        "        else:\n"
        "            self.weight = Parameter(torch.empty((a, b)))\n"
    )

    (weight,) = layer_of(plan, "DependentConv").dependents
    assert weight.shapes == ("(b, a)",)


@pytest.mark.parametrize(
    ("body", "why"),
    [
        ("x = 1\n        return x", "its forward is longer than one expression"),
        (
            "return torch._private(input)",
            "its forward calls torch._private, which is private to torch",
        ),
    ],
)
def test_a_layer_that_delegates_says_why_and_declares_its_forward(plan_of, body, why):
    plan = plan_of(
        some="import torch\n\nclass Some(Module):\n"
        f"    def forward(self, input: int) -> int:\n        {body}\n"
    )

    some = layer_of(plan, "DependentSome")
    assert some.how == f"delegates to torch: {why}"
    assert some.methods == ()
    assert shown(some) == [
        "__init__(self) -> None",
        "forward(self, input: int) -> int",
        "__call__(self, input: int) -> int",
    ]


def test_a_layer_without_forward_says_so(plan_of):
    some = layer_of(plan_of(some="class Some(Module): ..."), "DependentSome")

    assert some.how == "delegates to torch: it has no forward"


def test_overloads_are_followed_by_one_that_takes_anything(plan_of):
    plan = plan_of(
        some="from typing import overload\n\nclass Some(Module):\n"
        "    @overload\n    def forward(self, input: int) -> int: ...\n"
        "    @overload\n    def forward(self, input: str) -> str: ...\n"
        "    def forward(self, input):\n        x = 1\n        return x\n"
    )

    assert shown(layer_of(plan, "DependentSome"))[1:4] == [
        "forward(self, input: int) -> int",
        "forward(self, input: str) -> str",
        "forward(self, *args: Any, **kwargs: Any) -> Any",
    ]


def test_an_overload_that_says_nothing_is_left_out(plan_of):
    plan = plan_of(
        some="from typing import overload\n\nclass Some(Module):\n"
        "    @overload\n    def __init__(self, size: int) -> None: ...\n"
        "    @overload\n    def __init__(self, *args, **kwargs): ...\n"
        "    def __init__(self, *args, **kwargs): ...\n"
    )

    assert shown(layer_of(plan, "DependentSome")) == ["__init__(self, size: int) -> None"]


def test_none_as_default_is_allowed_by_the_annotation(plan_of):
    plan = plan_of(
        some="class Some(Module):\n    def __init__(self, stride: int = None) -> None: ...\n"
    )

    assert shown(layer_of(plan, "DependentSome")) == [
        "__init__(self, stride: int | None = None) -> None"
    ]


def test_a_class_that_contradicts_its_base_is_marked_for_pyright(plan_of):
    plan = plan_of(
        base="class Base(Module):\n    def size(self, of: int) -> int: ...\n",
        some="from .base import Base\n\nclass Some(Base):\n"
        "    training: int\n    def size(self, of: str) -> int: ...\n",
    )

    assert layer_of(plan, "DependentBase").clashes == ()
    assert layer_of(plan, "DependentSome").clashes == (
        "reportIncompatibleMethodOverride",
        "reportIncompatibleVariableOverride",
    )


def test_an_argument_that_nothing_annotates_is_an_error_that_names_it(plan_of):
    with pytest.raises(
        MissingFactError,
        match=r"does not annotate the argument 'colour' of torch\.nn\.modules\.some\.Some, and no "
        r"fact does\. Add it to metann/codegen/facts\.py",
    ):
        plan_of(some="class Some(Module):\n    def __init__(self, colour) -> None: ...\n")


def test_a_result_that_nothing_annotates_is_an_error_that_names_it(plan_of):
    with pytest.raises(MissingFactError, match=r"what the forward of torch\.nn\..*\.Some returns"):
        plan_of(some="class Some(Module):\n    def forward(self, x: int):\n        return x\n")


def test_a_subclass_comes_before_its_bases_in_the_overloads(plan_of):
    assert [item.spelled for item in plan_of().counterparts] == ["nn.LazyLinear", "nn.Linear"]


def test_what_is_skipped_says_why(plan_of):
    (skipped,) = plan_of().skipped

    assert skipped.original == "torch.nn.Module"
    assert skipped.why_skipped() == "its counterpart is DependentModule itself"
