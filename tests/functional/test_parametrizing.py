"""Spectral norm and orthogonal weights: every derivative, also inside transforms, in both modes."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.autograd import forward_ad
from torch.func import grad, jvp
from torch.nn.utils import parametrizations
from transforming import FORWARD_MODE_WARNS, assert_every_derivative, assert_vmap, stacked

from metann import DependentModule, Learner, functional

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)

# ── the forms ────────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("dim", [0, 1, -1, (0, 1)], ids=str)
@pytest.mark.parametrize("p", [1.0, 2.0, 3.0])
def test_normalising_is_torchs(p: float, dim: int) -> None:
    x = torch.randn(4, 3)

    assert torch.equal(functional.normalize(x, p, dim), F.normalize(x, p, dim))
    assert_vmap(lambda x: functional.normalize(x, p, dim), stacked([x]))
    assert_every_derivative(lambda x: functional.normalize(x, p, dim), [x])


def test_what_is_written_into_out_is_a_constant() -> None:
    x, direction = torch.randn(3), torch.randn(3)

    def written(x: Tensor) -> Tensor:
        out = torch.zeros_like(x)
        found = functional.normalize(x, dim=0, out=out)
        assert found is out
        return found * x

    value, moved = jvp(written, (x,), (direction,))

    unit = F.normalize(x, dim=0)
    torch.testing.assert_close(value, unit * x)
    torch.testing.assert_close(moved, unit * direction)


def reflectors(*shape: int) -> tuple[Tensor, Tensor]:
    """Any vectors and factors: the product need not be orthogonal."""
    return torch.randn(shape), torch.randn(*shape[:-2], shape[-1])


@pytest.mark.parametrize("shape", [(4, 3), (3, 3), (4, 1), (2, 4, 3)], ids=str)
def test_a_product_of_reflections_is_torchs(shape: tuple[int, ...]) -> None:
    tensors = reflectors(*shape)

    ours = functional.householder_product(*tensors)
    assert torch.equal(ours, torch.linalg.householder_product(*tensors))
    assert_vmap(functional.householder_product, stacked(tensors))


@pytest.mark.parametrize("factors", [0, 1, 2])
def test_there_may_be_fewer_factors_than_columns(factors: int) -> None:
    vectors, tau = torch.randn(2, 4, 3), torch.randn(2, factors)

    found = torch.vmap(functional.householder_product)(vectors, tau)

    torch.testing.assert_close(found, torch.linalg.householder_product(vectors, tau))


def test_gradients_of_a_product_of_reflections_may_be_batched(recwarn) -> None:
    batches = stacked(reflectors(4, 3))

    def value(vectors: Tensor, tau: Tensor) -> Tensor:
        return functional.householder_product(vectors, tau).sin().sum()

    together = torch.vmap(grad(value, (0, 1)))(*batches)

    for number in range(2):
        leaves = [batch[number].clone().requires_grad_() for batch in batches]
        wanted = torch.autograd.grad(value(*leaves), leaves)
        for found, slope in zip(together, wanted, strict=True):
            torch.testing.assert_close(found[number], slope)
    assert not [w for w in recwarn if "performance drop" in str(w.message)]


# ── the layers ───────────────────────────────────────────────────────────────────────────────

Make = Callable[[], nn.Module]
MAPS = ("matrix_exp", "cayley", "householder")
ORTHOGONAL: dict[str, Make] = {
    f"{kind} {rows}x{columns}{'' if base else ', no base'}": (
        lambda kind=kind, rows=rows, columns=columns, base=base: parametrizations.orthogonal(
            nn.Linear(columns, rows, bias=False), orthogonal_map=kind, use_trivialization=base
        )
    )
    for kind in MAPS
    for rows, columns in ((4, 3), (3, 4), (3, 3))
    for base in (True, False)
}
SPECTRAL: dict[str, Make] = {
    "new": lambda: parametrizations.spectral_norm(nn.Linear(3, 4)),
    "new, two steps": lambda: parametrizations.spectral_norm(
        nn.Linear(3, 4), n_power_iterations=2, dim=1
    ),
    "new, of a vector": lambda: parametrizations.spectral_norm(nn.Linear(3, 4), "bias"),
    "old": lambda: nn.utils.spectral_norm(nn.Linear(3, 4)),
    "old, two steps": lambda: nn.utils.spectral_norm(nn.Linear(3, 4), n_power_iterations=2),
}


def inputs_of(net: nn.Module) -> Tensor:
    return torch.randn(5, net.in_features)


def weights_of(net: nn.Module) -> list[Tensor]:
    """The diagonal of the householder map is cut off to whole numbers: it stays away from them."""
    return [
        torch.where(p.detach().abs() < 1e-9, torch.randn_like(p), 1.3 * p.detach())
        for p in net.parameters()
    ]


@pytest.mark.parametrize("make", ORTHOGONAL.values(), ids=ORTHOGONAL)
def test_orthogonal_weights_have_every_derivative(make: Make) -> None:
    net = make()
    learner, weights, x = Learner(net), weights_of(net), inputs_of(net)

    assert_every_derivative(lambda *w: learner.functional([*w], True, x), weights)


@pytest.mark.parametrize("make", ORTHOGONAL.values(), ids=ORTHOGONAL)
def test_many_orthogonal_weights_are_torchs(make: Make) -> None:
    net = make()
    learner, x = Learner(net), inputs_of(net)
    many = [torch.stack([w, 1.1 * w]) for w in weights_of(net)]

    assert_vmap(lambda *w: learner.functional([*w], True, x), many)


@pytest.mark.parametrize("make", SPECTRAL.values(), ids=SPECTRAL)
def test_spectral_norm_has_every_derivative_where_its_vectors_are_constant(make: Make) -> None:
    net = make()
    learner, weights, x = Learner(net), weights_of(net), inputs_of(net)

    assert_every_derivative(lambda *w: learner.functional([*w], False, x), weights)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", SPECTRAL.values(), ids=SPECTRAL)
def test_spectral_norm_of_many_weights_is_torchs(make: Make, training: bool) -> None:
    net = make()
    learner, x = Learner(net), inputs_of(net)

    assert_vmap(lambda *w: learner.functional([*w], training, x), stacked([*net.parameters()], 3))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("make", SPECTRAL.values(), ids=SPECTRAL)
def test_derivatives_of_spectral_norm_agree_in_all_modes(make: Make, training: bool) -> None:
    net = make()
    learner, x, weights = Learner(net), inputs_of(net), weights_of(net)
    directions = [torch.randn_like(w) for w in weights]
    places = tuple(range(len(weights)))

    def loss(*w: Tensor) -> Tensor:
        return learner.functional([*w], training, x).sin().sum()

    leaves = [w.clone().requires_grad_() for w in weights]
    slopes = torch.autograd.grad(loss(*leaves), leaves, create_graph=True)
    along = sum((s * d).sum() for s, d in zip(slopes, directions, strict=True))
    second = torch.autograd.grad(along, leaves)

    torch.testing.assert_close(jvp(loss, (*weights,), (*directions,))[1], along.detach())
    over = jvp(grad(loss, places), (*weights,), (*directions,))[1]
    again = grad(
        lambda *w: sum(
            (s * d).sum() for s, d in zip(grad(loss, places)(*w), directions, strict=True)
        ),
        places,
    )(*weights)
    for one, other, wanted in zip(over, again, second, strict=True):
        torch.testing.assert_close(one, wanted)
        torch.testing.assert_close(other, wanted)


def test_each_element_of_a_batch_has_power_iterations_of_its_own() -> None:
    layer = parametrizations.spectral_norm(nn.Linear(3, 3))
    learner, x = Learner(nn.Sequential(layer, nn.Tanh(), layer)), inputs_of(layer)
    before = {name: buffer.clone() for name, buffer in layer.named_buffers()}

    assert_vmap(lambda *w: learner.functional([*w], True, x), stacked([*layer.parameters()], 3))
    assert all(torch.equal(buffer, before[name]) for name, buffer in layer.named_buffers())


@pytest.mark.parametrize("training", [True, False])
def test_forward_mode_works_outside_of_a_functional_call_too(training: bool) -> None:
    net = parametrizations.spectral_norm(nn.Linear(3, 4))
    learner, x, weights = Learner(net), inputs_of(net), weights_of(net)
    directions = [torch.randn_like(w) for w in weights]
    wanted = jvp(lambda *w: learner.functional([*w], training, x), (*weights,), (*directions,))[1]

    copied = DependentModule.stateless(net).train(training)
    with forward_ad.dual_level():
        copied.substitute_from_list(
            [forward_ad.make_dual(w, d) for w, d in zip(weights, directions, strict=True)]
        )
        found = forward_ad.unpack_dual(copied(x)).tangent

    torch.testing.assert_close(found, wanted)
