"""torch's fused kernels are called wherever nothing speaks against it, and nowhere else."""

from __future__ import annotations

import pickle
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from transforming import FORWARD_MODE_WARNS, Operators, as_function

from metann import Learner
from metann.generated import DependentTransformerEncoderLayer

pytestmark = [
    pytest.mark.filterwarnings(FORWARD_MODE_WARNS),
    pytest.mark.filterwarnings("ignore:The PyTorch API of nested tensors is in prototype"),
]
FORWARD = "_scaled_dot_product_flash_attention_for_cpu"
BACKWARD = f"{FORWARD}_backward"
Made = Callable[[], nn.Module]


class Attends(nn.Module):
    """A user's own; torch's name for the operation is all that it knows."""

    def __init__(self) -> None:
        super().__init__()
        self.project = nn.Linear(4, 12)

    def forward(self, x: Tensor) -> Tensor:
        heads = self.project(x).unflatten(-1, (6, 2)).transpose(-2, -3)
        return F.scaled_dot_product_attention(*heads.chunk(3, dim=-3))


def _layer() -> nn.TransformerEncoderLayer:
    return nn.TransformerEncoderLayer(4, 2, 3, dropout=0.0, batch_first=True)


def _attention() -> nn.Module:
    return nn.MultiheadAttention(4, 2, batch_first=True)


def _encoder() -> nn.Module:
    return nn.TransformerEncoder(_layer(), 1)


each_module = pytest.mark.parametrize("made", [Attends, _layer])


def _called(function: Callable[[], object]) -> list[str]:
    with Operators() as operators:
        function()
    return operators.fused()


@each_module
def test_with_first_order_gradients_torchs_kernels_are_called(made: Made) -> None:
    function, weights = as_function(made(), True)
    leaves = [weight.requires_grad_() for weight in weights]

    called = _called(
        lambda: torch.autograd.grad(function(*leaves, torch.randn(2, 3, 4)).sum(), leaves)
    )

    assert called == [FORWARD, BACKWARD]


@each_module
def test_with_a_graph_of_the_gradients_only_the_forward_one_is(made: Made) -> None:
    function, weights = as_function(made(), True)
    leaves = [weight.requires_grad_() for weight in weights]

    called = _called(
        lambda: torch.autograd.grad(
            function(*leaves, torch.randn(2, 3, 4)).sum(), leaves, create_graph=True
        )
    )

    assert called == [FORWARD]


@pytest.mark.parametrize(
    ("made", "expected"),
    [(Attends, [FORWARD]), (_layer, ["_transformer_encoder_layer_fwd"])],
)
def test_without_gradients_the_fastest_is_called(made: Made, expected: list[str]) -> None:
    function, weights = as_function(made(), False)

    with torch.no_grad():
        called = _called(lambda: function(*weights, torch.randn(2, 3, 4)))

    assert called == expected


def test_without_gradients_a_padded_encoder_makes_a_nested_tensor() -> None:
    padding = torch.tensor([[False, False, False], [False, False, True]])
    function, weights = as_function(_encoder(), False, src_key_padding_mask=padding)

    with torch.no_grad():
        called = _called(lambda: function(*weights, torch.randn(2, 3, 4)))

    assert "_nested_tensor_from_mask" in called
    assert "_transformer_encoder_layer_fwd" in called


def test_without_gradients_multi_head_attention_takes_its_fast_path() -> None:
    function, weights = as_function(_attention(), False)
    x = torch.randn(2, 3, 4)

    with torch.no_grad():
        called = _called(lambda: function(*weights, x, x, x))

    assert called == ["_native_multi_head_attention"]


def _in_vmap(function: Callable[[Tensor], Tensor], x: Tensor) -> Any:
    return torch.vmap(function)(torch.stack([x, -x]))


def _in_jvp(function: Callable[[Tensor], Tensor], x: Tensor) -> Any:
    return torch.func.jvp(function, (x,), (x,))


@pytest.mark.parametrize("transform", [_in_vmap, _in_jvp])
@pytest.mark.parametrize("padded", [False, True])
@pytest.mark.parametrize("made", [_layer, _encoder])
def test_in_a_transform_none_is_called(made: Made, padded: bool, transform: Any) -> None:
    padding = torch.tensor([[False, False, False], [False, False, True]])
    arguments = {"src_key_padding_mask": padding} if padded else {}
    function, weights = as_function(made(), False, **arguments)

    with torch.no_grad():
        called = _called(lambda: transform(lambda x: function(*weights, x), torch.randn(2, 3, 4)))

    assert called == []


@pytest.mark.parametrize("transform", [_in_vmap, _in_jvp])
def test_in_a_transform_none_is_called_by_what_bind_returned(transform: Any) -> None:
    module = _layer()
    bound = Learner(module).bind(list(module.parameters()), training=False)

    with torch.no_grad():
        called = _called(lambda: transform(bound, torch.randn(2, 3, 4)))

    assert called == []


# ── in a process of its own, where nothing has been converted ────────────────────────────────

_SECOND_ORDER = """
import sys, torch
{made}
layer.double()
x = torch.randn(3, 2, 4, dtype=torch.float64)
weights = list(layer.parameters())
first = torch.autograd.grad(layer(x).square().sum(), weights, create_graph=True)
second = torch.autograd.grad(sum(g.square().sum() for g in first), weights)
assert all(g.abs().sum() > 0 for g in second)
"""


def _run_alone(program: str, *arguments: str) -> str:
    command = [sys.executable, "-W", "error", "-c", program, *arguments]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize(
    "made",
    [
        "from metann.generated import DependentTransformerEncoderLayer as Layer\n"
        "layer = Layer(4, 2, 3, dropout=0.0)",
        "import pathlib, pickle\nlayer = pickle.loads(pathlib.Path(sys.argv[1]).read_bytes())",
    ],
    ids=["constructed", "unpickled"],
)
def test_T57_never_converted_it_has_a_second_order(made: str, tmp_path: Path) -> None:
    pickled = tmp_path / "layer"
    layer = DependentTransformerEncoderLayer(4, 2, 3, dropout=0.0)
    pickled.write_bytes(pickle.dumps(layer))

    assert _run_alone(_SECOND_ORDER.format(made=made), str(pickled)) == ""


# ── compiled ─────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("backend", ["eager", "aot_eager"])
@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("made", [_attention, _layer, _encoder])
def test_compiled_it_is_one_graph_and_the_same(made: Made, training: bool, backend: str) -> None:
    module, x = made(), torch.randn(2, 3, 4)
    weights = [parameter.detach().requires_grad_() for parameter in module.parameters()]
    bound = Learner(module).bind(weights, training)
    given = (x, x, x) if isinstance(module, nn.MultiheadAttention) else (x,)
    torch._dynamo.reset()
    compiled = torch.compile(bound, fullgraph=True, backend=backend)

    outputs = [function(*given) for function in (compiled, bound)]

    first, second = (output[0] if isinstance(output, tuple) else output for output in outputs)
    assert torch.equal(first, second)
    gradients = [torch.autograd.grad(t.square().sum(), weights) for t in (first, second)]
    torch.testing.assert_close(*gradients, rtol=1e-12, atol=1e-12)
