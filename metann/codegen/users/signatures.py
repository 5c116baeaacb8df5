"""The signatures of a user's constructor and forward, for type checkers."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace

import libcst as cst

from metann.codegen.model import ImportPlan, Note
from metann.codegen.read import is_overload
from metann.codegen.syntax import code_of, text_of
from metann.codegen.user_model import DeclaredPlan
from metann.codegen.users.outline import Definition, UserFile, statements_under
from metann.codegen.users.spelling import Place, UnknownNameError, UserSpeller

_ANY = ImportPlan("typing", "Any")
_LONGEST_DEFAULT = 40
_DECLARED_AS = {"__init__": "__init__", "forward": "__call__"}


@dataclass(frozen=True)
class Signatures:
    """Declared methods, and what could not be carried over."""

    declared: tuple[DeclaredPlan, ...] = ()
    notes: tuple[Note, ...] = ()


@dataclass(frozen=True)
class SignaturePlanner:
    """Plans `__init__`, and `__call__` with what the class's forward takes and returns."""

    speller: UserSpeller
    file: UserFile

    def plan(self, definitions: Sequence[Definition], local: frozenset[str]) -> Signatures:
        """The signatures of what the class itself defines; it inherits the others.

        Example: `def forward(self, x: Tensor)` -> `def __call__(self, x: Tensor) -> Any: ...`
        """
        first = definitions[0]
        place = Place(self.file, first.source, local)
        agreed = [name for name in ("__init__", "forward") if _agree(definitions, name)]
        parts = [
            self._method(_DECLARED_AS[name], name, list(_functions(first, name)), place)
            for name in agreed
            if name == "__init__" or not any(_functions(first, "__call__"))
        ]
        return Signatures(
            declared=tuple(item for part in parts for item in part.declared),
            notes=tuple(item for part in parts for item in part.notes),
        )

    def _method(
        self, name: str, of: str, functions: Sequence[cst.FunctionDef], place: Place
    ) -> Signatures:
        """Declare the overloads of a method, or its only signature."""
        overloads = [item for item in functions if is_overload(item)]
        chosen = overloads or functions[-1:]
        notes: list[Note] = []
        declared = [self._signature(name, of, item, place, notes) for item in chosen]
        if overloads:
            any_ = self.speller.names.use(_ANY)
            self.speller.names.use_outside(ImportPlan("typing", "overload"), at_run_time=True)
            anything = ("self", f"*args: {any_}", f"**kwargs: {any_}")
            returns = {item.returns for item in declared}
            result = returns.pop() if len(returns) == 1 else any_
            declared = [replace(item, is_overload=True) for item in declared]
            declared.append(DeclaredPlan(name, anything, result))
        return Signatures(tuple(declared), tuple(dict.fromkeys(notes)))

    def _signature(
        self, name: str, of: str, function: cst.FunctionDef, place: Place, notes: list[Note]
    ) -> DeclaredPlan:
        parameters = function.type_parameters
        head, local = name, place.local
        if parameters is not None:
            local |= {item.param.name.value for item in parameters.params}
            place = replace(place, local=local)
            head += self.speller.parameters(parameters, place)
        where = f"{place.owner.name if place.owner else ''}.{of}"
        spelling = _Spelling(self.speller, place, where, notes)
        returns = "None" if name == "__init__" else spelling.annotation(function.returns)
        if function.asynchronous is not None:
            coroutine = self.speller.names.use(ImportPlan("collections.abc", "Coroutine"))
            any_ = self.speller.names.use(_ANY)
            returns = f"{coroutine}[{any_}, {any_}, {returns}]"
        is_static = any(text_of(item.decorator) == "staticmethod" for item in function.decorators)
        arguments = list(spelling.arguments(function.params, skip=0 if is_static else 1))
        return DeclaredPlan(head, ("self", *arguments), returns)


@dataclass(frozen=True)
class _Spelling:
    """Spells the parts of one signature, and notes what it cannot spell."""

    speller: UserSpeller
    place: Place
    where: str
    notes: list[Note]

    def arguments(self, parameters: cst.Parameters, skip: int) -> Iterator[str]:
        """Example: `self, a: int, *, b=None` -> "a: int", "*", "b: Any = None"."""
        only = parameters.posonly_params[skip:]
        yield from map(self._argument, only)
        if only:
            yield "/"
        skipped = max(0, skip - len(parameters.posonly_params))
        yield from map(self._argument, parameters.params[skipped:])
        if isinstance(parameters.star_arg, cst.Param):
            yield f"*{self._argument(parameters.star_arg)}"
        elif parameters.kwonly_params:
            yield "*"
        yield from map(self._argument, parameters.kwonly_params)
        if parameters.star_kwarg is not None:
            yield f"**{self._argument(parameters.star_kwarg)}"

    def annotation(self, annotation: cst.Annotation | None) -> str:
        """The type as it is, or `Any` where there is none."""
        if annotation is None:
            return self.speller.names.use(_ANY)
        try:
            return self.speller.type(annotation.annotation, self.place)
        except UnknownNameError as error:
            text = code_of(annotation.annotation)
            self._unknown(f"the annotation `{text}` has become Any", str(error))
            return self.speller.names.use(_ANY)

    def _argument(self, parameter: cst.Param) -> str:
        name = parameter.name.value
        if isinstance(parameter.annotation, cst.Annotation) and self._is_unpacked(parameter):
            star = cst.ensure_type(parameter.annotation.annotation, cst.StarredElement)
            return f"{name}: *{self.speller.type(star.value, self.place)}"
        typed = self.annotation(parameter.annotation)
        if parameter.default is None:
            return f"{name}: {typed}"
        default = self._default(parameter.default)
        if default == "None" and not _allows_none(typed):
            typed += " | None"
        return f"{name}: {typed} = {default}"

    def _is_unpacked(self, parameter: cst.Param) -> bool:
        annotation = parameter.annotation
        return annotation is not None and isinstance(annotation.annotation, cst.StarredElement)

    def _default(self, value: cst.BaseExpression) -> str:
        """The default, or `...` where it is long or cannot be named."""
        if len(code_of(value)) > _LONGEST_DEFAULT:
            return "..."
        try:
            return self.speller.value(value, self.place)
        except UnknownNameError:
            return "..."

    def _unknown(self, what: str, name: str) -> None:
        why = f"{what}, because nothing in {self.place.file.module} defines {name}"
        self.notes.append(Note(self.where, why))


def _agree(definitions: Sequence[Definition], name: str) -> bool:
    """Whether a method has the same signatures in all definitions of a class."""
    first, *others = ([head_of(item) for item in _functions(d, name)] for d in definitions)
    return all(other == first for other in others)


def head_of(function: cst.FunctionDef) -> str:
    """A function without its body, on one line."""
    return code_of(function.with_changes(body=cst.SimpleStatementSuite([]), leading_lines=()))


def _functions(definition: Definition, name: str) -> Iterator[cst.FunctionDef]:
    for statement in statements_under(definition.node.body.body):
        node = statement.node
        if isinstance(node, cst.FunctionDef) and node.name.value == name:
            yield node


def _allows_none(annotation: str) -> bool:
    parts = [part.strip() for part in annotation.split("|")]
    return any(part in ("None", "Any", "object") or part.startswith("Optional[") for part in parts)
