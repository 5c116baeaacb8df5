"""torch/nn/utils/parametrize.py and parametrizations.py, which put modules into a user's tree"""

from collections.abc import Iterator

from torch import Tensor, nn
from torch.nn.utils.parametrizations import (
    _OrthMaps,
    _Orthogonal,
    _SpectralNorm,
    _WeightNorm,
)
from torch.nn.utils.parametrize import ParametrizationList

from samples.draw import Later, built, normal, parameter
from samples.sample import HeldConstant, Missing, Sample, of, on

_WRONG = Missing(
    "torch._weight_norm's second derivative on the CPU is another number than finite differences "
    "give, for one norm a row or a column",
    error=None,
)
_POWER_ITERATION = HeldConstant("the singular vectors that it updates", modes=(True,))

_TALL, _WIDE, _SQUARE = normal(4, 3), normal(3, 4), normal(3, 3)


def _reflectors(rows: int, columns: int) -> Later:
    """A matrix whose diagonal the Householder map, which cuts off decimals, takes for -1 or 1."""

    def make(generator: object) -> Tensor:
        drawn = normal(rows, columns, grad=False).make(generator)
        drawn.diagonal().copy_(1.5 * drawn.diagonal().sign())
        return drawn.requires_grad_()

    return Later(make)


def _orthogonal() -> Iterator[Sample]:
    for matrix in (_TALL, _WIDE, _SQUARE):
        for kind in (_OrthMaps.matrix_exp, _OrthMaps.cayley):
            arguments = of(matrix, kind, use_trivialization=False)
            yield Sample(_Orthogonal, arguments, on(matrix))
    for shape in ((4, 3), (3, 4)):
        matrix = _reflectors(*shape)
        arguments = of(matrix, _OrthMaps.householder, use_trivialization=False)
        yield Sample(_Orthogonal, arguments, on(matrix), note=f"{shape}")


def _weight_norm() -> Iterator[Sample]:
    yield Sample(_WeightNorm, of(), on(normal(3, 1), normal(3, 4)), second_order=_WRONG)
    yield Sample(_WeightNorm, of(dim=1), on(normal(1, 4), normal(3, 4)), second_order=_WRONG)
    yield Sample(_WeightNorm, of(dim=None), on(normal(1), normal(3, 4)))


def _spectral_norm() -> Iterator[Sample]:
    for arguments in (of(normal(3, 4, grad=False)), of(normal(3, 4, grad=False), 2, dim=1)):
        yield Sample(_SpectralNorm, arguments, on(normal(3, 4)), held_constant=_POWER_ITERATION)
    yield Sample(_SpectralNorm, of(normal(3, grad=False)), on(normal(3)), note="a vector")


def _lists() -> Iterator[Sample]:
    square = parameter(3, 3)
    spectral = built(_SpectralNorm, square)
    for kind in _OrthMaps:
        orthogonal = built(_Orthogonal, square, kind)
        yield Sample(ParametrizationList, of([orthogonal], square, unsafe=True), on())
    yield Sample(
        ParametrizationList, of([built(_WeightNorm)], parameter(3, 4)), on(), second_order=_WRONG
    )
    for modules in ([spectral], [spectral, built(_Orthogonal, square, _OrthMaps.matrix_exp)]):
        yield Sample(
            ParametrizationList,
            of(modules, square, unsafe=True),
            on(),
            held_constant=_POWER_ITERATION,
        )
    yield Sample(ParametrizationList, of([built(nn.Softplus)], square, unsafe=True), on())


SAMPLES = (*_orthogonal(), *_weight_norm(), *_spectral_norm(), *_lists())
