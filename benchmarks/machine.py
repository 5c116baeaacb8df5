"""What a reader must know of the machine that figures were taken on; neither its name nor paths."""

from __future__ import annotations

import os
import platform
from dataclasses import dataclass
from datetime import date
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

PACKAGES = ("torch", "higher", "torchopt")


@dataclass(frozen=True)
class Machine:
    """The machine and what is installed on it.

    Attributes:
        memory: in GiB.
        versions: of Python and of the packages that are measured, by name.
    """

    processor: str
    cores: int
    memory: float
    system: str
    versions: dict[str, str]


@dataclass(frozen=True)
class Taken:
    """When figures were taken, on what, how busy it was before, and how long that took."""

    day: str
    load: float
    seconds: float
    machine: Machine


def this_machine(folder: Path) -> Machine:
    """The machine that this runs on; metann is the checkout in `folder`."""
    return Machine(
        processor=processor(),
        cores=len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else cores(),
        memory=round(os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") / 2**30, 1),
        system=platform.system(),
        versions={
            "Python": platform.python_version(),
            "metann": version_in(folder / "metann" / "__init__.py"),
            **{name: installed(name) for name in PACKAGES},
        },
    )


def cores() -> int:
    """All cores, where the system does not say which of them may be used."""
    return os.cpu_count() or 1


def processor() -> str:
    """The name of the processor, as the system knows it."""
    information = Path("/proc/cpuinfo")
    lines = information.read_text().splitlines() if information.is_file() else []
    names = [line.partition(":")[2].strip() for line in lines if line.startswith("model name")]
    return names[0] if names else platform.processor() or platform.machine()


def installed(package: str) -> str:
    """The version of a package, or that it is not there."""
    try:
        return version(package)
    except PackageNotFoundError:
        return "not installed"


def version_in(file: Path) -> str:
    """What a file says of `__version__`; it is not imported."""
    (line,) = [x for x in file.read_text(encoding="utf-8").splitlines() if "__version__" in x]
    return line.partition("=")[2].strip().strip('"')


def today() -> str:
    """Example: "2026-11-24"."""
    return date.today().isoformat()


def load() -> float:
    """How many processes wanted to run in the last minute."""
    return round(os.getloadavg()[0], 2)
