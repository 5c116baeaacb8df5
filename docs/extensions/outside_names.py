"""Names that this site does not explain: torch's lead to torch's documentation.

The addresses are made from the names, so that no build asks the network. A name of metann that is
not found stays an error.
"""

from __future__ import annotations

import builtins
import collections.abc
import re
import sys
import typing
from importlib import import_module

from docutils import nodes
from sphinx.addnodes import pending_xref
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

ADDRESS = "https://docs.pytorch.org/docs/stable/"

#: What torch explains on a page with other things.
PAGES = {
    "torch.Tensor": "tensors.html#torch.Tensor",
    "torch.dtype": "tensor_attributes.html#torch.dtype",
    "torch.device": "tensor_attributes.html#torch.device",
}
#: Where torch gives each thing a page of its own.
ONE_PAGE_EACH = re.compile(
    r"torch\.((nn|optim|func|autograd|linalg)\.[A-Za-z]\w*"
    r"|nn\.functional\.[a-z]\w*|nn\.parameter\.[A-Z]\w*|nn\.utils\.([a-z]+\.)?\w+"
    r"|[a-z]\w*|Generator)"
)
#: What stands in front of names in our own code.
SHORT = {"Tensor": "torch.Tensor", "nn": "torch.nn", "F": "torch.nn.functional"}


def link(
    app: Sphinx,
    env: BuildEnvironment,
    node: pending_xref,
    content: nodes.TextElement,
) -> nodes.Element | None:
    """A link to torch, or the bare name of what has no entry; None if there is no such name."""
    may_be_ours = node.get("may_be_missing") and not leads_to_torch(node)
    if node.get("refdomain") != "py" or may_be_ours:
        return None
    name = full_name(node["reftarget"])
    if name.startswith("torch.") and (address := address_of(name)):
        return nodes.reference("", "", content, internal=False, refuri=ADDRESS + address)
    if public := public_name(name, env):
        domain = env.domains.python_domain
        return domain.resolve_xref(env, node["refdoc"], app.builder, "obj", public, node, content)
    return content if is_known(name) or is_known(node["reftarget"]) else None


def leads_to_torch(node: pending_xref) -> bool:
    """Whether the name begins as those of torch do."""
    return node["reftarget"].split(".")[0] in {"torch", "nn"}


def public_name(name: str, env: BuildEnvironment) -> str | None:
    """The entry of something, by any of its names: "Hyper", "metann.optim.hyper.Hyper"."""
    last = name.rpartition(".")[2]
    entries = [key for key in env.domains.python_domain.objects if key.endswith(f".{last}")]
    return entries[0] if len(entries) == 1 and is_known(name) else None


def is_known(name: str) -> bool:
    """Whether there is anything of this name in metann, in Python or in torch."""
    home, _, last = name.rpartition(".")
    if home:
        return home in sys.modules and hasattr(sys.modules[home], last)
    homes = [sys.modules[key] for key in sys.modules if key.split(".")[0] in {"metann", "torch"}]
    return any(last in vars(module) for module in (builtins, typing, collections.abc, *homes))


def full_name(name: str) -> str:
    """Example: "nn.Linear" -> "torch.nn.Linear"."""
    first, dot, rest = name.partition(".")
    name = SHORT.get(first, first) + dot + rest
    # What torch keeps in torch/nn/modules/linear.py is torch.nn's.
    return re.sub(r"^torch\.(nn|optim)\.(modules\.)?[a-z]\w*\.([A-Z]\w*)$", r"torch.\1.\3", name)


def address_of(name: str) -> str | None:
    """The page on a name of torch; None for a name that torch does not have."""
    if name in PAGES:
        return PAGES[name]
    if ONE_PAGE_EACH.fullmatch(name) and exists(name):
        return f"generated/{name}.html"
    return None


def exists(name: str) -> bool:
    """Whether torch has something of this name that is not a module."""
    home, _, last = name.rpartition(".")
    try:
        found = getattr(import_module(home), last, None)
    except ModuleNotFoundError:
        return False
    return callable(found)


def setup(app: Sphinx) -> dict[str, bool]:
    """What Sphinx calls."""
    app.connect("missing-reference", link)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
