"""Layers that move values to other places, and those that resize images."""

from __future__ import annotations

from metann.codegen.words.entry import Words

WORDS = {
    "torch.nn.Flatten": Words("Joins the dimensions from start_dim to end_dim into one."),
    "torch.nn.Unflatten": Words("Splits the dimension dim into those of unflattened_size."),
    "torch.nn.Fold": Words(
        "Puts columns back as windows of an image; what overlaps is summed.",
        "Each column holds the C * K values of one window, K of which stand in each channel.",
        "(N, columns, windows) -> (N, C, H, W), or without N",
    ),
    "torch.nn.Unfold": Words(
        "Each window of an image as one column of C * K values, K by channel.",
        shape="(N, C, H, W) -> (N, C * K, windows), or without N",
    ),
    "torch.nn.ChannelShuffle": Words(
        "Takes the first channel of each of the groups, then the second of each, and so on.",
        shape="(N, C, *) -> (N, C, *)",
    ),
    "torch.nn.PixelShuffle": Words(
        "Puts channels side by side as pixels, in squares as wide as upscale_factor.",
        shape="(*, C * upscale_factor**2, H, W) -> (*, C, H * upscale_factor, W * upscale_factor)",
    ),
    "torch.nn.PixelUnshuffle": Words(
        "Puts the pixels of each block one behind the other, as channels.",
        shape="(*, C, H * downscale_factor, W * downscale_factor) -> "
        "(*, C * downscale_factor**2, H, W)",
    ),
    "torch.nn.Upsample": Words(
        "Resizes all but the first 2 dimensions, to size or by scale_factor.",
        "New values are interpolated by mode; 'nearest' repeats old ones.",
        "(N, C, *) -> (N, C, *_out)",
    ),
    "torch.nn.UpsamplingNearest2d": Words(
        "Resizes images by repeating pixels, to size or by scale_factor.",
        shape="(N, C, H, W) -> (N, C, H_out, W_out)",
    ),
    "torch.nn.UpsamplingBilinear2d": Words(
        "Resizes images by interpolating between pixels, to size or by scale_factor.",
        "The pixels in the four corners stay as they are.",
        "(N, C, H, W) -> (N, C, H_out, W_out)",
    ),
}
