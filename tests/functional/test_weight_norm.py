"""Weight normalisation: torch's numbers, every derivative, and T-24, two inner steps."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from torch.nn.utils import parametrizations
from transforming import (
    FORWARD_MODE_WARNS,
    assert_every_derivative,
    assert_second_order,
    assert_vmap,
    stacked,
)

from metann import Learner, functional

pytestmark = [
    pytest.mark.filterwarnings(FORWARD_MODE_WARNS),
    pytest.mark.filterwarnings("ignore:.torch.nn.utils.weight_norm. is deprecated:FutureWarning"),
]

# The shape of v, that of g, and the dimension with a length for each index.
SHAPES = (
    ((4, 3), (4, 1), 0),
    ((4, 3), (1, 3), 1),
    ((4, 3), (), -1),
    ((4, 3), (1,), -1),
    ((4, 3, 2), (4, 1, 1), 0),
    ((4, 3, 2), (1, 3, 1), 1),
    ((4, 3, 2), (1, 3, 1), -2),
    ((4, 3, 2), (1, 1, 2), 2),
    ((4, 3, 2, 5), (), -1),
    ((5,), (5,), 0),
)
each_shape = pytest.mark.parametrize(("shape", "lengths", "dim"), SHAPES, ids=str)


def drawn(shape: tuple[int, ...], lengths: tuple[int, ...]) -> tuple[Tensor, Tensor]:
    return torch.randn(shape), torch.rand(lengths) + 0.5


@each_shape
def test_outside_of_transforms_it_is_torchs(shape, lengths, dim) -> None:
    v, g = drawn(shape, lengths)

    assert torch.equal(functional.weight_norm(v, g, dim), torch._weight_norm(v, g, dim))


@each_shape
def test_under_vmap_it_gives_torchs_numbers(shape, lengths, dim) -> None:
    batches = stacked(drawn(shape, lengths))

    found = torch.vmap(lambda v, g: functional.weight_norm(v, g, dim))(*batches)

    for v, g, w in zip(*batches, found, strict=True):
        torch.testing.assert_close(w, torch._weight_norm(v, g, dim), rtol=1e-14, atol=1e-14)


@each_shape
def test_each_derivative_is_that_of_finite_differences(shape, lengths, dim) -> None:
    assert_every_derivative(lambda v, g: functional.weight_norm(v, g, dim), drawn(shape, lengths))


@each_shape
def test_torchs_own_function_has_the_right_second_derivative(shape, lengths, dim) -> None:
    Learner(nn.Linear(1, 1))

    assert_second_order(lambda v, g: torch._weight_norm(v, g, dim), drawn(shape, lengths))


@each_shape
def test_only_the_directions_or_only_the_lengths_may_be_differentiated(shape, lengths, dim) -> None:
    v, g = drawn(shape, lengths)

    assert_second_order(lambda v: functional.weight_norm(v, g, dim).sin(), [v])
    assert_second_order(lambda g: functional.weight_norm(v, g, dim).sin(), [g])


@pytest.mark.parametrize("batched", [(0, None), (None, 0), (1, 0)], ids=str)
def test_one_of_both_may_be_batched(batched: tuple[int | None, int | None]) -> None:
    v, g = torch.randn(4, 3), torch.rand(4, 1)
    many = [
        t if dim is None else torch.stack([t, t * 1.5], dim)
        for t, dim in zip((v, g), batched, strict=True)
    ]

    found = torch.vmap(functional.weight_norm, in_dims=batched)(*many)

    for index, w in enumerate(found):
        chosen = [
            t if d is None else t.select(d, index) for t, d in zip(many, batched, strict=True)
        ]
        torch.testing.assert_close(w, torch._weight_norm(*chosen), rtol=1e-14, atol=1e-14)


@each_shape
def test_the_jacobian_may_be_computed_in_one_batch(shape, lengths, dim, recwarn) -> None:
    v, g = drawn(shape, lengths)
    wanted = torch.autograd.functional.jacobian(lambda v: torch._weight_norm(v, g, dim), v)

    found = torch.func.jacrev(lambda v: torch._weight_norm(v, g, dim))(v)

    torch.testing.assert_close(found, wanted)
    assert not [w for w in recwarn if "performance drop" in str(w.message)]


@pytest.mark.parametrize("dim", [0, 1, -1])
@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float32])
def test_every_precision_gives_torchs_numbers_and_gradients(dtype, dim: int) -> None:
    v = torch.randn(64, 32).to(dtype).requires_grad_()
    g = torch.norm_except_dim(v.detach(), 2, dim).requires_grad_()
    small = torch.finfo(dtype).eps

    wanted = torch._weight_norm(v, g, dim)
    found = torch.vmap(lambda v, g: functional.weight_norm(v, g, dim))(v[None], g[None])[0]
    torch.testing.assert_close(found, wanted, rtol=2 * small, atol=2 * small)

    upstream = torch.randn_like(wanted)
    once = torch.autograd.grad(wanted, (v, g), upstream, retain_graph=True)
    graph = torch.autograd.grad(wanted, (v, g), upstream, create_graph=True)
    for one, other in zip(once, graph, strict=True):
        assert one.dtype == other.dtype
        torch.testing.assert_close(one, other, rtol=16 * small, atol=16 * small)


# ── T-24: layers ─────────────────────────────────────────────────────────────────────────────

NEW = parametrizations.weight_norm
OLD = nn.utils.weight_norm
LAYERS: dict[str, tuple[Callable[[], nn.Module], tuple[int, ...], tuple[int | None, ...]]] = {
    "Linear": (lambda: nn.Linear(3, 4), (5, 3), (0, 1, None)),
    "Conv1d": (lambda: nn.Conv1d(4, 4, 3, padding=1, groups=2), (2, 4, 5), (0, 1, 2, None)),
    "Conv2d": (lambda: nn.Conv2d(2, 3, 2), (2, 2, 4, 4), (0, 3, None)),
    "ConvTranspose1d": (lambda: nn.ConvTranspose1d(2, 3, 2), (2, 2, 4), (0, 1)),
}
CASES = [(name, dim) for name, (_, _, dims) in LAYERS.items() for dim in dims]


def meta_loss(learner: Learner, weights: list[Tensor], x: Tensor) -> Tensor:
    """The loss after two inner steps."""
    for _ in range(2):
        loss = learner.functional(weights, True, x).sin().square().sum()
        slopes = torch.autograd.grad(loss, weights, create_graph=True)
        weights = [w - 0.05 * slope for w, slope in zip(weights, slopes, strict=True)]
    return learner.functional(weights, True, x).cos().sum()


@pytest.mark.parametrize("normalise", [OLD, NEW], ids=["old", "new"])
@pytest.mark.parametrize(("name", "dim"), CASES, ids=str)
def test_T24_two_inner_steps_equal_finite_differences(normalise, name: str, dim: int) -> None:
    make, shape, _ = LAYERS[name]
    net, x = normalise(make(), dim=dim), torch.randn(shape)
    learner = Learner(net)
    weights = [(1.2 * p).detach().requires_grad_() for p in net.parameters()]

    assert gradcheck(lambda *w: meta_loss(learner, [*w], x), weights, fast_mode=True)


@pytest.mark.parametrize("normalise", [OLD, NEW], ids=["old", "new"])
@pytest.mark.parametrize(("name", "dim"), CASES, ids=str)
def test_T24_a_normalised_layer_has_every_derivative(normalise, name: str, dim: int) -> None:
    make, shape, _ = LAYERS[name]
    net, x = normalise(make(), dim=dim), torch.randn(shape)
    learner = Learner(net)
    weights = [1.2 * p.detach() for p in net.parameters()]

    assert_every_derivative(lambda *w: learner.functional([*w], True, x), weights)
    assert_vmap(lambda *w: learner.functional([*w], True, x), stacked(weights))


@pytest.mark.parametrize("normalise", [OLD, NEW], ids=["old", "new"])
def test_T24_in_a_module_that_metann_never_saw(normalise) -> None:
    Learner(nn.Linear(1, 1))
    net, x = normalise(nn.Linear(3, 4)), torch.randn(5, 3)
    names, weights = zip(*net.named_parameters(), strict=True)

    assert_second_order(
        lambda *w: torch.func.functional_call(net, dict(zip(names, w, strict=True)), (x,)).sin(),
        weights,
    )
