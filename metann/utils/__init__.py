"""Small containers that stand on their own."""

from metann.utils.containers import SubDict as SubDict

__all__ = ["SubDict"]
