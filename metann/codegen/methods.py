"""Plans the methods of a counterpart: torch's signatures with types, and a written-out forward."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice
from typing import cast

import libcst as cst
import libcst.matchers as m

from metann.codegen.errors import MissingFactError
from metann.codegen.facts import ARGUMENTS, MIXINS, RESULTS, STUBS_REFUSE, UNTYPED
from metann.codegen.library import MODULE, Library
from metann.codegen.model import ImportPlan, MethodPlan, PassedPlan
from metann.codegen.source import Argument, Signature, SourceClass, SourceFile
from metann.codegen.spelling import Spelled, Speller
from metann.codegen.syntax import code_of, text_of

# The facts are written with qualified names, so no name of theirs needs looking up.
_FACTS = SourceFile("metann.codegen.facts")
# Type checkers want it after overloads; nobody sees it.
_ANYTHING = (
    Argument("self"),
    Argument("args", "Any", None, "*"),
    Argument("kwargs", "Any", None, "**"),
)


@dataclass(frozen=True)
class Methods:
    """Planned methods, what they need imported, and what of that at run time."""

    declared: tuple[MethodPlan, ...] = ()
    methods: tuple[MethodPlan, ...] = ()
    imports: frozenset[ImportPlan] = frozenset()
    runtime: frozenset[ImportPlan] = frozenset()
    why_delegates: str = ""
    forward_of: str = ""


@dataclass(frozen=True)
class Typed:
    """A signature in which every argument and the result have an annotation."""

    arguments: tuple[Argument, ...]
    returns: str
    imports: frozenset[ImportPlan]


@dataclass(frozen=True)
class MethodPlanner:
    """Plans `__init__`, `forward` and `__call__`."""

    library: Library
    speller: Speller

    def constructor(self, source: SourceClass, above: SourceClass | None) -> Methods:
        """Declare torch's constructor, unless the counterpart above declares the same one.

        Example: `in_features: int, bias: bool = True, device=None` ->
        `self, in_features: int, bias: bool = True, device: Device = None`
        """
        found = self._owner(source, "__init__")
        if above is not None and found == self._owner(above, "__init__"):
            return Methods()
        if found is None:
            return _declared("__init__", [Typed((Argument("self"),), "None", frozenset())])
        signatures = [
            item for item in found.methods["__init__"].signatures if not _says_nothing(item)
        ]
        return _declared("__init__", [self._typed(item, found) for item in signatures])

    def forward(self, source: SourceClass, above: SourceClass | None) -> Methods:
        """Write torch's forward out if it is one expression; if not, declare its signature.

        Example: `return F.relu(input, inplace=self.inplace)` is written out
        """
        found = self._owner(source, "forward")
        if found is None:
            return Methods(why_delegates="it has no forward")
        if above is not None and found == self._owner(above, "forward"):
            return Methods(forward_of=above.qualified_name)
        function = found.methods["forward"]
        typed = [self._typed(item, found) for item in function.signatures]
        call = _declared("__call__", typed)
        if function.returned is None:
            why = "its forward is longer than one expression"
            # Type checkers allow no other result than torch's.
            is_torchs = found.name not in RESULTS or not function.has_typed_result
            declared = _declared("forward", typed) if is_torchs else Methods()
            return _joined(declared, call, why_delegates=why)
        expression = _with_own_reads(function.returned, source)
        returned = self._returned(expression, typed[0], found)
        private = _private_to_torch(returned)
        if private:
            why = f"its forward calls {private[0]}, which is private to torch"
            return _joined(_declared("forward", typed), call, why_delegates=why)
        written = self._written(typed[0], returned, source)
        return _joined(written, call)

    def _owner(self, source: SourceClass, method: str) -> SourceClass | None:
        """The class whose method runs; None if it is torch.nn.Module's own, or nobody's.

        Example: BatchNorm2d's forward is owned by _BatchNorm
        """
        for item in self.library.mro(source):
            if item.qualified_name == MODULE:
                return None
            if method in item.methods:
                return item
        return None

    def _typed(self, signature: Signature, found: SourceClass) -> Typed:
        file = self.library.files[found.module]
        arguments, imports = [Argument("self")], set[ImportPlan]()
        for argument in signature.arguments[1:]:
            typed, needed = self._typed_argument(argument, found, file)
            arguments.append(typed)
            imports |= needed
        returns = self._result(signature, found, file)
        return Typed(tuple(arguments), returns.text, frozenset(imports | returns.imports))

    def _typed_argument(
        self, argument: Argument, found: SourceClass, file: SourceFile
    ) -> tuple[Argument, frozenset[ImportPlan]]:
        """Example: `stride: _size_1_t = None` -> `stride: int | tuple[int] | None = None`."""
        if not argument.name:
            return argument, frozenset()
        annotation = self._annotation(argument, found, file)
        imports, default = annotation.imports, argument.default
        if default is not None:
            spelled = self.speller.spell(default, file)
            default, imports = spelled.text, imports | spelled.imports
        text = annotation.text
        if default == "None" and not _allows_none(text):
            text += " | None"
        return replace(argument, annotation=text, default=default), imports

    def _annotation(self, argument: Argument, found: SourceClass, file: SourceFile) -> Spelled:
        if argument.annotation is not None:
            return self.speller.spell(argument.annotation, file)
        known = ARGUMENTS.get(f"{found.name}.{argument.name}") or ARGUMENTS.get(argument.name)
        if known is None:
            raise MissingFactError(f"the argument {argument.name!r} of {found.qualified_name}")
        return self.speller.spell(known, _FACTS)

    def _result(self, signature: Signature, found: SourceClass, file: SourceFile) -> Spelled:
        known = RESULTS.get(found.name)
        if known is not None and signature.returns != "None":
            return self.speller.spell(known, _FACTS)
        if signature.returns is None:
            raise MissingFactError(f"what the forward of {found.qualified_name} returns")
        return self.speller.spell(signature.returns, file)

    def _returned(self, expression: str, typed: Typed, found: SourceClass) -> Spelled:
        local = tuple(argument.name for argument in typed.arguments)
        return self.speller.spell(expression, self.library.files[found.module], local)

    def _written(self, typed: Typed, returned: Spelled, source: SourceClass) -> Methods:
        call = cst.parse_expression(returned.text)
        called = text_of(call.func) or "" if isinstance(call, cst.Call) else ""
        is_refused = called in STUBS_REFUSE
        method = MethodPlan(
            name="forward",
            arguments=typed.arguments,
            returns=typed.returns,
            returned=returned.text,
            is_untyped=self._is_untyped(called, source),
            comment=_comment(UNTYPED.get(called)),
            called=called if is_refused else "",
            passed=tuple(_passed(call)) if is_refused else (),
        )
        imports = typed.imports | returned.imports
        return Methods(methods=(method,), imports=imports, runtime=returned.imports)

    def _is_untyped(self, called: str, source: SourceClass) -> bool:
        """Whether a type checker takes what is called for Any.

        Example: "self._conv_forward", a method of torch without a return annotation
        """
        name = called.removeprefix("self.")
        mro = self.library.mro(source) if name != called else ()
        methods = (item.methods[name] for item in mro if name in item.methods)
        return any(not method.has_typed_result for method in islice(methods, 1))


def _with_own_reads(expression: str, source: SourceClass) -> str:
    """Let an expression read what a hand-written part of the class gives in place of torch's.

    Example: "F.embedding(input, self.weight)" -> "F.embedding(input, self.own_weight)"
    """
    mixin = MIXINS.get(source.qualified_name)
    if mixin is None:
        return expression
    tree: cst.CSTNode = cst.parse_expression(expression)
    for read, instead in mixin.reads.items():
        attribute = m.Attribute(value=m.Name("self"), attr=m.Name(read.removeprefix("self.")))
        replaced = m.replace(tree, attribute, cst.parse_expression(instead))
        tree = cast("cst.CSTNode", replaced)
    return code_of(tree)


def _declared(name: str, signatures: Sequence[Typed]) -> Methods:
    """The signatures of one method for type checkers; several are overloads."""
    imports = frozenset[ImportPlan]().union(*(item.imports for item in signatures))
    if len(signatures) == 1:
        only = MethodPlan(name, signatures[0].arguments, signatures[0].returns)
        return Methods(declared=(only,), imports=imports)
    overloads = [
        MethodPlan(name, item.arguments, item.returns, is_overload=True) for item in signatures
    ]
    results = {item.returns for item in signatures}
    takes_all = MethodPlan(name, _ANYTHING, results.pop() if len(results) == 1 else "Any")
    needed = {ImportPlan("typing", "overload"), ImportPlan("typing", "Any")}
    return Methods(declared=(*overloads, takes_all), imports=imports | needed)


def _passed(call: cst.BaseExpression) -> Iterator[PassedPlan]:
    """The arguments of a call, with what type checkers have to be told about each."""
    call = cst.ensure_type(call, cst.Call)
    refused = STUBS_REFUSE[code_of(call.func)]
    for argument in call.args:
        yield PassedPlan(
            text=code_of(argument.with_changes(comma=cst.MaybeSentinel.DEFAULT)),
            comment=_comment(refused.get(code_of(argument.value))),
        )


def _comment(text: str | None) -> str:
    return "" if text is None else f"  # {text}"


def _joined(first: Methods, second: Methods, why_delegates: str = "") -> Methods:
    return Methods(
        declared=first.declared + second.declared,
        methods=first.methods + second.methods,
        imports=first.imports | second.imports,
        runtime=first.runtime | second.runtime,
        why_delegates=why_delegates,
    )


def _private_to_torch(expression: Spelled) -> list[str]:
    """What of torch an expression uses that may be gone in another version.

    Example: "torch._weight_norm(v, g)" -> "torch._weight_norm"
    """
    on_torch = m.Attribute(value=m.Name("torch"))
    dotted = [code_of(node) for node in m.findall(cst.parse_expression(expression.text), on_torch)]
    internal = [f"{item.module}.{item.name}" for item in expression.imports if item.is_internal]
    return [name for name in dotted if name.startswith("torch._")] + internal


def _says_nothing(signature: Signature) -> bool:
    """Whether it is `*args, **kwargs` without annotations, which only says: look elsewhere."""
    return all(
        argument.prefix and argument.annotation is None for argument in signature.arguments[1:]
    )


def _allows_none(annotation: str) -> bool:
    return any(part.strip() in ("None", "Any", "Device") for part in annotation.split("|"))
