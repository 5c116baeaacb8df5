"""torch/nn/modules/activation.py, without MultiheadAttention, which has a file of its own"""

from torch import nn

from samples.draw import normal
from samples.sample import Missing, Sample, of, on

_X = normal(2, 4)
_IMAGE = normal(2, 3, 2, 2)
_IMPLICIT = ("Implicit dimension choice for (log_)?soft(max|min) has been deprecated",)
_RENAMED = ("keyword argument `(min|max)_value` is deprecated",)
_HARDSIGMOID = Missing(
    "torch has no derivative of the kernel of Hardsigmoid's gradient, not even the zero it is",
    error="derivative for aten::hardsigmoid_backward is not implemented",
)

_ELEMENTWISE = (
    Sample(nn.CELU, of(), on(_X)),
    Sample(nn.CELU, of(alpha=0.5), on(_X)),
    Sample(nn.CELU, of(inplace=True), on(_X)),
    Sample(nn.ELU, of(), on(_X)),
    Sample(nn.ELU, of(alpha=0.5), on(_X)),
    Sample(nn.ELU, of(inplace=True), on(_X)),
    Sample(nn.GELU, of(), on(_X)),
    Sample(nn.GELU, of(approximate="tanh"), on(_X)),
    Sample(nn.Hardshrink, of(), on(_X)),
    Sample(nn.Hardshrink, of(lambd=0.3), on(_X)),
    Sample(nn.Hardsigmoid, of(), on(_X), second_order=_HARDSIGMOID),
    Sample(nn.Hardsigmoid, of(inplace=True), on(_X), second_order=_HARDSIGMOID),
    Sample(nn.Hardswish, of(), on(_X)),
    Sample(nn.Hardswish, of(inplace=True), on(_X)),
    Sample(nn.Hardtanh, of(), on(_X)),
    Sample(nn.Hardtanh, of(min_val=-0.5, max_val=0.7), on(_X)),
    Sample(nn.Hardtanh, of(inplace=True), on(_X)),
    Sample(nn.Hardtanh, of(min_value=-0.5, max_value=0.7), on(_X), warns=_RENAMED),
    Sample(nn.LeakyReLU, of(), on(_X)),
    Sample(nn.LeakyReLU, of(negative_slope=0.2), on(_X)),
    Sample(nn.LeakyReLU, of(inplace=True), on(_X)),
    Sample(nn.LogSigmoid, of(), on(_X)),
    Sample(nn.Mish, of(), on(_X)),
    Sample(nn.Mish, of(inplace=True), on(_X)),
    Sample(nn.PReLU, of(), on(_X)),
    Sample(nn.PReLU, of(num_parameters=4, init=0.1), on(_X)),
    Sample(nn.PReLU, of(num_parameters=3), on(_IMAGE)),
    Sample(nn.RReLU, of(), on(_X)),
    Sample(nn.RReLU, of(lower=0.2, upper=0.4), on(_X)),
    Sample(nn.RReLU, of(inplace=True), on(_X)),
    Sample(nn.ReLU, of(), on(_X)),
    Sample(nn.ReLU, of(inplace=True), on(_X)),
    Sample(nn.ReLU6, of(), on(_X)),
    Sample(nn.ReLU6, of(inplace=True), on(_X)),
    Sample(nn.SELU, of(), on(_X)),
    Sample(nn.SELU, of(inplace=True), on(_X)),
    Sample(nn.SiLU, of(), on(_X)),
    Sample(nn.SiLU, of(inplace=True), on(_X)),
    Sample(nn.Sigmoid, of(), on(_X)),
    Sample(nn.Softplus, of(), on(_X)),
    Sample(nn.Softplus, of(beta=2.0, threshold=1.5), on(_X)),
    Sample(nn.Softshrink, of(), on(_X)),
    Sample(nn.Softshrink, of(lambd=0.3), on(_X)),
    Sample(nn.Softsign, of(), on(_X)),
    Sample(nn.Tanh, of(), on(_X)),
    Sample(nn.Tanhshrink, of(), on(_X)),
    Sample(nn.Threshold, of(0.2, -3.0), on(_X)),
    Sample(nn.Threshold, of(-0.8, 2.0), on(_X)),
    Sample(nn.Threshold, of(0.2, -3.0, inplace=True), on(_X)),
)

_ALONG_A_DIMENSION = (
    Sample(nn.GLU, of(), on(_X)),
    Sample(nn.GLU, of(dim=0), on(_X)),
    Sample(nn.LogSoftmax, of(dim=0), on(_X)),
    Sample(nn.LogSoftmax, of(), on(_X), warns=_IMPLICIT),
    Sample(nn.Softmax, of(dim=0), on(_X)),
    Sample(nn.Softmax, of(), on(_X), warns=_IMPLICIT),
    Sample(nn.Softmin, of(dim=0), on(_X)),
    Sample(nn.Softmin, of(), on(_X), warns=_IMPLICIT),
    Sample(nn.Softmax2d, of(), on(_IMAGE)),
    Sample(nn.Softmax2d, of(), on(normal(3, 2, 2)), note="one image"),
)

SAMPLES = _ELEMENTWISE + _ALONG_A_DIMENSION
