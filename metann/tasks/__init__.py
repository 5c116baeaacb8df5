"""Tasks to meta-learn from: drawn, or taken from a labelled dataset."""

from metann.tasks.episodes import Episodes as Episodes
from metann.tasks.episodes import Examples as Examples
from metann.tasks.few_shot import FewShot as FewShot
from metann.tasks.glyphs import Glyphs as Glyphs
from metann.tasks.hand import Hand as Hand
from metann.tasks.sinusoids import Curves as Curves
from metann.tasks.sinusoids import Sinusoids as Sinusoids
from metann.tasks.splits import split_classes as split_classes

__all__ = [
    "Curves",
    "Episodes",
    "Examples",
    "FewShot",
    "Glyphs",
    "Hand",
    "Sinusoids",
    "split_classes",
]
