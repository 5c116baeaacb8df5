"""What `metann-generate` cannot do: exit status 2, a message on standard error, nothing written.

Each message says what was asked, what was found, and what to do.
"""

from __future__ import annotations

from pathlib import Path

import pytest
from small_project import module

from metann.codegen import library
from metann.codegen.users import command as user_command
from metann.codegen.users.command import Options, run

IN_FUNCTION = """\
from torch import nn

def make(width):
    class Local(nn.Module): ...
    return Local
"""


# ── what is read ─────────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("rewrite", [False, True])
def test_a_syntax_error_is_shown_with_its_place(refused, rewrite):
    Path("pkg/bad.py").write_text("import torch\n\tclass = 3\n")

    assert refused("pkg.bad", rewrite=rewrite) == (
        "Asked to read pkg/bad.py, but it is no Python that can be parsed:\n"
        "pkg/bad.py:2:1: unexpected indent\n"
        "    \tclass = 3\n"
        "    ^\n"
        "Mend that line, then run the command again."
    )


def test_the_mark_stands_below_the_column_after_tabs(refused):
    Path("bad.py").write_text("if True:\n\tx = (1,, 2)\n")

    said = refused("bad.py").splitlines()
    assert said[1:4] == ["bad.py:2:9: invalid syntax", "    \tx = (1,, 2)", "    \t       ^"]


@pytest.mark.parametrize("base", ["from .bad import Base", "from pkg.sub import Base"])
def test_a_syntax_error_in_a_file_that_a_base_comes_from(refused, base):
    Path("pkg/bad.py").write_text("class Base(:\n")
    Path("pkg/sub").mkdir()
    Path("pkg/sub/__init__.py").write_text("from ..bad import *\n")
    Path("pkg/nets.py").write_text(f"{base}\nclass Net(Base): ...\n")

    said = refused("pkg.nets")
    assert said.startswith("Asked to read pkg/bad.py, but it is no Python that can be parsed:\n")
    assert "pkg/bad.py:1:12: " in said


def test_a_syntax_error_in_a_file_that_no_base_comes_from_does_not_matter(project):
    Path("pkg/bad.py").write_text("class Base(:\n")
    Path("pkg/nets.py").write_text(f"from .bad import x\n{module('Net')}")

    assert run(["pkg.nets"], "out.py") == 0


def test_every_bad_target_is_named(refused):
    assert refused("nope.py", "pkg.nets", "pkg.nope").splitlines() == [
        "Asked for the modules in nope.py, but there is no such file. Give the path of a Python "
        "file, or a module as in `package.module`.",
        "Asked for the modules in pkg.nope, but no source file of that name was found in the "
        "current folder, its src/ or among the installed packages. Give the path of the file "
        "instead.",
    ]


@pytest.mark.parametrize("target", ["notes.txt", "./notes.txt"])
def test_a_file_that_is_no_python(refused, target):
    Path("notes.txt").write_text("mine\n")

    assert refused(target) == (
        f"Asked for the modules in {target}, but that is no Python source file. "
        "Give a file whose name ends in .py."
    )


@pytest.mark.parametrize("target", ["pkg/", ".", "./pkg"])
def test_a_folder_is_no_file(refused, target):
    assert refused(target) == (
        f"Asked for the modules in {target}, but that is a folder. Give the files in it one by "
        "one, or the name of a package, which stands for its __init__.py."
    )


@pytest.mark.parametrize(
    ("data", "what"),
    [
        (b"x = 1\n\n# \xe9t\xe9\n", "line 3 has the byte 0xe9, which is no UTF-8"),
        (b"# \xe9t\xe9\n", "line 1 has the byte 0xe9, which is no UTF-8"),
        (b"# coding: nonesuch\n", "it declares an encoding that there is not"),
        (b"# coding: ascii\n# \xc3\xa9\n", "it is not in the encoding that it declares"),
    ],
)
def test_a_file_that_cannot_be_decoded(refused, data, what):
    Path("nets.py").write_bytes(data)

    assert refused("nets.py") == f"Asked to read nets.py, but {what}. Save it as UTF-8."


def test_a_file_in_an_encoding_of_its_own_is_read(project):
    text = "# coding: latin-1\n" + module("Net") + "\n# \xe9t\xe9\n"
    Path("nets.py").write_bytes(text.encode("latin-1"))

    assert run(["nets.py"], "out.py") == 0


def test_a_file_in_an_encoding_of_its_own_is_not_rewritten(refused):
    text = "# coding: latin-1\n" + module("Net") + "\n# \xe9t\xe9\n"
    Path("nets.py").write_bytes(text.encode("latin-1"))

    assert refused("nets.py", rewrite=True) == (
        "Asked to rewrite nets.py, but it declares another encoding than UTF-8, which is what is "
        "written. Save it as UTF-8, and take the declaration out."
    )


def test_a_file_with_a_null_byte(refused):
    Path("nets.py").write_bytes(b"x = 1\0\n")

    assert "nets.py:1:1: source code string cannot contain null bytes" in refused("nets.py")


def test_a_file_that_may_not_be_read(refused, monkeypatch):
    def refuse(self: Path) -> bytes:
        raise PermissionError(13, "Permission denied")

    with monkeypatch.context() as patch:
        patch.setattr(Path, "read_bytes", refuse)
        said = refused("pkg/nets.py")
    assert (
        said == "Asked to read pkg/nets.py, but that failed: Permission denied. Make it readable."
    )


@pytest.mark.parametrize("name", ["my-nets.py", "class.py", "nets.v2.py", "3d.py"])
def test_a_file_that_cannot_be_imported(refused, name):
    Path(name).write_text(module("Net"))

    assert refused(name) == (
        f"Asked for the modules in {name}, but no file can import it: {name[:-3]} is no name of a "
        "module. Rename the file, as in my_nets.py."
    )
    assert run([name], "rewritten.py", Options(rewrite=True)) == 0


# ── the classes in it ────────────────────────────────────────────────────────────────────────


def test_an_empty_file(refused):
    Path("nets.py").write_text("")

    assert refused("nets.py") == (
        "Asked for the modules in nets.py, but no class there derives from torch.nn.Module as far "
        "as the source says (classes there: none at all). Name another file."
    )


@pytest.mark.parametrize("name", ["A", "C"])
def test_a_class_that_is_only_imported(refused, name):
    Path("pkg/__init__.py").write_text("from .nets import Net as A, Block as C\n")

    there = {"A": "Net", "C": "Block"}[name]
    assert refused(f"pkg:{name}") == (
        f"Asked for pkg:{name}, but it only imports {name}, which is in pkg.nets. "
        f"Ask for pkg.nets:{there} instead."
    )


@pytest.mark.parametrize("given", ["*", "Net, Block"])
def test_a_file_that_only_imports_modules(refused, given):
    Path("pkg/__init__.py").write_text(f"from .nets import {given}\nfrom torch.nn import ReLU\n")

    assert refused("pkg") == (
        "Asked for the modules in pkg, but it only imports modules: Block is in pkg.nets, Net is "
        "in pkg.nets. Ask for pkg.nets instead."
    )


def test_a_class_of_torch_that_is_only_imported(refused):
    assert refused("torch.nn:Linear").endswith("Ask for torch.nn.modules.linear:Linear instead.")


@pytest.mark.parametrize("name", ["", ":S"])
def test_a_base_that_may_come_from_a_star_import(refused, name):
    Path("pkg/nets.py").write_text(
        "from .far import *\nclass E(dict): ...\nclass R(Module): ...\nclass S(R): ...\n"
    )

    assert (
        "Module may come from `from pkg.far import *`, and bases are not looked for there: "
        "import Module by its name. "
    ) in refused(f"pkg.nets{name}")


def test_a_star_import_is_not_named_if_all_bases_are_known(refused):
    Path("pkg/nets.py").write_text("from .far import *\nclass E(dict): ...\nclass S(E): ...\n")

    assert "`from" not in refused("pkg.nets:S")


@pytest.mark.parametrize("rewrite", [False, True])
def test_a_file_without_a_module(refused, rewrite):
    Path("nets.py").write_text("class A: ...\nclass B(A, dict): ...\n")

    assert refused("nets.py", rewrite=rewrite) == (
        "Asked for the modules in nets.py, but no class there derives from torch.nn.Module as far "
        "as the source says (classes there: A, B). Name another file."
    )


def test_a_class_that_is_not_there(refused):
    assert refused("pkg.nets:Nett") == (
        "Asked for pkg.nets:Nett, but it has no class Nett. The modules there: Net."
    )
    assert refused("pkg.nets:Quite") == (
        "Asked for pkg.nets:Quite, but it has no class Quite. The modules there: Net, Block."
    )


def test_a_class_that_is_no_module(refused):
    Path("pkg/nets.py").write_text(module("Net") + "\n\nclass Data: ...\n")

    assert refused("pkg.nets:Data") == (
        "Asked for pkg.nets:Data, but its class Data does not derive from torch.nn.Module as far "
        "as the source says. The modules there: Net."
    )


@pytest.mark.parametrize(
    ("target", "asked"),
    [
        ("nets.py:Local", "Asked for nets.py:Local, but"),
        ("nets.py", "Asked for the modules in nets.py, but"),
    ],
)
def test_a_class_in_a_function(refused, target, asked):
    Path("nets.py").write_text(IN_FUNCTION)

    assert refused(target) == (
        f"{asked} its class Local is defined in a function, make, so no other file can import it. "
        "Move it to the top level of the file, or leave it: its counterpart is written when the "
        "program first needs it."
    )


@pytest.mark.parametrize(
    "target", ["pkg.nets:", "pkg/nets.py:2Net", "pkg.nets:Net.", "pkg.nets:a b"]
)
def test_what_is_no_name_of_a_class(refused, target):
    place, _, name = target.rpartition(":")

    assert refused(target) == (
        f"Asked for the class {name!r} of {place}, but that is no name of a class. Give one as in "
        "`package.module:Class`, or leave `:` out for all classes."
    )


def test_a_name_that_is_taken(refused):
    Path("pkg/nets.py").write_text(module("Net", "DependentNet"))

    assert refused("pkg.nets") == (
        "Asked for the modules in pkg.nets, but the counterpart of pkg.nets.Net is called "
        "DependentNet, and so is a class there. Rename that class, or name those you want "
        "counterparts of: `pkg.nets:Class`."
    )


def test_a_name_that_is_taken_does_not_matter_for_other_classes(project):
    Path("pkg/nets.py").write_text(module("Net", "DependentNet", "Other"))

    assert run(["pkg.nets:Other"], "out.py") == 0


def test_a_class_alone_is_not_rewritten(refused):
    assert refused("pkg.nets:Net", rewrite=True) == (
        "Asked to rewrite Net of pkg.nets, but a file is rewritten as a whole. Give pkg.nets alone."
    )


@pytest.mark.parametrize("rewrite", [False, True])
def test_a_file_that_the_command_wrote_itself(refused, rewrite):
    run(["pkg.nets"], "dependent_nets.py")

    assert "but metann-generate wrote that file itself." in refused(
        "dependent_nets.py", rewrite=rewrite
    )


CIRCLES = {
    "itself": "class Net(Net): ...\n",
    "each other": "class A(B): ...\nclass B(A): ...\n",
}


def test_a_module_that_derives_from_itself_by_way_of_another(project):
    Path("nets.py").write_text(
        "from torch import nn\nclass A(B): ...\nclass B(A, nn.Module): ...\n"
    )

    assert run(["nets.py"], "out.py") == 0


@pytest.mark.parametrize("name", CIRCLES)
def test_classes_that_derive_from_themselves_are_no_modules(refused, name):
    Path("nets.py").write_text(CIRCLES[name])

    assert "but no class there derives from torch.nn.Module" in refused("nets.py")


# ── torch ────────────────────────────────────────────────────────────────────────────────────


def test_torch_is_not_installed(refused, monkeypatch):
    find_spec = library.importlib.util.find_spec
    monkeypatch.setattr(
        library.importlib.util,
        "find_spec",
        lambda name: None if name == "torch" else find_spec(name),
    )

    assert refused("pkg.nets") == (
        "Asked to read torch's source files, but torch is not installed here. "
        "Install it (`pip install torch`), then run the command again."
    )


def test_what_is_wrong_is_said_before_torch_is_read(refused, monkeypatch):
    def read(root: Path) -> None:
        raise AssertionError("torch was read")

    monkeypatch.setattr(user_command, "read_torch", read)

    refused("nope.py")
    refused("pkg.nets", output="pkg/heads.py")
