"""Which submodules a constructor makes."""

from __future__ import annotations

from collections import defaultdict

import libcst as cst
import libcst.matchers as m

from metann.codegen.syntax import text_of

_ASSIGNED = m.Assign(targets=[m.AssignTarget(target=m.Attribute(value=m.Name("self")))])


def read_submodules(constructor: cst.FunctionDef) -> dict[str, str]:
    """Attribute -> class as written, for all that is always an instance of one class.

    Attributes that get something else in another branch are left out.

    Example: `self.linear1 = Linear(d_model, d_model)` -> {"linear1": "Linear"}
    """
    made: dict[str, set[str | None]] = defaultdict(set)
    for node in m.findall(constructor, _ASSIGNED):
        assign = cst.ensure_type(node, cst.Assign)
        attribute = cst.ensure_type(assign.targets[0].target, cst.Attribute).attr.value
        value = assign.value
        made[attribute].add(text_of(value.func) if isinstance(value, cst.Call) else None)
    return {
        attribute: kind
        for attribute, kinds in made.items()
        for kind in kinds
        if kind is not None and len(kinds) == 1
    }
