"""There is one name for the generated classes, and one copy of them."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent.parent


def run(code: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-c", code], cwd=REPOSITORY, capture_output=True, text=True
    )


def test_importing_the_folder_generated_says_what_to_import() -> None:
    done = run("import generated")

    assert done.returncode == 1
    assert "ImportError" in done.stderr
    assert "metann.generated" in done.stderr


def test_importing_a_file_of_the_folder_generated_says_what_to_import() -> None:
    done = run("from generated.linear import DependentLinear")

    assert done.returncode == 1
    assert "metann.generated" in done.stderr


def test_the_package_and_its_file_give_the_same_class() -> None:
    code = (
        "import metann, metann.generated, metann.generated.linear\n"
        "assert metann.generated.DependentLinear is metann.generated.linear.DependentLinear\n"
        "print(metann.generated.DependentLinear.__module__)"
    )

    assert run(code).stdout == "metann.generated.linear\n"
