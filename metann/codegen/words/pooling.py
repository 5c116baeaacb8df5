"""Poolings: one value for each window."""

from __future__ import annotations

from metann.codegen.words.entry import Words

_1D = "(N, C, L) -> (N, C, L_out), or without N"
_2D = "(N, C, H, W) -> (N, C, H_out, W_out), or without N"
_3D = "(N, C, D, H, W) -> (N, C, D_out, H_out, W_out), or without N"
_MAX_1D = "(N, C, L) -> (N, C, L_out), and indices if asked for; or without N"
_MAX_2D = "(N, C, H, W) -> (N, C, H_out, W_out), and indices if asked for; or without N"
_MAX_3D = "(N, C, D, H, W) -> (N, C, D_out, H_out, W_out), and indices if asked for; or without N"
_TO_1D = "(N, C, L) -> (N, C, output_size), or without N"
_MAX_SIZE = (
    "Each size becomes `(size + 2 * padding - dilation * (kernel_size - 1) - 1) // stride + 1`."
)
_MEAN_SIZE = (
    "Padding counts as zeros, or, with count_include_pad=False, not at all.\n"
    "Each size becomes `(size + 2 * padding - kernel_size) // stride + 1`."
)
_POWER_SIZE = "Each size becomes `(size - kernel_size) // stride + 1`."
_ADAPTIVE = "There are output_size windows; they cover all, and overlap where sizes do not divide."

WORDS = {
    "torch.nn.MaxPool1d": Words(
        "The largest value in each window of kernel_size.", _MAX_SIZE, _MAX_1D
    ),
    "torch.nn.MaxPool2d": Words(
        "The largest value in each window of kernel_size.", _MAX_SIZE, _MAX_2D
    ),
    "torch.nn.MaxPool3d": Words(
        "The largest value in each window of kernel_size.", _MAX_SIZE, _MAX_3D
    ),
    "torch.nn.MaxUnpool1d": Words(
        "Puts each value where MaxPool1d found it, which indices say; elsewhere zeros."
    ),
    "torch.nn.MaxUnpool2d": Words(
        "Puts each value where MaxPool2d found it, which indices say; elsewhere zeros."
    ),
    "torch.nn.MaxUnpool3d": Words(
        "Puts each value where MaxPool3d found it, which indices say; elsewhere zeros."
    ),
    "torch.nn.AvgPool1d": Words("The mean of each window of kernel_size.", _MEAN_SIZE, _1D),
    "torch.nn.AvgPool2d": Words("The mean of each window of kernel_size.", _MEAN_SIZE, _2D),
    "torch.nn.AvgPool3d": Words("The mean of each window of kernel_size.", _MEAN_SIZE, _3D),
    "torch.nn.FractionalMaxPool2d": Words(
        "The largest value in each window of kernel_size, at random places.",
        "There are output_size windows, or output_ratio times each size.",
        _MAX_2D,
    ),
    "torch.nn.FractionalMaxPool3d": Words(
        "The largest value in each window of kernel_size, at random places.",
        "There are output_size windows, or output_ratio times each size.",
        _MAX_3D,
    ),
    "torch.nn.LPPool1d": Words(
        "`sum(x**norm_type)**(1 / norm_type)` over each window x of kernel_size.", _POWER_SIZE, _1D
    ),
    "torch.nn.LPPool2d": Words(
        "`sum(x**norm_type)**(1 / norm_type)` over each window x of kernel_size.", _POWER_SIZE, _2D
    ),
    "torch.nn.LPPool3d": Words(
        "`sum(x**norm_type)**(1 / norm_type)` over each window x of kernel_size.", _POWER_SIZE, _3D
    ),
    "torch.nn.AdaptiveMaxPool1d": Words("The largest value in each window.", _ADAPTIVE, _MAX_1D),
    "torch.nn.AdaptiveMaxPool2d": Words("The largest value in each window.", _ADAPTIVE, _MAX_2D),
    "torch.nn.AdaptiveMaxPool3d": Words("The largest value in each window.", _ADAPTIVE, _MAX_3D),
    "torch.nn.AdaptiveAvgPool1d": Words("The mean of each window.", _ADAPTIVE, _TO_1D),
    "torch.nn.AdaptiveAvgPool2d": Words("The mean of each window.", _ADAPTIVE, _2D),
    "torch.nn.AdaptiveAvgPool3d": Words("The mean of each window.", _ADAPTIVE, _3D),
}
