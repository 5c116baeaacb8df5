"""Convolutions; what is called a convolution here is a cross-correlation, as everywhere."""

from __future__ import annotations

from metann.codegen.words.entry import Words

_SIZE = "Each size becomes `(size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1`."
_TRANSPOSED_SIZE = (
    "Each size becomes\n"
    "`(size - 1) * stride - 2 * padding + dilation * (kernel_size - 1) + output_padding + 1`."
)
_SHAPE_1D = "(N, in_channels, L) -> (N, out_channels, L_out), or without N"
_SHAPE_2D = "(N, in_channels, H, W) -> (N, out_channels, H_out, W_out), or without N"
_SHAPE_3D = "(N, in_channels, D, H, W) -> (N, out_channels, D_out, H_out, W_out), or without N"

WORDS = {
    "torch.nn.Conv1d": Words(
        "Products of weight with each window of the last dimension, summed, plus bias.",
        _SIZE,
        _SHAPE_1D,
    ),
    "torch.nn.Conv2d": Words(
        "Products of weight with each window of the last 2 dimensions, summed, plus bias.",
        _SIZE,
        _SHAPE_2D,
    ),
    "torch.nn.Conv3d": Words(
        "Products of weight with each window of the last 3 dimensions, summed, plus bias.",
        _SIZE,
        _SHAPE_3D,
    ),
    "torch.nn.ConvTranspose1d": Words(
        "Each input value times weight, added to a window of the output, plus bias.",
        _TRANSPOSED_SIZE,
        _SHAPE_1D,
    ),
    "torch.nn.ConvTranspose2d": Words(
        "Each input value times weight, added to a window of the output image, plus bias.",
        _TRANSPOSED_SIZE,
        _SHAPE_2D,
    ),
    "torch.nn.ConvTranspose3d": Words(
        "Each input value times weight, added to a window of the output volume, plus bias.",
        _TRANSPOSED_SIZE,
        _SHAPE_3D,
    ),
    "torch.nn.LazyConv1d": Words(
        "A Conv1d that takes in_channels from its first input.", _SIZE, _SHAPE_1D
    ),
    "torch.nn.LazyConv2d": Words(
        "A Conv2d that takes in_channels from its first input.", _SIZE, _SHAPE_2D
    ),
    "torch.nn.LazyConv3d": Words(
        "A Conv3d that takes in_channels from its first input.", _SIZE, _SHAPE_3D
    ),
    "torch.nn.LazyConvTranspose1d": Words(
        "A ConvTranspose1d that takes in_channels from its first input.",
        _TRANSPOSED_SIZE,
        _SHAPE_1D,
    ),
    "torch.nn.LazyConvTranspose2d": Words(
        "A ConvTranspose2d that takes in_channels from its first input.",
        _TRANSPOSED_SIZE,
        _SHAPE_2D,
    ),
    "torch.nn.LazyConvTranspose3d": Words(
        "A ConvTranspose3d that takes in_channels from its first input.",
        _TRANSPOSED_SIZE,
        _SHAPE_3D,
    ),
}
