"""What the names of a file stand for: imports, classes of the file itself, anything else."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property
from typing import Any, TypeVar

import libcst as cst
from libcst.metadata import (
    Assignment,
    BaseAssignment,
    BuiltinAssignment,
    CodeRange,
    ImportAssignment,
    MetadataWrapper,
    ParentNodeProvider,
    PositionProvider,
    Scope,
    ScopeProvider,
)

from metann.codegen.library import Library
from metann.codegen.source import SourceClass, SourceFile
from metann.codegen.syntax import text_of

NodeT = TypeVar("NodeT", bound=cst.CSTNode)
Bindings = frozenset[BaseAssignment]
_NOTHING: Bindings = frozenset()
_MATCHED = (cst.MatchAs, cst.MatchStar, cst.MatchMapping)


class Names:
    """The names of one file, with its scopes; nothing is imported or executed."""

    def __init__(self, module: cst.Module, file: SourceFile, library: Library) -> None:
        # What comes from the parser has no node twice, so that it need not be copied.
        wrapper = MetadataWrapper(module, unsafe_skip_copy=True)
        found: Any = wrapper.resolve_many([ScopeProvider, ParentNodeProvider, PositionProvider])
        self.module: cst.Module = wrapper.module
        self.file: SourceFile = file
        self.library: Library = library
        self._scopes: Mapping[cst.CSTNode, Scope | None] = found[ScopeProvider]
        self._parents: Mapping[cst.CSTNode, cst.CSTNode] = found[ParentNodeProvider]
        self._positions: Mapping[cst.CSTNode, CodeRange] = found[PositionProvider]
        self._classes: dict[str, SourceClass | None] = {}
        self._found: dict[tuple[Bindings, str], str | None] = {}

    def all(self, kind: type[NodeT]) -> Iterator[NodeT]:
        """All nodes of a kind; comments are nodes, too."""
        for node in self._by_kind.get(kind, ()):
            assert isinstance(node, kind)
            yield node

    @cached_property
    def _by_kind(self) -> dict[type[cst.CSTNode], list[cst.CSTNode]]:
        found: dict[type[cst.CSTNode], list[cst.CSTNode]] = {}
        for node in self._positions:
            found.setdefault(type(node), []).append(node)
        return found

    def line(self, node: cst.CSTNode) -> int:
        """The number of the line on which a node begins."""
        return self._positions[node].start.line

    def parent(self, node: cst.CSTNode) -> cst.CSTNode | None:
        """The node that a node is part of; None for the module."""
        return self._parents.get(node)

    def scope(self, node: cst.CSTNode) -> Scope | None:
        """Where a name has its meaning; None if it is no variable, but an attribute or keyword."""
        return self._scopes.get(node)

    @cached_property
    def variables(self) -> tuple[cst.Name, ...]:
        """Every place where a variable is read, bound or deleted, in the order of the file."""
        return tuple(node for node in self.all(cst.Name) if self._is_variable(node))

    @cached_property
    def strings(self) -> frozenset[cst.SimpleString]:
        """The strings that are annotations."""
        accesses = (access.node for scope in self.scopes for access in scope.accesses)
        return frozenset(node for node in accesses if isinstance(node, cst.SimpleString))

    @cached_property
    def scopes(self) -> frozenset[Scope]:
        """All scopes of the file."""
        return frozenset(scope for scope in self._scopes.values() if scope is not None)

    @cached_property
    def bound(self) -> frozenset[str]:
        """All names that are bound anywhere in the file."""
        return frozenset(
            assignment.name
            for scope in self.scopes
            for assignment in scope.assignments
            if not isinstance(assignment, BuiltinAssignment)
        )

    @cached_property
    def globals(self) -> Scope | None:
        """The scope of the file itself."""
        return next((scope.globals for scope in self.scopes), None)

    def bindings(self, name: cst.Name) -> Bindings:
        """All that a variable may stand for at this place."""
        return self._accessed.get(name) or self.look_up(name.value, self.scope(name))

    def look_up(self, name: str, scope: Scope | None) -> Bindings:
        """All that a name may stand for in a scope, whatever the order of the statements."""
        return _NOTHING if scope is None else frozenset(scope[name])

    def qualified(self, node: cst.CSTNode) -> str | None:
        """The one thing outside the file that an expression names; None if it may be another.

        Example: `F.linear` after `import torch.nn.functional as F` -> "torch.nn.functional.linear"
        """
        dotted, root = text_of(node), root_of(node)
        if dotted is None or root is None or self.scope(root) is None:
            return None
        key = bindings, _ = self.bindings(root), dotted
        if key not in self._found:
            self._found[key] = None  # A name may be assigned to itself.
            self._found[key] = self._qualified(bindings, dotted) or self._behind(root, dotted)
        return self._found[key]

    def class_of(self, node: cst.CSTNode) -> SourceClass | None:
        """The class of another file that an expression names, if it can be a module.

        Looking for it may mean to read that file, and those that it imports from.
        """
        qualified = self.qualified(node)
        if qualified is None or not _may_be_module(qualified):
            return None
        if qualified not in self._classes:
            self._classes[qualified] = self.library.find(qualified)
        return self._classes[qualified]

    def definitions(self, node: cst.CSTNode) -> tuple[cst.ClassDef, ...]:
        """The classes of this file that a name stands for, if it stands for nothing else."""
        bindings = self.bindings(node) if isinstance(node, cst.Name) else _NOTHING
        nodes = [item.node for item in bindings if isinstance(item, Assignment)]
        found = tuple(item for item in nodes if isinstance(item, cst.ClassDef))
        return found if len(found) == len(bindings) else ()

    def is_own(self, node: cst.CSTNode) -> bool:
        """Whether a name stands for a class of this file."""
        return bool(self.definitions(node))

    def class_around(self, node: cst.CSTNode) -> cst.ClassDef | None:
        """The innermost class whose body a node is in."""
        above = self.parent(node)
        while above is not None and not isinstance(above, cst.ClassDef):
            above = self.parent(above)
        return above

    def assigned_to(self, node: cst.CSTNode) -> cst.BaseExpression | None:
        """What was assigned to a name, once. Example: `Base = nn.Module` -> `nn.Module`."""
        bindings = self.bindings(node) if isinstance(node, cst.Name) else _NOTHING
        targets = [item.node for item in bindings if isinstance(item, Assignment)]
        if len(bindings) != 1 or len(targets) != 1:
            return None
        above = self.parent(targets[0])
        if isinstance(above, cst.AssignTarget):
            above = self.parent(above)
        return above.value if isinstance(above, cst.Assign | cst.AnnAssign) else None

    def absolute(self, module: str) -> str:
        """Example: "..blocks" in pkg.vision.nets -> "pkg.blocks"."""
        levels = len(module) - len(module.lstrip("."))
        if not levels:
            return module
        parts = self.file.module.split(".")
        kept = parts[: len(parts) - levels + self.file.is_package]
        return ".".join([*kept, *filter(None, [module[levels:]])])

    def assigned_in(self, node: cst.ClassDef) -> Sequence[cst.Attribute]:
        """The attributes that the methods of a class assign. Example: `self.scale = 3`."""
        return self._assigned.get(node, ())

    @cached_property
    def _assigned(self) -> dict[cst.ClassDef | None, list[cst.Attribute]]:
        found: dict[cst.ClassDef | None, list[cst.Attribute]] = {}
        statements: tuple[cst.AssignTarget | cst.AnnAssign, ...]
        statements = (*self.all(cst.AssignTarget), *self.all(cst.AnnAssign))
        for item in statements:
            parts = (part for part in walk(item.target) if isinstance(part, cst.Attribute))
            found.setdefault(self.class_around(item), []).extend(parts)
        return found

    @cached_property
    def _accessed(self) -> dict[cst.Name, Bindings]:
        """What libcst found each variable to stand for, by the order of the statements, too."""
        found: dict[cst.Name, Bindings] = {}
        for scope in self.scopes:
            for access in scope.accesses:
                root = root_of(access.node)
                if root is not None:
                    found[root] = found.get(root, _NOTHING) | frozenset(access.referents)
        return found

    def _is_variable(self, node: cst.Name) -> bool:
        if self.scope(node) is None:
            return False
        above = self.parent(node)
        is_key = isinstance(above, cst.MatchKeywordElement) and above.key is node
        return not is_key and not isinstance(above, _MATCHED)

    def _qualified(self, bindings: Bindings, dotted: str) -> str | None:
        if not bindings:
            return self._starred(dotted)
        names: set[str] = set()
        for binding in bindings:
            if "." in dotted and self._is_none(binding):
                continue  # `torch = None` where torch is not installed
            is_builtin = isinstance(binding, BuiltinAssignment) and binding.name == dotted
            if not is_builtin and not isinstance(binding, ImportAssignment):
                return None
            names |= {self.absolute(item.name) for item in binding.get_qualified_names_for(dotted)}
        return names.pop() if len(names) == 1 else None

    def _is_none(self, binding: BaseAssignment) -> bool:
        target = binding.node if isinstance(binding, Assignment) else None
        above = None if target is None else self.parent(target)
        statement = None if above is None else self.parent(above)
        return isinstance(statement, cst.Assign) and text_of(statement.value) == "None"

    def _behind(self, root: cst.Name, dotted: str) -> str | None:
        """What a module is called that was assigned. Example: `nn = torch.nn` -> "torch.nn"."""
        _, _, rest = dotted.partition(".")
        value = self.assigned_to(root) if rest else None
        module = None if value is None else self.qualified(value)
        return None if module is None else f"{module}.{rest}"

    def _starred(self, dotted: str) -> str | None:
        """What a name means that only a `from module import *` can have brought."""
        for star in self.file.stars:
            if not dotted.startswith("_") and self.library.find(f"{star}.{dotted}") is not None:
                return f"{star}.{dotted}"
        return None


def _may_be_module(qualified: str) -> bool:
    """Whether it looks like a class, and is of a package that has modules.

    Example: "torch.nn.Linear" and "pkg.blocks.Block", but not "torch.Tensor" or "typing.Any"
    """
    package, _, rest = qualified.partition(".")
    name = qualified.rpartition(".")[2].lstrip("_")
    if not name[:1].isupper() or package in (*sys.stdlib_module_names, "builtins", "metann"):
        return False
    return package != "torch" or rest.startswith("nn.")


def root_of(node: cst.CSTNode) -> cst.Name | None:
    """The first name of a dotted one. Example: `torch.nn.Linear` -> `torch`."""
    while isinstance(node, cst.Attribute):
        node = node.value
    return node if isinstance(node, cst.Name) else None


def walk(node: cst.CSTNode) -> Iterator[cst.CSTNode]:
    """A node and all that is in it, in the order of the file."""
    waiting: list[Any] = [node]
    while waiting:
        found = waiting.pop()
        yield found
        waiting.extend(reversed(found.children))
