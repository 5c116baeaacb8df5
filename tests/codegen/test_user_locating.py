"""From what the user names to a source file and back to a module's name; nothing is imported."""

from __future__ import annotations

import py_compile
import sys
import zipfile
from importlib.machinery import ModuleSpec, SourceFileLoader
from pathlib import Path

import pytest

from metann.codegen.errors import CodegenError
from metann.codegen.users.locate import locate
from metann.codegen.users.search import find_module, home_of


def files(*names: str) -> None:
    """Empty files; importing one of them is an error."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("raise RuntimeError\n")


@pytest.fixture(autouse=True)
def here(tmp_path, monkeypatch) -> Path:
    """An empty current folder, which is on no path."""
    (tmp_path / "here").mkdir()
    monkeypatch.chdir(tmp_path / "here")
    return tmp_path / "here"


@pytest.fixture
def installed(tmp_path, monkeypatch) -> Path:
    """A folder where packages are installed."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    monkeypatch.syspath_prepend(str(folder))
    return folder


# ── from a file to its name ──────────────────────────────────────────────────────────────────

NAMES = {
    "nets.py": "nets",
    "pkg/nets.py": "pkg.nets",  # pkg has an __init__.py, space none
    "pkg/__init__.py": "pkg",
    "pkg/deep/nets.py": "pkg.deep.nets",
    "src/pkg/nets.py": "pkg.nets",
    "src/nets.py": "nets",
    "space/nets.py": "space.nets",
    "space/inner/pkg/nets.py": "space.inner.pkg.nets",
    "lib-1.0/nets.py": "nets",
    "lib-1.0/pkg/nets.py": "pkg.nets",
    "project/nets.py": "nets",  # a project of its own: it has a pyproject.toml
    "project/src/pkg/nets.py": "pkg.nets",
}


@pytest.mark.parametrize("path", NAMES)
def test_a_file_has_the_name_by_which_it_is_imported(path):
    files(path, "project/pyproject.toml")
    for package in ("pkg", "pkg/deep", "src/pkg", "space/inner/pkg", "lib-1.0/pkg"):
        files(f"{package}/__init__.py")
    files("project/src/pkg/__init__.py")

    assert locate(path).module == NAMES[path]
    assert home_of(Path(path).absolute()).module == NAMES[path]


def test_a_file_among_the_installed_packages_has_its_name_there(installed):
    for name in ("timm/__init__.py", "timm/nets.py", "google/cloud/nets.py"):
        files(str(installed / name))

    assert locate(str(installed / "timm/nets.py")).module == "timm.nets"
    assert locate(str(installed / "google/cloud/nets.py")).module == "google.cloud.nets"


def test_a_file_from_elsewhere_has_the_name_it_has_in_its_folder(tmp_path):
    files(str(tmp_path / "else-where/code/nets.py"))
    target = locate("../else-where/code/nets.py")

    assert (target.module, target.root) == ("nets", tmp_path / "else-where/code")


def test_a_link_has_its_own_name(here):
    files("real.py")
    Path("nets.py").symlink_to("real.py")

    assert locate("nets.py").module == "nets"


def test_a_name_that_may_be_another_is_noted():
    files("models/nets.py")

    assert [(note.what, note.why) for note in locate("models/nets.py").notes] == [
        (
            "models.nets",
            "this is its name from the current folder, as models/ has no __init__.py; if your "
            "program imports it as nets, run the command in that folder",
        )
    ]
    assert locate("models.nets").notes == ()


# ── from a name to its file ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("module", "path"),
    [
        ("nets", "nets.py"),
        ("pkg", "pkg/__init__.py"),
        ("pkg.nets", "pkg/nets.py"),
        ("inside.nets", "src/inside/nets.py"),
        ("src.inside.nets", "src/inside/nets.py"),
        ("space.nets", "space/nets.py"),
    ],
)
def test_a_module_of_the_current_folder_is_found(here, module, path):
    files("nets.py", "pkg/__init__.py", "pkg/nets.py", "space/nets.py")
    files("src/inside/__init__.py", "src/inside/nets.py")

    assert locate(module).path == here / path
    assert module not in sys.modules


def test_an_installed_module_is_found_without_importing_its_package(installed):
    files(str(installed / "timmy/__init__.py"), str(installed / "timmy/models/vit.py"))

    assert find_module("timmy.models.vit") == installed / "timmy/models/vit.py"
    assert "timmy" not in sys.modules


def test_the_parts_of_a_package_without_an_init_are_found_in_several_folders(installed):
    files(str(installed / "space/there.py"), "space/near.py")

    assert find_module("space.there") == installed / "space/there.py"
    assert find_module("space.near") == Path("space/near.py").absolute()


def test_an_installed_package_goes_before_a_mere_folder(installed):
    files(str(installed / "timmy/__init__.py"), str(installed / "timmy/vit.py"), "timmy/data.txt")

    assert find_module("timmy.vit") == installed / "timmy/vit.py"


def test_an_editable_installation_is_found(tmp_path, monkeypatch):
    """Its finder maps names to folders that are on no path."""
    files(str(tmp_path / "code/edit/__init__.py"), str(tmp_path / "code/edit/nets.py"))
    files(str(tmp_path / "parts/part.py"))
    mapping = {
        "edit": tmp_path / "code/edit/__init__.py",
        "spaced.part": tmp_path / "parts/part.py",
    }

    class Finder:
        @staticmethod
        def find_spec(name, path=None, target=None):
            if name == "spaced":
                spec = ModuleSpec(name, None)
                spec.submodule_search_locations = ["not a folder"]
                return spec
            if name not in mapping:
                return None
            spec = ModuleSpec(
                name, SourceFileLoader(name, str(mapping[name])), origin=str(mapping[name])
            )
            spec.has_location = True
            spec.submodule_search_locations = [str(mapping[name].parent)]
            return spec

    monkeypatch.setattr(sys, "meta_path", [*sys.meta_path, Finder])

    assert find_module("edit.nets") == tmp_path / "code/edit/nets.py"
    assert find_module("spaced.part") == tmp_path / "parts/part.py"


def test_a_module_that_hides_an_installed_one_is_noted(here, installed):
    files(str(installed / "timmy/__init__.py"), "timmy.py")
    target = locate("timmy")

    assert target.path == here / "timmy.py"
    assert [note.why for note in target.notes] == [
        f"this is timmy.py, which hides the installed {installed / 'timmy/__init__.py'}"
    ]


def test_a_folders_own_package_does_not_hide_itself(here, monkeypatch):
    files("pkg/__init__.py")
    monkeypatch.syspath_prepend(str(here))

    assert locate("pkg").notes == ()


# ── what has no source file ──────────────────────────────────────────────────────────────────


def compiled(source: str, target: str) -> None:
    files(source)
    py_compile.compile(source, cfile=target)
    Path(source).unlink()


def test_why_a_module_has_no_source_is_said(here, installed):
    files(
        "stubbed.pyi", "stubs/__init__.pyi", "space/nets.py", "fast.cpython-311-x86.so", "nets.py"
    )
    compiled("only.py", "only.pyc")
    compiled(str(installed / "gone.py"), str(installed / "gone.pyc"))
    with zipfile.ZipFile("packed.zip", "w") as archive:
        archive.writestr("zipped.py", "raise RuntimeError\n")
    sys.path.insert(0, str(here / "packed.zip"))
    reasons = {
        "stubbed": "there is only a stub, stubbed.pyi",
        "stubs": "there is only a stub, __init__.pyi",
        "space": "space/ is a folder without an __init__.py",
        "fast": "there is only compiled code, fast.cpython-311-x86.so",
        "only": "there is only compiled code, only.pyc",
        "gone": "there is only compiled code, gone.pyc",
        "zipped": f"it is in an archive, {here / 'packed.zip'}",
        "sys": "it is built into Python",
        "nets.inner": "nets is no package",
    }

    for module, why in reasons.items():
        with pytest.raises(CodegenError) as caught:
            locate(module)
        assert str(caught.value) == (
            f"Asked for the modules in {module}, but it has no source file: {why}. Give the path "
            "of a source file, or a module that has one."
        )


@pytest.mark.parametrize("module", ["nope", "pkg.nope", "pkg..nets", ".nets", "no-name"])
def test_a_module_that_is_nowhere_is_said(module):
    files("pkg/__init__.py")

    with pytest.raises(CodegenError) as caught:
        locate(module)
    assert str(caught.value) == (
        f"Asked for the modules in {module}, but no source file of that name was found in the "
        "current folder, its src/ or among the installed packages. Give the path of the file "
        "instead."
    )


# ── how a target is written ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("target", "given", "names"),
    [
        ("pkg/nets.py", "pkg/nets.py", ()),
        ("./pkg/nets.py:Net", "pkg/nets.py", ("Net",)),
        ("pkg\\nets.py", "pkg/nets.py", ()),
        ("pkg\\nets.py:Net", "pkg/nets.py", ("Net",)),
        ("pkg.nets:Net", "pkg.nets", ("Net",)),
        ("pkg.nets:Outer.Inner", "pkg.nets", ("Outer.Inner",)),
    ],
)
def test_a_target_is_a_file_or_a_module_with_or_without_a_class(target, given, names):
    files("pkg/__init__.py", "pkg/nets.py")
    found = locate(target)

    assert (found.module, found.given, found.names) == ("pkg.nets", given, names)


def test_a_drive_of_windows_is_no_class():
    with pytest.raises(CodegenError) as caught:
        locate("C:\\code\\nets.py:Net")
    assert str(caught.value).startswith(
        "Asked for the modules in C:\\code\\nets.py, but there is no such file."
    )
    with pytest.raises(CodegenError, match=r"in C:/nets\.py, but there is no such file"):
        locate("C:/nets.py")


@pytest.mark.parametrize("target", ["", " ", ":A"])
def test_an_empty_target_is_refused(target):
    with pytest.raises(CodegenError) as refused:
        locate(target)
    assert str(refused.value) == (
        f"Asked for the modules in {target!r}, but that names no file. Give the path of a Python "
        "file, or a module as in `package.module`."
    )
