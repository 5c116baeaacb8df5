"""Plans one counterpart: its bases, dependents and methods."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass, field, replace

from metann.codegen.clashes import find_clashes
from metann.codegen.dependents import plan_dependents
from metann.codegen.documenting import plan_docstring
from metann.codegen.facts import MIXINS, WITHOUT_PAGE
from metann.codegen.library import Library
from metann.codegen.methods import MethodPlanner
from metann.codegen.model import ClassPlan, ImportPlan, SubmodulePlan
from metann.codegen.source import SourceClass
from metann.codegen.spelling import Speller

_BASE = ImportPlan("metann.module", "DependentModule")
_FOR_SUBSTITUTES = {ImportPlan("collections.abc", "Iterable"), ImportPlan("typing", "TypedDict")}
_PAGES = "https://docs.pytorch.org/docs/stable/generated"


@dataclass(frozen=True)
class Planned:
    """A class to write, what it needs imported, and what of that already at run time."""

    layer: ClassPlan
    imports: frozenset[ImportPlan]
    runtime: frozenset[ImportPlan]


@dataclass(frozen=True)
class LayerPlanner:
    """Plans counterparts; `written` holds the qualified names of all classes that get one."""

    library: Library
    speller: Speller
    written: Set[str] = field(default_factory=frozenset[str])

    def plan(self, source: SourceClass) -> Planned:
        """Plan the counterpart of one class.

        Example: torch's `class ReLU6(Hardtanh)` ->
        `class DependentReLU6(nn.ReLU6, DependentHardtanh)`
        """
        above = self.counterpart_above(source)
        methods = MethodPlanner(self.library, self.speller)
        constructor = methods.constructor(source, above)
        forward = methods.forward(source, above)
        bases, needed = self._bases(source)
        becomes = self.becomes(source)
        runtime = needed | forward.runtime
        if becomes is not None:
            runtime |= {self.counterpart_import(becomes)}
        if source.is_deprecated:
            runtime |= {ImportPlan("warnings")}
        dependents = plan_dependents(self.library, source, above)
        submodules = self._submodules(source)
        substitutes = self._own_substitutes(source, above)
        imports = runtime | constructor.imports | forward.imports
        if any(item.name.isidentifier() for item in dependents):
            runtime |= {ImportPlan("metann.fields", "dependent")}
            imports |= {*runtime, ImportPlan("torch", "Tensor")}
        if substitutes:
            imports |= _FOR_SUBSTITUTES
        if submodules:
            runtime |= {ImportPlan("metann.fields", "submodule")}
            imports |= {*runtime, *map(self.counterpart_import, submodules.values())}
        docstring = plan_docstring(self.library, source, self.shown(source), submodules)
        # Without a docstring of its own an editor would show that of torch.nn.Module.__init__.
        constructors = (replace(item, says=docstring.computes) for item in constructor.declared)
        layer = ClassPlan(
            name=self.counterpart_name(source),
            original=self.shown(source),
            bases=bases,
            link=self._link(source),
            docstring=docstring,
            dependents=dependents,
            submodules=tuple(
                SubmodulePlan(name, self.counterpart_name(kind))
                for name, kind in submodules.items()
            ),
            becomes=None if becomes is None else self.counterpart_name(becomes),
            is_deprecated=source.is_deprecated,
            clashes=find_clashes(self.library, source, above, [item.name for item in dependents]),
            declared=(*constructors, *forward.declared),
            methods=forward.methods,
            substitutes=substitutes,
            why_delegates=forward.why_delegates,
            forward_of="" if above is None or not forward.forward_of else self.shown(above),
        )
        return Planned(layer, frozenset(imports), frozenset(runtime))

    def counterpart_name(self, source: SourceClass) -> str:
        """Example: Linear -> "DependentLinear", _Orthogonal -> "DependentOrthogonal"."""
        return f"Dependent{source.name.lstrip('_')}"

    def counterpart_above(self, source: SourceClass) -> SourceClass | None:
        """The nearest torch base that has a counterpart. Example: ReLU6 -> Hardtanh."""
        bases = self.library.mro(source)[1:]
        return next((base for base in bases if base.qualified_name in self.written), None)

    def shown(self, source: SourceClass) -> str:
        """Example: "torch.nn.Linear"."""
        name = self.speller.public.get(source.qualified_name)
        return source.qualified_name if name is None else f"torch.nn.{name}"

    def _bases(self, source: SourceClass) -> tuple[tuple[str, ...], frozenset[ImportPlan]]:
        """What is hand-written for it, then torch's class, then the counterpart of its base.

        Whatever overrides a method comes before what it overrides.
        """
        torch_class = self.speller.name(source.qualified_name)
        above = self.counterpart_above(source)
        names, imports = [torch_class.text], set(torch_class.imports)
        mixin = MIXINS.get(source.qualified_name)
        if mixin is not None:
            names.insert(0, mixin.name)
            imports.add(ImportPlan(mixin.module, mixin.name))
        if above is None:
            names.append(_BASE.name)
            imports.add(_BASE)
        else:
            names.append(self.counterpart_name(above))
            imports.add(self.counterpart_import(above))
        return tuple(names), frozenset(imports)

    def counterpart_import(self, source: SourceClass) -> ImportPlan:
        """What imports a counterpart.

        Example: nn.Linear -> `from metann.generated.linear import DependentLinear`. That of a
        user's class stands in the very file that is written.
        """
        name = self.counterpart_name(source)
        if source.module.startswith("torch."):
            return ImportPlan(f"metann.generated.{file_name(source)}", name)
        return ImportPlan(source.module, name)

    def _submodules(self, source: SourceClass) -> dict[str, SourceClass]:
        """The submodules that have a counterpart. Example: {"linear1": Linear}.

        Those that torch annotates keep its annotation: type checkers allow no other.
        """
        file = self.library.files[source.module]
        kinds = {
            name: self.library.find(file.qualified(kind))
            for name, kind in source.submodules.items()
        }
        return {
            name: kind
            for name, kind in kinds.items()
            if kind is not None and kind.qualified_name in self.written
            if name not in source.annotations
        }

    def substitutes(self, source: SourceClass) -> tuple[str, ...]:
        """The names that `substitute` takes, of a layer that has weights of its own alone.

        Example: Linear -> ("weight", "bias"); LSTM -> (), it numbers its weights.
        """
        names = [item.name for item in plan_dependents(self.library, source, None)]
        known = all(name.isidentifier() for name in names)
        mro = self.library.mro(source)
        return tuple(names) if known and not any(map(self._has_submodules, mro)) else ()

    def _own_substitutes(self, source: SourceClass, above: SourceClass | None) -> tuple[str, ...]:
        """The same, or nothing if the counterpart above has them already."""
        names = self.substitutes(source)
        return () if above is not None and names == self.substitutes(above) else names

    def _has_submodules(self, source: SourceClass) -> bool:
        file = self.library.files[source.module]
        kinds = (self.library.find(file.qualified(kind)) for kind in source.submodules.values())
        return any(kind is not None and self.library.is_layer(kind) for kind in kinds)

    def becomes(self, source: SourceClass) -> SourceClass | None:
        """What a lazy class turns into at its first call. Example: LazyLinear -> Linear."""
        if source.becomes is None:
            return None
        file = self.library.files[source.module]
        return self.library.find(file.qualified(source.becomes))

    def _link(self, source: SourceClass) -> str:
        shown = self.shown(source)
        if shown in WITHOUT_PAGE or source.name.startswith("_") or ".modules." in shown:
            return ""
        return f"{_PAGES}/{shown}.html"


def file_name(source: SourceClass) -> str:
    """The file a counterpart stands in. Example: torch.nn.modules.linear.Linear -> "linear"."""
    return source.module.rpartition(".")[2]
