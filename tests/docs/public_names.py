"""What is public: the names of the public packages, and of the classes among them."""

from __future__ import annotations

import inspect
from collections.abc import Iterator
from importlib import import_module
from types import FunctionType, ModuleType
from typing import TypeVar

#: The rest of metann may change without notice.
PACKAGES = (
    "metann",
    "metann.batching",
    "metann.compat.higher",
    "metann.compat.learn2learn",
    "metann.compat.learn2learn.algorithms",
    "metann.compat.learn2learn.optim",
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
    """What a package offers: what it lists, or its own classes, functions and named types."""
    if hasattr(package, "__all__"):
        return list(package.__all__)
    # In metann.compat a type with a name is there for annotations alone.
    with_types = not package.__name__.startswith("metann.compat")
    home = "metann" if with_types else "metann.compat"
    return [
        name
        for name, thing in vars(package).items()
        if not name.startswith("_")
        if is_from(home, thing) or (with_types and is_a_named_type(name, thing))
    ]


def is_from(home: str, thing: object) -> bool:
    return str(getattr(thing, "__module__", "")).startswith(home)


def is_a_named_type(name: str, thing: object) -> bool:
    """Such as `Hyper`; not a class of torch that a file imports for itself."""
    is_named_so = name[0].isupper() and name != "TYPE_CHECKING"
    return is_named_so and not isinstance(thing, (type, FunctionType, TypeVar))


def members_of(name: str, kind: type) -> Iterator[tuple[str, object]]:
    """The public methods and properties that a class itself defines."""
    for key, member in vars(kind).items():
        plain = inspect.unwrap(getattr(member, "__func__", member))
        if not key.startswith("_") and isinstance(plain, (FunctionType, property)):
            yield f"{name}.{key}", plain
