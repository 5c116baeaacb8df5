"""The dropouts; all of them return their input in eval mode."""

from __future__ import annotations

from metann.codegen.words.entry import Words

WORDS = {
    "torch.nn.Dropout": Words(
        "In training each element is 0 with probability p, else `input / (1 - p)`."
    ),
    "torch.nn.Dropout1d": Words(
        "In training each channel is 0 with probability p, else `input / (1 - p)`.",
        shape="(N, C, L) -> (N, C, L), or without N",
    ),
    "torch.nn.Dropout2d": Words(
        "In training each channel is 0 with probability p, else `input / (1 - p)`.",
        shape="(N, C, H, W) -> (N, C, H, W)",
    ),
    "torch.nn.Dropout3d": Words(
        "In training each channel is 0 with probability p, else `input / (1 - p)`.",
        shape="(N, C, D, H, W) -> (N, C, D, H, W), or without N",
    ),
    "torch.nn.AlphaDropout": Words(
        "In training elements drop out with probability p; mean 0 and variance 1 are kept.",
        "Dropped elements get SELU's lowest value, then all are scaled and shifted: for SELU.",
    ),
    "torch.nn.FeatureAlphaDropout": Words(
        "In training channels drop out with probability p; mean 0 and variance 1 are kept.",
        "Like AlphaDropout, but for whole channels.",
    ),
}
