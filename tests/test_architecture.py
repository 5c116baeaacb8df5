"""Who may import whom. The tables come first; each test below reads one of them."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from repository import REPOSITORY, Import, imports_of, package_files, python_files, short

# ── the table of layers ──────────────────────────────────────────────────────────────────────
# A module imports from the lines above its own, never from its own line or from below.

RUNTIME = (
    "metann.errors metann.replaced metann.utils",
    "metann.functional",
    "metann.fields metann.hooks metann.slots metann.tree metann.typed",
    "metann.layers metann.layers.containers metann.layout metann.loading metann.moving "
    "metann.parametrizing metann.references metann.snapshot",
    "metann.copying metann.layers.images metann.places",
    "metann.dependents metann.identity",
    "metann.module",
    "metann.generated",
    "metann.registry",
    "metann.convert metann.on_demand",
    "metann.buffers",
    "metann.filling",
    "metann.planning",
    "metann.rebuild metann.tracing",
    "metann.batching metann.optim metann.tasks",
    "metann.learner metann.stateless",
    "metann.meta",
    "metann.compat",
    "metann.compat.higher metann.compat.learn2learn metann.compat.metann metann.compat.torchopt",
    "metann",
)

# Packages whose files may import each other.
PACKAGES = {
    "metann.codegen.rewriting",
    "metann.codegen.users",
    "metann.codegen.words",
    "metann.functional",
    "metann.generated",
    "metann.layers",
    "metann.batching",
    "metann.compat.higher",
    "metann.compat.learn2learn",
    "metann.compat.metann",
    "metann.compat.torchopt",
    "metann.meta",
    "metann.optim",
    "metann.tasks",
    "metann.utils",
}

# Apart from the runtime: read -> plan -> render -> format -> write, and the command over them.
CODEGEN = (
    "metann.errors metann.replaced",
    "metann.codegen.errors metann.codegen.facts metann.codegen.source metann.codegen.syntax "
    "metann.codegen.words",
    "metann.codegen.registrations metann.codegen.submodules metann.codegen.version",
    "metann.codegen.read",
    "metann.codegen.library metann.codegen.model",
    "metann.codegen.clashes metann.codegen.dependents metann.codegen.imports "
    "metann.codegen.user_model",
    "metann.codegen.spelling",
    "metann.codegen.documenting metann.codegen.methods",
    "metann.codegen.layers",
    "metann.codegen.plan",
    "metann.codegen.render",
    "metann.codegen.format",
    "metann.codegen.write",
    "metann.codegen.generate metann.codegen.report",
    "metann.codegen.rewriting metann.codegen.tool",
    "metann.codegen.users",
    "metann.codegen.cli",
    "metann.codegen",
)

# A function may import from below when it is called, for the reason given here.
LAZILY = {
    ("metann.module", "metann.convert"): "DependentModule(net) is the conversion",
    ("metann.module", "metann.stateless"): "DependentModule.stateless(net) is the planned copy",
    ("metann.layers.containers", "metann.convert"): "what is put into a container is converted",
    ("metann.copying", "metann.registry"): "an unpickled counterpart is looked up again",
    ("metann.registry", "metann.generated"): "generated files are imported when first needed",
    ("metann.registry", "metann.on_demand"): "most programs never need it, nor jinja2",
}

# The crossings: a user's class gets its counterpart from the same template and facts. And
# `metann-generate --version` is the version of metann.
CROSSINGS = {
    ("metann.codegen.users.command", "metann"),
    ("metann.on_demand", "metann.codegen.facts"),
    ("metann.on_demand", "metann.codegen.model"),
    ("metann.on_demand", "metann.codegen.render"),
}

# What a user without the extra `metann[codegen]` has not installed.
EXTRA_PACKAGES = {"libcst", "black", "typer", "rich"}


# ── one direction ────────────────────────────────────────────────────────────────────────────


def owner(module: str, table: Iterable[str]) -> str | None:
    """The entry of the table that a module belongs to: itself or the nearest package."""
    names = {name for line in table for name in line.split()}
    parts = module.split(".")
    candidates = (".".join(parts[:length]) for length in range(len(parts), 0, -1))
    found = next((name for name in candidates if name in names), None)
    # `metann` stands for metann/__init__.py alone: a new module must be given its place.
    return None if found in {"metann", "metann.codegen"} and found != module else found


def rank(entry: str, table: tuple[str, ...]) -> int:
    return next(index for index, line in enumerate(table) if entry in line.split())


def table_for(module: str) -> tuple[str, ...]:
    return CODEGEN if module.startswith("metann.codegen") else RUNTIME


def test_every_module_stands_in_the_table_of_layers() -> None:
    without_place = [name for name in package_files() if owner(name, table_for(name)) is None]

    assert without_place == [], "give these a line in the tables of tests/test_architecture.py"


def test_imports_go_one_way() -> None:
    wrong: list[str] = []
    for name, path in package_files().items():
        for imported in imports_of(path):
            if imported.module in package_files() and not may_import(name, imported):
                wrong.append(f"{name} imports {imported.module} {imported.when}")

    assert sorted(wrong) == []


def may_import(name: str, imported: Import) -> bool:
    table = table_for(name)
    here, there = owner(name, table), owner(imported.module, table)
    if imported.when == "for types" or (name, imported.module) in CROSSINGS or here is None:
        return True
    if there is None:
        return False
    if here == there and here in PACKAGES:
        return True
    if imported.when == "in a function" and (here, there) in LAZILY:
        return True
    return rank(there, table) < rank(here, table)


@pytest.mark.parametrize(("importer", "imported"), LAZILY)
def test_a_late_import_that_is_allowed_is_also_used(importer: str, imported: str) -> None:
    late = {owner(found.module, RUNTIME) for found in imports_of(package_files()[importer])}

    assert imported in late, "take it out of LAZILY"


def test_tools_know_only_the_generator() -> None:
    tools = [path for path in python_files() if path.is_relative_to(REPOSITORY / "tools")]
    known = {f.module for path in tools for f in imports_of(path) if f.module.startswith("metann")}

    assert {name for name in known if not name.startswith("metann.codegen")} == set()


def test_nothing_imports_the_folder_generated_by_its_bare_name() -> None:
    wrong = [
        short(path)
        for path in python_files()
        for found in imports_of(path)
        if found.module.split(".")[0] == "generated"
    ]

    assert wrong == [], "import metann.generated: `generated` would be a second copy"


# ── who needs which package ──────────────────────────────────────────────────────────────────


def reached_from(module: str) -> set[str]:
    """The modules that importing this one imports, its packages apart, by any number of steps."""
    found: set[str] = set()
    waiting = [module]
    while waiting:
        name = waiting.pop()
        if name not in found:
            found.add(name)
            known = package_files().get(name)
            late = {"for types", "in a function"}
            waiting += [i.module for i in imports_of(known) if i.when not in late] if known else []
    return found


@pytest.mark.parametrize("stage", ["metann.codegen.model", "metann.codegen.render"])
def test_plans_and_rendering_need_neither_parser_formatter_nor_torch(stage: str) -> None:
    assert {name.split(".")[0] for name in reached_from(stage)} & {"libcst", "black", "torch"} == (
        set()
    )


def test_the_runtime_needs_no_package_of_the_generator() -> None:
    wrong = [
        f"{name} imports {found.module}"
        for name, path in package_files().items()
        if not name.startswith("metann.codegen")
        for found in imports_of(path)
        if found.module.split(".")[0] in EXTRA_PACKAGES
    ]

    assert wrong == []


def test_the_generator_reads_torch_without_importing_it() -> None:
    wrong = [
        f"{name} imports {found.module}"
        for name, path in package_files().items()
        if name.startswith("metann.codegen")
        for found in imports_of(path)
        if found.module.split(".")[0] == "torch" or found.module.startswith("metann.generated")
    ]

    assert wrong == []
