"""Normalisations: over a batch, an example, groups of channels, or neighbours."""

from __future__ import annotations

from metann.codegen.words.entry import Words

_BATCH = "`(input - mean) / sqrt(var + eps) * weight + bias`, with mean and var by channel."
_TRACKED = (
    "Both are those of the batch, or, if they are tracked, in eval mode those tracked so far."
)
_SYNCED = "Both are those of the batch on all processes, or, in eval mode, those tracked, if any."
_EXAMPLE = "`(input - mean) / sqrt(var + eps) * weight + bias`, by channel and example."
_ALONE = "With mean and var of each, or, if they are tracked, in eval mode those tracked so far."
_LAZY = "A {} that takes num_features from its first input."
_1D = "(N, num_features, L) -> (N, num_features, L)"
_2D = "(N, num_features, H, W) -> (N, num_features, H, W)"
_3D = "(N, num_features, D, H, W) -> (N, num_features, D, H, W)"
# A lazy one without weights and statistics never learns its num_features.
_LAZY_1D, _LAZY_2D, _LAZY_3D = (shape.replace("num_features", "C") for shape in (_1D, _2D, _3D))

WORDS = {
    "torch.nn.BatchNorm1d": Words(_BATCH, _TRACKED, f"{_1D}, or without L"),
    "torch.nn.BatchNorm2d": Words(_BATCH, _TRACKED, _2D),
    "torch.nn.BatchNorm3d": Words(_BATCH, _TRACKED, _3D),
    "torch.nn.SyncBatchNorm": Words(
        _BATCH, _SYNCED, "(N, num_features, *) -> (N, num_features, *)"
    ),
    "torch.nn.LazyBatchNorm1d": Words(
        _LAZY.format("BatchNorm1d"), shape=f"{_LAZY_1D}, or without L"
    ),
    "torch.nn.LazyBatchNorm2d": Words(_LAZY.format("BatchNorm2d"), shape=_LAZY_2D),
    "torch.nn.LazyBatchNorm3d": Words(_LAZY.format("BatchNorm3d"), shape=_LAZY_3D),
    "torch.nn.InstanceNorm1d": Words(_EXAMPLE, _ALONE, f"{_1D}, or without N"),
    "torch.nn.InstanceNorm2d": Words(_EXAMPLE, _ALONE, f"{_2D}, or without N"),
    "torch.nn.InstanceNorm3d": Words(_EXAMPLE, _ALONE, f"{_3D}, or without N"),
    "torch.nn.LazyInstanceNorm1d": Words(
        _LAZY.format("InstanceNorm1d"), shape=f"{_LAZY_1D}, or without N"
    ),
    "torch.nn.LazyInstanceNorm2d": Words(
        _LAZY.format("InstanceNorm2d"), shape=f"{_LAZY_2D}, or without N"
    ),
    "torch.nn.LazyInstanceNorm3d": Words(
        _LAZY.format("InstanceNorm3d"), shape=f"{_LAZY_3D}, or without N"
    ),
    "torch.nn.LayerNorm": Words(
        "`(input - mean) / sqrt(var + eps) * weight + bias`, over the last dimensions.",
        "With mean and var of the dimensions in normalized_shape, for all others separately.",
        "(*, *normalized_shape) -> (*, *normalized_shape)",
    ),
    "torch.nn.GroupNorm": Words(
        "`(input - mean) / sqrt(var + eps) * weight + bias`, over groups of channels.",
        "With mean and var of each of num_groups groups, in each example.",
        "(N, num_channels, *) -> (N, num_channels, *)",
    ),
    "torch.nn.RMSNorm": Words(
        "`input / sqrt(mean(input**2) + eps) * weight`, over the last dimensions.",
        "With the mean over the dimensions in normalized_shape.",
        "(*, *normalized_shape) -> (*, *normalized_shape)",
    ),
    "torch.nn.LocalResponseNorm": Words(
        "`input / (k + alpha * squares / size)**beta`, over neighbouring channels.",
        "The squares of size channels, at and around each one, are summed.",
        "(N, C, *) -> (N, C, *)",
    ),
    "torch.nn.CrossMapLRN2d": Words(
        "`input / (k + alpha * squares / size)**beta`, over neighbouring channels.",
        "The squares of (size - 1) // 2 channels on each side, of the one between, and, as torch\n"
        "never takes it away again, of the first channel, are summed.",
        "(N, C, H, W) -> (N, C, H, W)",
    ),
}
