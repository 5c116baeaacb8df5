"""`chain`, where TorchOpt has it."""

from metann.compat.torchopt.base import chain as chain
