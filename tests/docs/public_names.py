"""What is public: the names of the public packages, and of the classes among them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from types import FunctionType, ModuleType

#: The rest of metann may change without notice.
PACKAGES = (
    "metann",
    "metann.batching",
    "metann.compat.higher",
    "metann.compat.learn2learn",
    "metann.compat.metann",
    "metann.compat.metann.meta",
    "metann.compat.metann.utils",
    "metann.compat.torchopt",
    "metann.errors",
    "metann.functional",
    "metann.generated",
    "metann.meta",
    "metann.optim",
    "metann.tasks",
    "metann.utils",
)


def public_names() -> dict[str, object]:
    """Every public class, function and value, by its name."""
    return {
        f"{package}.{name}": getattr(import_module(package), name)
        for package in PACKAGES
        for name in names_of(import_module(package))
        if not isinstance(getattr(import_module(package), name), ModuleType)
    }


def names_of(package: ModuleType) -> list[str]:
    """What a package offers: what it lists, or what comes from metann."""
    if hasattr(package, "__all__"):
        return list(package.__all__)
    return [
        name
        for name, thing in vars(package).items()
        if not name.startswith("_")
        if getattr(thing, "__module__", "").startswith("metann") or name[0].isupper()
    ]


def members_of(name: str, kind: type) -> Iterator[tuple[str, object]]:
    """The public methods and properties that a class itself defines."""
    for key, member in vars(kind).items():
        plain = inspect.unwrap(getattr(member, "__func__", member))
        if not key.startswith("_") and isinstance(plain, (FunctionType, property)):
            yield f"{name}.{key}", plain
