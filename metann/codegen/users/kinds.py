"""What a value in a user's file can be: which layer, a weight, None, or nothing that is known."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from enum import Enum

import libcst as cst

from metann.codegen.library import MODULE, Library
from metann.codegen.source import SourceClass, SourceFile
from metann.codegen.syntax import text_of
from metann.codegen.users.members import Given, literal, read_members
from metann.codegen.users.outline import Definition, UserFile
from metann.codegen.users.shapes import shape_of
from metann.codegen.users.variables import (
    arguments_of,
    held_in,
    is_static,
    parsed,
    read_locals,
    read_returned,
)

_PARAMETERS = ("torch.nn.parameter.Parameter", "torch.nn.parameter.UninitializedParameter")
_BUFFER = "torch.nn.parameter.Buffer"
# Functions of torch that return the module they are given, or one of a subclass.
_RETURN_GIVEN = ("weight_norm", "spectral_norm", "orthogonal", "deepcopy", "copy")
_RETURN_GIVEN_FROM = ("torch.nn.utils.", "copy.")
# Methods of a module that return it.
_RETURN_SELF = (
    *("apply", "bfloat16", "cpu", "cuda", "double", "eval", "float", "half", "requires_grad_"),
    *("share_memory", "to", "to_empty", "train", "type", "xpu"),
)
# Layers of torch whose parts, as `layers[0]`, are modules.
_OF_MODULES = tuple(
    f"torch.nn.modules.container.{name}" for name in ("ModuleDict", "ModuleList", "Sequential")
)
_DEEPEST = 12


class Kind(Enum):
    """What is no layer of a known class."""

    MODULE = "a module of an unknown class"
    BUFFER = "a tensor, registered"
    SET_BUFFER = "an nn.Buffer, assigned"
    NONE = "None"
    OTHER = "no module, or not known"


@dataclass(frozen=True)
class Layer:
    """A module of a class that is known, or of a subclass of it."""

    name: str
    source: SourceClass = field(compare=False)


@dataclass(frozen=True)
class Weight:
    """A parameter, and its shape as far as the source shows it."""

    shape: str | None = None


Kinds = frozenset[Kind | Layer | Weight]
OTHER: Kinds = frozenset({Kind.OTHER})


@dataclass(frozen=True)
class Where:
    """Where an expression stands: its names mean what they mean there.

    `owner` is the class that `self` is of, `function` the method or function around it.
    """

    file: SourceFile
    owner: SourceClass | None = None
    function: cst.FunctionDef | None = None
    depth: int = field(default=0, compare=False)

    @property
    def self_name(self) -> str | None:
        """What the method calls the module it is a method of; None outside of methods."""
        if self.owner is None or self.function is None:
            return None
        first = next(iter(arguments_of(self.function)), None)
        return None if any(is_static(item) for item in self.function.decorators) else first

    def deeper(self) -> Where:
        """The same place, one step further from where the question was asked."""
        return Where(self.file, self.owner, self.function, self.depth + 1)


@dataclass(frozen=True)
class Resolver:
    """Finds what an expression can be, in a library of all files that can be read."""

    library: Library

    def given(self, given: Given, where: Where) -> Kinds:
        """What an attribute is after it was given a value."""
        kinds = self.value(given.value, where)
        if given.how == "parameter" and kinds <= {Kind.OTHER}:
            return frozenset({Weight()})  # torch raises a TypeError for anything else.
        if given.how == "module" and kinds <= {Kind.OTHER}:
            return frozenset({Kind.MODULE})
        if given.how == "buffer":
            return frozenset({Kind.BUFFER, *(kinds & {Kind.NONE})})
        return kinds

    def value(self, value: cst.BaseExpression | None, where: Where) -> Kinds:
        """All that an expression can be.

        Example: `nn.ReLU() if fast else None` -> Layer(ReLU), Kind.NONE
        """
        where = where.deeper()
        if value is None or where.depth > _DEEPEST:
            return OTHER
        if isinstance(value, cst.IfExp):
            return self.value(value.body, where) | self.value(value.orelse, where)
        if isinstance(value, cst.BooleanOperation):
            left, right = self.value(value.left, where), self.value(value.right, where)
            return (left - {Kind.NONE} if isinstance(value.operator, cst.Or) else left) | right
        if isinstance(value, cst.NamedExpr):
            return self.value(value.value, where)
        if isinstance(value, cst.Call):
            return self._call(value, where)
        if isinstance(value, cst.Name):
            return self._name(value.value, where)
        if isinstance(value, cst.Subscript):
            whole = self.value(value.value, where)
            is_of_modules = all(isinstance(k, Layer) and k.name in _OF_MODULES for k in whole)
            return frozenset({Kind.MODULE}) if is_of_modules else OTHER
        on_self = isinstance(value, cst.Attribute) and text_of(value.value) == where.self_name
        if isinstance(value, cst.Attribute) and on_self and where.owner is not None:
            return self.attribute(value.attr.value, where)
        return OTHER

    def attribute(self, name: str, where: Where) -> Kinds:
        """All that an attribute of `self` can be, over the class and its bases."""
        found: set[Kind | Layer | Weight] = set()
        for file, given in self.values_of(name, where.owner):
            place = Where(file, where.owner, given.function, where.depth)
            found |= self.given(given, place)
        return frozenset(found) or OTHER

    def values_of(self, name: str, owner: SourceClass | None) -> Iterator[tuple[UserFile, Given]]:
        """The values that an attribute may have at last.

        What a constructor gives is gone where it, or that of a subclass, gives another value
        later on, whatever happens.
        """
        is_replaced = False
        for definition, file in self.definitions(owner):
            values = read_members(definition.node).given.get(name, ())
            for given in reversed(values):
                is_constructor = given.function.name.value == "__init__"
                if not (is_constructor and is_replaced):
                    yield file, given
                is_replaced |= is_constructor and given.is_sure

    def definitions(self, owner: SourceClass | None) -> Iterator[tuple[Definition, UserFile]]:
        """The definitions of a class and of its bases, as far as they are not torch's."""
        for item in () if owner is None else self.library.mro(owner):
            file = self.library.files.get(item.module)
            if isinstance(file, UserFile):
                same = [found for found in file.definitions[item.name] if found.source is item]
                for definition in same or file.definitions[item.name]:
                    yield definition, file

    def annotation(self, node: cst.BaseExpression | None, where: Where) -> Kinds:
        """What a type annotation allows.

        Example: `Optional[nn.Conv2d]` -> Layer(Conv2d), Kind.NONE
        """
        where = where.deeper()
        if node is None or where.depth > _DEEPEST:
            return OTHER
        text = literal(node)
        if text is not None:
            return self.annotation(parsed(text), where)
        if isinstance(node, cst.BinaryOperation) and isinstance(node.operator, cst.BitOr):
            return self.annotation(node.left, where) | self.annotation(node.right, where)
        if isinstance(node, cst.Subscript):
            return self._subscripted(node, where)
        dotted = text_of(node)
        if dotted == "None":
            return frozenset({Kind.NONE})
        found = None if dotted is None else self.find(dotted, where)
        if found is not None:
            return self._instance_of(found)
        alias = None if dotted is None else self.library.alias(where.file.qualified(dotted))
        if alias is None:
            return OTHER
        return self.annotation(parsed(alias[0]), Where(alias[1], depth=where.depth))

    def find(self, dotted: str, where: Where) -> SourceClass | None:
        """The class that a name stands for, through imports, re-exports and `Alias = Class`."""
        file, owner = where.file, where.owner
        if isinstance(file, UserFile) and dotted.partition(".")[0] in file.branches:
            return None
        if owner is not None and owner.module == file.module:
            nested = self.library.find(f"{owner.qualified_name}.{dotted}")
            if nested is not None:
                return nested
        qualified = file.qualified(dotted)
        found = self.library.find(qualified) or self._starred(qualified, file)
        if found is not None or where.depth > _DEEPEST:
            return found
        alias = self.library.alias(qualified)
        if alias is None or not alias[0].replace(".", "").isidentifier():
            return None
        return self.find(alias[0], Where(alias[1], depth=where.depth + 1))

    def _starred(self, qualified: str, file: SourceFile) -> SourceClass | None:
        """What a name may stand for that the file itself does not explain."""
        stars = self.library.starred(file, qualified.partition(".")[0])
        found = (self.library.find(f"{star}.{qualified}") for star in stars)
        return next((item for item in found if item is not None), None)

    def _subscripted(self, node: cst.Subscript, where: Where) -> Kinds:
        """Example: `Optional[nn.ReLU]`, `Final[nn.ReLU]`, `Block[int]`."""
        name = where.file.qualified(text_of(node.value) or "").rpartition(".")[2]
        parts = [item.slice.value for item in node.slice if isinstance(item.slice, cst.Index)]
        if name == "Optional":
            return self.annotation(parts[0], where) | {Kind.NONE}
        if name == "Union":
            return Kinds().union(*(self.annotation(part, where) for part in parts))
        if name in ("Final", "Annotated"):
            return self.annotation(parts[0], where)
        return self.annotation(node.value, where)

    def _instance_of(self, source: SourceClass) -> Kinds:
        names = {item.qualified_name for item in self.library.mro(source)}
        if names & set(_PARAMETERS):
            return frozenset({Weight()})
        if _BUFFER in names:
            return frozenset({Kind.SET_BUFFER})
        if source.qualified_name == MODULE:
            return frozenset({Kind.MODULE})
        return frozenset({Layer(source.qualified_name, source)}) if MODULE in names else OTHER

    def _name(self, name: str, where: Where) -> Kinds:
        """A variable of the function, an argument of it, or None."""
        if name == "None":
            return frozenset({Kind.NONE})
        if where.function is None:
            return OTHER
        given = read_locals(where.function).get(name, ())
        found = Kinds().union(*(self.value(value, where) for value in given))
        argument = arguments_of(where.function).get(name)
        if argument is not None:
            found |= self._argument(argument, where)
        return found or OTHER

    def _argument(self, argument: cst.Param, where: Where) -> Kinds:
        if argument.annotation is None or argument.star:
            return OTHER
        kinds = self.annotation(argument.annotation.annotation, where)
        defaults_to_none = argument.default is not None and text_of(argument.default) == "None"
        return kinds | {Kind.NONE} if defaults_to_none else kinds

    def _call(self, call: cst.Call, where: Where) -> Kinds:
        dotted = text_of(call.func)
        arguments = [item.value for item in call.args if item.keyword is None and not item.star]
        if dotted is not None and arguments:
            qualified = where.file.qualified(dotted)
            if qualified.startswith(_RETURN_GIVEN_FROM):
                last = qualified.rpartition(".")[2]
                if last == "skip_init":
                    return self.made_by(arguments[0], where)
                return self.value(arguments[0], where) if last in _RETURN_GIVEN else OTHER
        if isinstance(call.func, cst.Attribute) and call.func.attr.value in _RETURN_SELF:
            kinds = self.value(call.func.value, where)
            is_module = all(isinstance(kind, Layer) or kind is Kind.MODULE for kind in kinds)
            keeps = is_module or call.func.attr.value == "requires_grad_"
            return kinds if keeps else OTHER
        made = self.made_by(call.func, where)
        return frozenset({Weight(shape_of(call, where.function))}) if Weight() in made else made

    def made_by(self, callee: cst.BaseExpression, where: Where) -> Kinds:
        """What a call of a class or a function gives.

        Example: `nn.Linear` -> Layer(Linear); `self._make_layer`, annotated with
        `-> nn.Sequential` -> Layer(Sequential)
        """
        where = where.deeper()
        if where.depth > _DEEPEST:
            return OTHER
        if isinstance(callee, cst.IfExp):
            return self.made_by(callee.body, where) | self.made_by(callee.orelse, where)
        if isinstance(callee, cst.Subscript):
            return self.made_by(callee.value, where)
        if isinstance(callee, cst.Call):  # A factory, as partial(nn.Linear, bias=False).
            is_partial = where.file.qualified(text_of(callee.func) or "") == "functools.partial"
            return self.made_by(callee.args[0].value, where) if is_partial else OTHER
        dotted = text_of(callee)
        if dotted is None:
            return OTHER
        first, _, rest = dotted.partition(".")
        if rest and first == where.self_name:
            return self._by_member(rest, where)
        if where.function is not None:
            given = read_locals(where.function).get(dotted, ())
            argument = arguments_of(where.function).get(dotted)
            if given or argument is not None:
                return self._by_variable(given, argument, where)
        found = self.find(dotted, where)
        if found is not None:
            return OTHER if self._makes_others(found) else self._instance_of(found)
        return self._by_function(where.file.qualified(dotted), where)

    def _by_variable(
        self,
        given: Sequence[cst.BaseExpression | None],
        argument: cst.Param | None,
        where: Where,
    ) -> Kinds:
        """What a class kept in a variable makes. Example: `act_layer: type[nn.Module]`."""
        found = [OTHER if value is None else self.made_by(value, where) for value in given]
        if argument is not None:
            found.append(self._by_annotation(argument, where))
        return Kinds().union(*found)

    def _by_annotation(self, argument: cst.Param, where: Where) -> Kinds:
        return OTHER if argument.annotation is None else self._factory(argument.annotation, where)

    def _factory(self, node: cst.CSTNode, where: Where) -> Kinds:
        """What a class or a function of this type makes.

        Example: `Callable[..., nn.Module] | None` -> Kind.MODULE: None cannot be called.
        """
        if isinstance(node, cst.Annotation):
            return self._factory(node.annotation, where)
        if isinstance(node, cst.BinaryOperation):
            sides = (node.left, node.right)
            return Kinds().union(*(self._factory(s, where) for s in sides if text_of(s) != "None"))
        if not isinstance(node, cst.Subscript):
            return OTHER
        name = where.file.qualified(text_of(node.value) or "").rpartition(".")[2]
        parts = [item.slice.value for item in node.slice if isinstance(item.slice, cst.Index)]
        if name in ("Optional", "Union"):
            return Kinds().union(*(self._factory(p, where) for p in parts if text_of(p) != "None"))
        if name in ("ClassVar", "Final", "Annotated"):
            return self._factory(parts[0], where)
        if name in ("type", "Type", "Callable"):
            return self.annotation(parts[-1], where)
        return OTHER

    def _by_member(self, name: str, where: Where) -> Kinds:
        """What a call of a method, or of a class that the user's class holds, gives."""
        if any(True for _ in self.values_of(name, where.owner)):
            return OTHER
        for definition, file in self.definitions(where.owner):
            held = held_in(definition.node, name)
            if isinstance(held, cst.FunctionDef):
                return self._returned(held, Where(file, where.owner, held, where.depth))
            place = Where(file, definition.source, depth=where.depth)
            if isinstance(held, cst.ClassDef):
                return self.made_by(cst.Name(name), place)
            if isinstance(held, cst.Annotation):
                return self._factory(held, place)
            if held is not None:
                return self.made_by(held, place)
        return OTHER

    def _by_function(self, qualified: str, where: Where) -> Kinds:
        module, _, name = qualified.rpartition(".")
        file = self.library.files.get(module)
        if not isinstance(file, UserFile):
            return OTHER
        if name not in file.functions:
            imported = file.imports.get(name)
            is_new = imported is not None and imported != qualified
            return self._by_function(imported, where.deeper()) if is_new and imported else OTHER
        function = file.functions[name]
        return self._returned(function, Where(file, None, function, where.depth))

    def _returned(self, function: cst.FunctionDef, where: Where) -> Kinds:
        """What a function returns, as it says or as its `return` statements show."""
        if not all(map(is_static, function.decorators)):
            return OTHER
        if function.returns is not None:
            return self.annotation(function.returns.annotation, where)
        returned = read_returned(function)
        return Kinds().union(*(self.value(value, where) for value in returned)) or OTHER

    def _makes_others(self, source: SourceClass) -> bool:
        """Whether a call of a class may give an instance of another."""
        mro = self.library.mro(source)
        return any("__new__" in item.methods for item in mro if not _is_torchs(item))


def _is_torchs(source: SourceClass) -> bool:
    return source.module.startswith("torch.")
