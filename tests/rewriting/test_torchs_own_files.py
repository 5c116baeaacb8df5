"""Files of torch as if they were a user's: the classes in them have the same numbers."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
from loaded import load_both, seeded
from torch import Tensor

from metann import DependentModule, Learner

TORCH = Path(torch.__file__).parent

CASES: list[tuple[str, str, tuple[Any, ...], dict[str, Any], tuple[tuple[int, ...], ...]]] = [
    (
        "nn.modules.transformer",
        "Transformer",
        (4, 2, 1, 2, 6),
        {"dropout": 0.0, "activation": "gelu"},
        ((3, 2, 4), (5, 2, 4)),
    ),
    ("nn.modules.conv", "ConvTranspose2d", (2, 3, 2), {"stride": 2}, ((2, 2, 3, 3),)),
    ("nn.modules.normalization", "GroupNorm", (2, 4), {}, ((3, 4, 5),)),
    ("nn.modules.linear", "Bilinear", (2, 3, 4), {}, ((5, 2), (5, 3))),
]


@pytest.mark.filterwarnings(
    # torch's encoder says why it does not take its fast path: the layer is not of torch's class.
    "ignore:enable_nested_tensor is True"
)
@pytest.mark.parametrize(("module", "name", "given", "options", "shapes"), CASES)
def test_a_file_of_torch(
    tmp_path: Path,
    module: str,
    name: str,
    given: tuple[Any, ...],
    options: dict[str, Any],
    shapes: tuple[tuple[int, ...], ...],
) -> None:
    path = TORCH.joinpath(*module.split(".")).with_suffix(".py")
    text = path.read_text(encoding="utf-8")
    # The plain class is torch's own; its file is relative to torch and cannot be loaded apart.
    files = load_both(
        path, tmp_path, f"torch.{module}", name.lower(), plain=getattr(torch.nn, name)
    )
    kind = getattr(files.dependent, f"Dependent{name}")

    plain = seeded(lambda: files.plain(*given, **options)).double()
    dependent = seeded(lambda: kind(*given, **options)).double()
    inputs = [torch.randn(shape, dtype=torch.float64) for shape in shapes]

    assert f"class {name}(" in text
    assert isinstance(dependent, DependentModule)
    assert not isinstance(dependent, type(plain))
    assert all(isinstance(module, DependentModule) for module in dependent.modules())
    expected, found = plain(*inputs), dependent(*inputs)
    assert torch.equal(found, expected)
    for one, other in zip(slopes(found, dependent), slopes(expected, plain), strict=True):
        assert torch.equal(one, other)
    weights = [1.1 * p for p in plain.parameters()]
    assert torch.equal(
        Learner(dependent).functional(weights, True, *inputs),
        Learner(plain).functional(weights, True, *inputs),
    )


def slopes(output: Tensor, module: torch.nn.Module) -> tuple[Tensor, ...]:
    return torch.autograd.grad(output.square().sum(), list(module.parameters()))
