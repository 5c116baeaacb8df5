"""The names and calls of learn2learn, on top of metann: `MAML(model, lr).clone().adapt(loss)`.

Change `import learn2learn as l2l` to `import metann.compat.learn2learn as l2l`.
"""

from metann.compat.learn2learn import algorithms as algorithms
from metann.compat.learn2learn import optim as optim
from metann.compat.learn2learn.modules import clone_module as clone_module
from metann.compat.learn2learn.modules import detach_module as detach_module
from metann.compat.learn2learn.modules import update_module as update_module
from metann.compat.learn2learn.parameters import accuracy as accuracy
from metann.compat.learn2learn.parameters import clone_named_parameters as clone_named_parameters
from metann.compat.learn2learn.parameters import clone_parameters as clone_parameters
from metann.compat.learn2learn.parameters import magic_box as magic_box

__all__ = [
    "accuracy",
    "algorithms",
    "clone_module",
    "clone_named_parameters",
    "clone_parameters",
    "detach_module",
    "magic_box",
    "optim",
    "update_module",
]
