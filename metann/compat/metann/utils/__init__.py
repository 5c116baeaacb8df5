"""Small containers."""

from metann.compat.metann.utils import containers as containers
from metann.compat.metann.utils.containers import SubDict as SubDict
