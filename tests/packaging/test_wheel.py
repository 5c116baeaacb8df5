"""The wheel, built as a release is built: first the source archive, then the wheel from it."""

from __future__ import annotations

import shutil
import tarfile
import zipfile
from pathlib import Path

import pytest
from packaged import Archives, install, run
from repository import REPOSITORY

tomllib = pytest.importorskip("tomllib", reason="Python 3.10 cannot read pyproject.toml")

PACKAGE = REPOSITORY / "metann"


@pytest.fixture(scope="module")
def installed(archives: Archives, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder into which the wheel is installed, and nothing else."""
    return install(archives.wheel, tmp_path_factory.mktemp("site"))


def files_of_the_package() -> set[str]:
    """Every file of metann/ in the tree, its two linked folders included."""
    folders = (PACKAGE, PACKAGE / "generated", PACKAGE / "templates")
    return {
        path.relative_to(REPOSITORY).as_posix()
        for folder in folders
        for path in folder.rglob("*")
        if path.is_file() and "__pycache__" not in path.parts
    }


def test_the_wheel_holds_every_file_of_the_tree_and_no_other(archives: Archives) -> None:
    with zipfile.ZipFile(archives.wheel) as wheel:
        names = {name for name in wheel.namelist() if ".dist-info/" not in name}

    assert names == files_of_the_package()


def test_the_wheel_holds_generated_classes_templates_and_the_types_marker(
    archives: Archives,
) -> None:
    with zipfile.ZipFile(archives.wheel) as wheel:
        names = set(wheel.namelist())

    assert {
        "metann/generated/linear.py",
        "metann/templates/layer.py.jinja",
        "metann/py.typed",
        "metann-0.4.0.dist-info/licenses/LICENSE",
    } <= names


def test_the_source_archive_holds_what_a_build_needs_and_nothing_compiled(
    archives: Archives,
) -> None:
    with tarfile.open(archives.source) as source:
        names = {name.partition("/")[2] for name in source.getnames()}

    assert {"generated/linear.py", "templates/layer.py.jinja", "constraints.txt"} <= names
    assert not [name for name in names if name.endswith(".pyc")]


def test_the_list_of_packages_is_the_list_of_folders() -> None:
    settings = tomllib.loads((REPOSITORY / "pyproject.toml").read_text(encoding="utf-8"))
    folders = {Path(name).parent for name in files_of_the_package()}

    assert sorted(settings["tool"]["setuptools"]["packages"]) == sorted(
        ".".join(folder.parts) for folder in folders
    )


def test_the_version_is_written_the_same_in_both_places(installed: Path, tmp_path: Path) -> None:
    code = "import metann; print(metann.__version__)"

    assert run("-c", code, cwd=tmp_path, path=installed) == "0.4.0\n"
    assert list(installed.glob("metann-0.4.0.dist-info"))


def test_an_installed_wheel_runs_the_quickstart(installed: Path, tmp_path: Path) -> None:
    shutil.copy(REPOSITORY / "examples" / "quickstart.py", tmp_path)

    printed = run("quickstart.py", "--iterations=2", "--test-tasks=2", cwd=tmp_path, path=installed)

    assert "meta-trained net" in printed
    assert (tmp_path / "out" / "quickstart.png").is_file()


def test_an_installed_wheel_imports_nothing_from_the_checkout(
    installed: Path, tmp_path: Path
) -> None:
    code = (
        "import sys, torch, metann\n"
        "from metann.generated import DependentLinear\n"
        "class Net(torch.nn.Linear): pass\n"
        "metann.DependentModule(Net(2, 2))\n"
        "for name, module in sorted(sys.modules.items()):\n"
        "    if name.partition('.')[0] == 'metann' and getattr(module, '__file__', None):\n"
        "        print(module.__file__)\n"
    )

    files = run("-c", code, cwd=tmp_path, path=installed).splitlines()

    assert str(installed / "metann" / "generated" / "linear.py") in files
    assert [file for file in files if str(REPOSITORY) in file] == []
