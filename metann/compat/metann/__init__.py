"""The names and calls of MetaNN 0.3, on top of metann, which began as it.

Example: `from metann.compat.metann.meta import MAML`
"""

from metann.compat.metann import meta as meta
from metann.compat.metann import utils as utils
from metann.compat.metann.proto import ProtoModule as ProtoModule
from metann.compat.metann.proto import tensor_copy as tensor_copy
from metann.module import DependentModule as DependentModule
