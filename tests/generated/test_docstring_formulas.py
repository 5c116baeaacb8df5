"""Every formula of a docstring gives the numbers of its layer."""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from itertools import chain

import pytest
import torch
from docstrings import formulas, formulas_of_losses, formulas_of_sequences
from docstrings.formulas import OF_NUMBERS, Case, formulas_of
from docstrings.said import Names, arguments_of, evaluated, said_of
from every_layer import SAMPLES_OF
from measuring import allowed_warnings, constructed, inputs_of, layer_of
from samples.sample import Sample
from torch import Tensor, nn

ELEMENTWISE = [layer for layer in SAMPLES_OF if "for each element x" in said_of(layer).summary]


# ── of one number ────────────────────────────────────────────────────────────────────────────


def names_of(layer: nn.Module) -> Names:
    """What a formula of numbers may name."""
    names = Names(layer, **OF_NUMBERS)
    if isinstance(layer, nn.RReLU):
        return names.also(a=(layer.lower + layer.upper) / 2)
    if isinstance(layer, nn.SELU):
        return names.also(scale=1.0507009873554805, alpha=1.6732632423543772)
    if isinstance(layer, nn.PReLU):
        return names.also(weight=layer.weight.item())
    return names


def samples_of_numbers() -> Iterator[Sample]:
    for layer in ELEMENTWISE:
        for sample in SAMPLES_OF[layer]:
            if arguments_of(sample).get("num_parameters", 1) == 1:
                yield sample


@pytest.mark.parametrize("sample", list(samples_of_numbers()), ids=str)
def test_formulas_of_each_element(sample):
    with allowed_warnings(sample):
        layer = layer_of(constructed(sample, sample.layer)).eval()
    names = names_of(layer)
    formula = formulas_of(sample.layer)[getattr(layer, "approximate", "none") == "tanh"]
    # More numbers than the sample has, and on both sides of each limit.
    input = torch.cat([inputs_of(sample).args[0].flatten(), torch.linspace(-7, 7, 101)])

    expected = [evaluated(formula, names.also(x=x)) for x in input.tolist()]
    if isinstance(layer, nn.Softplus):
        above = evaluated(formulas_of(nn.Softplus)[1], names.also(x=input))
        expected = torch.where(above, input, torch.tensor(expected)).tolist()

    with torch.no_grad():
        actual = layer(input[None, None])[0, 0]
    torch.testing.assert_close(actual, torch.tensor(expected), rtol=1e-9, atol=1e-12)


# ── of a number and its target ───────────────────────────────────────────────────────────────

LOSSES: list[tuple[nn.Module, int, str]] = [
    (nn.L1Loss(reduction="none"), 0, "real"),
    (nn.MSELoss(reduction="none"), 0, "real"),
    (nn.SmoothL1Loss(reduction="none", beta=0.7), 0, "real"),
    (nn.HuberLoss(reduction="none", delta=0.7), 0, "real"),
    (nn.PoissonNLLLoss(reduction="none"), 0, "positive"),
    (nn.PoissonNLLLoss(reduction="none", log_input=False, eps=0.1), 1, "positive"),
    (nn.KLDivLoss(reduction="none"), 0, "positive"),
    (nn.KLDivLoss(reduction="none", log_target=True), 1, "real"),
    (nn.BCELoss(reduction="none"), 0, "probability"),
    (nn.BCEWithLogitsLoss(reduction="none"), 0, "probability"),
    (nn.HingeEmbeddingLoss(0.4, reduction="none"), 0, "sign"),
    (nn.SoftMarginLoss(reduction="none"), 0, "sign"),
]
TARGETS: dict[str, Callable[[Tensor], Tensor]] = {
    "real": lambda x: x,
    "positive": torch.exp,
    "probability": torch.sigmoid,
    "sign": lambda x: x.sign(),
}


@pytest.mark.parametrize(("loss", "which", "kind"), LOSSES, ids=lambda value: str(value))
def test_formulas_of_losses(loss, which, kind):
    torch.manual_seed(0)
    target = TARGETS[kind](torch.randn(40))
    input = torch.rand(40) if isinstance(loss, nn.BCELoss | nn.PoissonNLLLoss) else torch.randn(40)
    found = formulas_of(type(loss))
    names = Names(loss, **OF_NUMBERS)
    pairs = list(zip(input.tolist(), target.tolist(), strict=True))

    expected = []
    for x, y in pairs:
        known = names.also(input=x, target=y)
        if "Where d is" in said_of(type(loss)).summary:
            known = known.also(d=evaluated(found[1], known))
        expected.append(evaluated(found[which], known))

    torch.testing.assert_close(loss(input, target), torch.tensor(expected))


def test_formulas_of_losses_of_three() -> None:
    torch.manual_seed(0)
    x, y, var = torch.randn(20), torch.randn(20), torch.rand(20)
    for full in (False, True):
        loss = nn.GaussianNLLLoss(reduction="none", full=full)
        first, constant = formulas_of(nn.GaussianNLLLoss)
        for one, other, third, given in zip(x, y, var, loss(x, y, var), strict=True):
            names = Names(loss, **OF_NUMBERS, input=one.item(), target=other.item())
            names["var"] = third.item()
            expected = evaluated(first, names) + full * evaluated(constant, names)
            assert math.isclose(given.item(), expected, rel_tol=1e-12)
    ranking = nn.MarginRankingLoss(0.3, reduction="none")
    (formula,) = formulas_of(nn.MarginRankingLoss)
    for one, other, target, given in zip(
        x, y, var.sub(0.5).sign(), ranking(x, y, var.sub(0.5).sign()), strict=True
    ):
        names = Names(ranking, input1=one.item(), input2=other.item(), target=target.item())
        assert math.isclose(given.item(), evaluated(formula, names), rel_tol=1e-12)


# ── of tensors ───────────────────────────────────────────────────────────────────────────────

CASES: list[Callable[[], Iterator[Case]]] = [
    formulas.affine_maps,
    formulas.along_a_dimension,
    formulas.normalisations,
    formulas.among_neighbours,
    formulas.powers,
    formulas.drops,
    formulas.parametrized,
    formulas_of_losses.of_classes,
    formulas_of_losses.of_pairs,
    formulas_of_losses.of_a_layer,
    formulas_of_sequences.cells,
    formulas_of_sequences.projections,
    formulas_of_sequences.attention,
    formulas_of_sequences.transformers,
    formulas_of_sequences.normalised_first,
]


@pytest.mark.parametrize("cases", CASES, ids=lambda cases: cases.__name__)
def test_formulas_of_tensors(cases):
    torch.manual_seed(0)
    for case in cases():
        actual = case.value()
        expected = case.expected
        if isinstance(expected, list):
            actual = actual if isinstance(actual, list) else [actual]
        torch.testing.assert_close(
            actual, expected, msg=lambda text, c=case: f"{c.layer} {c.formula}: {text}"
        )


# ── of sizes ─────────────────────────────────────────────────────────────────────────────────

SIZE = re.compile(r"\(+size ")
RESIZING = [layer for layer in SAMPLES_OF if any(map(SIZE.match, formulas_of(layer)))]


def in_dimension(value: object, dim: int) -> object:
    """Example: (3, 5) in dimension 1 -> 5, 3 -> 3."""
    return value[dim] if isinstance(value, tuple) else value


def resizing(layer: type[nn.Module]) -> Iterator[tuple[nn.Module, Tensor]]:
    """The samples of which the formula is: with numbers, and without rounding up."""
    for sample in SAMPLES_OF[layer]:
        built = layer_of(constructed(sample, layer))
        words = isinstance(getattr(built, "padding", 0), str)
        if not (words or getattr(built, "ceil_mode", False)):
            yield built, inputs_of(sample).args[0]


@pytest.mark.parametrize("layer", RESIZING, ids=lambda layer: layer.__name__)
def test_formulas_of_sizes(layer):
    (formula,) = (item for item in formulas_of(layer) if SIZE.match(item))
    seen = 0
    for built, input in resizing(layer):
        output = built(input)
        shape = (output[0] if isinstance(output, tuple) else output).shape
        dims = int(layer.__name__[-2])
        for dim, (before, after) in enumerate(zip(input.shape[-dims:], shape[-dims:], strict=True)):
            names = Names(
                built,
                size=before,
                # As each pooling's own docstring of torch says of stride=None.
                stride=in_dimension(built.stride or built.kernel_size, dim),
                **{
                    name: in_dimension(getattr(built, name), dim)
                    for name in ("kernel_size", "padding", "dilation", "output_padding")
                    if hasattr(built, name)
                },
            )
            assert after == evaluated(formula, names)
            seen += 1

    assert seen > 0


# ── all of them ──────────────────────────────────────────────────────────────────────────────


def test_every_formula_is_computed() -> None:
    with torch.no_grad():
        computed = {
            (type(case.layer), case.formula)
            for case in chain.from_iterable(cases() for cases in CASES)
        }
    for layer in (*ELEMENTWISE, *(type(loss) for loss, _, _ in LOSSES), nn.GaussianNLLLoss):
        computed |= {(layer, formula) for formula in formulas_of(layer)}
    computed |= {(nn.MarginRankingLoss, formula) for formula in formulas_of(nn.MarginRankingLoss)}
    # The letters of shapes are test_docstring_dependents.py's.
    shapes = {
        (layer, meaning) for layer in SAMPLES_OF for meaning in said_of(layer).definitions.values()
    }
    sizes = {
        (layer, formula)
        for layer in RESIZING
        for formula in formulas_of(layer)
        if SIZE.match(formula)
    }

    every = {(layer, formula) for layer in SAMPLES_OF for formula in formulas_of(layer)}
    assert every == computed | shapes | sizes
