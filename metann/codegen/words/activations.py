"""Layers that change each element by itself, and those that normalise along a dimension."""

from __future__ import annotations

from metann.codegen.words.entry import Words

WORDS = {
    "torch.nn.Threshold": Words("`x if x > threshold else value` for each element x."),
    "torch.nn.ReLU": Words("`max(x, 0)` for each element x."),
    "torch.nn.RReLU": Words(
        "`x if x >= 0 else a * x` for each element x, with a random slope a.",
        "In training each slope is drawn between lower and upper; in eval mode it is their mean.",
    ),
    "torch.nn.Hardtanh": Words("`min(max(x, min_val), max_val)` for each element x."),
    "torch.nn.ReLU6": Words("`min(max(x, 0), 6)` for each element x."),
    "torch.nn.Sigmoid": Words("`1 / (1 + exp(-x))` for each element x."),
    "torch.nn.Hardsigmoid": Words("`min(max(x + 3, 0), 6) / 6` for each element x."),
    "torch.nn.Tanh": Words("`tanh(x)` for each element x."),
    "torch.nn.SiLU": Words("`x * sigmoid(x)` for each element x; known as swish, too."),
    "torch.nn.Mish": Words("`x * tanh(log(1 + exp(x)))` for each element x."),
    "torch.nn.Hardswish": Words("`x * min(max(x + 3, 0), 6) / 6` for each element x."),
    "torch.nn.ELU": Words("`x if x > 0 else alpha * (exp(x) - 1)` for each element x."),
    "torch.nn.CELU": Words("`x if x > 0 else alpha * (exp(x / alpha) - 1)` for each element x."),
    "torch.nn.SELU": Words(
        "`scale * (x if x > 0 else alpha * (exp(x) - 1))` for each element x.",
        "With scale 1.0507... and alpha 1.6732..., which keep mean 0 and variance 1.",
    ),
    "torch.nn.GLU": Words("`a * sigmoid(b)`, where a and b are the halves of input along dim."),
    "torch.nn.GELU": Words(
        "`x * (1 + erf(x / sqrt(2))) / 2` for each element x.",
        "With approximate='tanh': `x * (1 + tanh(sqrt(2 / pi) * (x + 0.044715 * x**3))) / 2`.",
    ),
    "torch.nn.Hardshrink": Words("`x if abs(x) > lambd else 0` for each element x."),
    "torch.nn.LeakyReLU": Words("`x if x > 0 else negative_slope * x` for each element x."),
    "torch.nn.LogSigmoid": Words("`-log(1 + exp(-x))` for each element x."),
    "torch.nn.Softplus": Words(
        "`log(1 + exp(beta * x)) / beta` for each element x.",
        "Where `beta * x > threshold` it is x itself.",
    ),
    "torch.nn.Softshrink": Words(
        "`x - lambd if x > lambd else x + lambd if x < -lambd else 0` for each element x."
    ),
    "torch.nn.PReLU": Words(
        "`x if x > 0 else weight * x` for each element x.",
        "The weight is one number, or one for each channel (dimension 1).",
    ),
    "torch.nn.Softsign": Words("`x / (1 + abs(x))` for each element x."),
    "torch.nn.Tanhshrink": Words("`x - tanh(x)` for each element x."),
    "torch.nn.Softmin": Words("`exp(-input) / sum(exp(-input))`, with the sum along dim."),
    "torch.nn.Softmax": Words("`exp(input) / sum(exp(input))`, with the sum along dim."),
    "torch.nn.Softmax2d": Words(
        "`exp(input) / sum(exp(input))`, with the sum over the channels of each pixel.",
        shape="(N, C, H, W) -> (N, C, H, W), or without N",
    ),
    "torch.nn.LogSoftmax": Words("`input - log(sum(exp(input)))`, with the sum along dim."),
}
