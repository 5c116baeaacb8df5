"""Paddings: what is put around the last dimensions."""

from __future__ import annotations

from metann.codegen.words.entry import Words

_1D = "The padding is (left, right)."
_2D = "The padding is (left, right, top, bottom)."
_3D = "The padding is (left, right, top, bottom, front, back)."

WORDS = {
    "torch.nn.CircularPad1d": Words("Continues the last dimension as if it were a circle.", _1D),
    "torch.nn.CircularPad2d": Words("Continues the last 2 dimensions as if in a circle.", _2D),
    "torch.nn.CircularPad3d": Words("Continues the last 3 dimensions as if in a circle.", _3D),
    "torch.nn.ConstantPad1d": Words("Puts value at both ends of the last dimension.", _1D),
    "torch.nn.ConstantPad2d": Words("Puts value around the last 2 dimensions.", _2D),
    "torch.nn.ConstantPad3d": Words("Puts value around the last 3 dimensions.", _3D),
    "torch.nn.ReflectionPad1d": Words(
        "Mirrors the last dimension at its first and last item.", _1D
    ),
    "torch.nn.ReflectionPad2d": Words(
        "Mirrors the last 2 dimensions at their outermost items.", _2D
    ),
    "torch.nn.ReflectionPad3d": Words(
        "Mirrors the last 3 dimensions at their outermost items.", _3D
    ),
    "torch.nn.ReplicationPad1d": Words(
        "Repeats the first and last item of the last dimension.", _1D
    ),
    "torch.nn.ReplicationPad2d": Words(
        "Repeats the outermost items of the last 2 dimensions.", _2D
    ),
    "torch.nn.ReplicationPad3d": Words(
        "Repeats the outermost items of the last 3 dimensions.", _3D
    ),
    "torch.nn.ZeroPad1d": Words("Puts zeros at both ends of the last dimension.", _1D),
    "torch.nn.ZeroPad2d": Words("Puts zeros around the last 2 dimensions.", _2D),
    "torch.nn.ZeroPad3d": Words("Puts zeros around the last 3 dimensions.", _3D),
}
