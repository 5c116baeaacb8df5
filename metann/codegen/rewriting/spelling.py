"""By which names a rewritten file calls the counterparts of torch's layers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field

from metann.codegen.errors import CodegenError
from metann.codegen.library import MODULE
from metann.codegen.model import ImportPlan
from metann.codegen.rewriting.names import Names


@dataclass
class Spelling:
    """Names for counterparts; those that were asked for have to be imported."""

    names: Names
    taken: frozenset[str]
    needed: dict[str, ImportPlan] = field(default_factory=dict[str, ImportPlan])

    def __call__(self, qualified: str) -> str:
        """The name of a counterpart in this file.

        Example: "torch.nn.modules.linear.Linear" -> "DependentLinear", or "DependentTorchLinear"
        if the file has a class Linear of its own.

        Raises:
            CodegenError: neither name is free.
        """
        if qualified not in self.needed:
            self.needed[qualified] = self._plan(qualified)
        planned = self.needed[qualified]
        return planned.alias or planned.name

    def _plan(self, qualified: str) -> ImportPlan:
        bare = qualified.rpartition(".")[2].lstrip("_")
        module = "metann" if qualified == MODULE else "metann.generated"
        name, alias = f"Dependent{bare}", f"DependentTorch{bare}"
        if self._is_free(name, module):
            return ImportPlan(module, name)
        if alias not in self.taken:
            return ImportPlan(module, name, alias)
        raise CodegenError(
            f"Asked to use {name} in {self.names.file.module}, but {name} and {alias} both are "
            "names of something else there. Rename one of the two."
        )

    def _is_free(self, name: str, module: str) -> bool:
        return name not in self.taken or self.names.file.imports.get(name) == f"{module}.{name}"

    def to_import(self) -> Iterable[ImportPlan]:
        """What has to be imported beside what the file imports already."""
        known = self.names.file.imports
        for plan in self.needed.values():
            if known.get(plan.alias or plan.name) != f"{plan.module}.{plan.name}":
                yield plan
