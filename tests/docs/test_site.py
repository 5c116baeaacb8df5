"""The documentation site: it builds, and nothing in it leads nowhere."""

from __future__ import annotations

from importlib import import_module
from pathlib import Path

import pytest
from filelock import FileLock
from public_names import public_names
from site_building import broken_links, build, is_broken
from sphinx.util.inventory import InventoryFile


@pytest.fixture(scope="session")
def site(tmp_path_factory: pytest.TempPathFactory, worker_id: str) -> tuple[Path, str]:
    """The site, and what Sphinx said; built once, however many processes run the tests."""
    folder = tmp_path_factory.getbasetemp()
    shared = (folder if worker_id == "master" else folder.parent) / "site"
    with FileLock(f"{shared}.lock"):
        said = shared.with_suffix(".txt")
        if not said.exists():
            said.write_text(build(shared), encoding="utf-8")
        return shared, said.read_text(encoding="utf-8")


def test_it_builds_without_a_warning(site: tuple[Path, str]) -> None:
    folder, said = site

    assert said.strip() == ""
    assert (folder / "index.html").is_file()


def test_every_link_inside_it_leads_somewhere(site: tuple[Path, str]) -> None:
    folder, _ = site

    assert len(list(folder.rglob("*.html"))) > 40
    assert broken_links(folder) == []


def test_a_link_that_leads_nowhere_would_be_found(tmp_path: Path) -> None:
    page = tmp_path / "page.html"
    page.write_text('<h1 id="here"></h1>', encoding="utf-8")

    assert not is_broken("#here", page)
    assert not is_broken("page.html#here", page)
    assert not is_broken("https://example.org/#there", page)
    assert is_broken("#there", page)
    assert is_broken("other.html", page)


def test_every_public_name_has_an_entry(site: tuple[Path, str]) -> None:
    folder, _ = site
    inventory = InventoryFile.loads((folder / "objects.inv").read_bytes(), uri="").data
    entries = {name for kind, named in inventory.items() if kind[:3] == "py:" for name in named}
    explained = [thing_of(name) for name in entries if name.count(".") <= 3]
    missing = [
        name
        for name, thing in public_names().items()
        if name not in entries and not any(thing is other for other in explained)
    ]

    assert missing == []


def thing_of(name: str) -> object:
    """What an entry explains; None if it is no name of a package."""
    package, _, last = name.rpartition(".")
    try:
        return getattr(import_module(package), last, None)
    except ModuleNotFoundError:
        return None
