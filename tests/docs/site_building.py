"""The site as `make docs` builds it, in a folder of the tests."""

from __future__ import annotations

import html
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from urllib.parse import unquote

from repository import REPOSITORY

LINK = re.compile(r'<[^>]*?\s(?:href|src)="([^"]*)"')
TARGET = re.compile(r'\sid="([^"]*)"')


def build(folder: Path) -> str:
    """Build the site there, with the options of the Makefile; return what Sphinx says."""
    done = subprocess.run(
        [sys.executable, *options(), str(folder)], cwd=REPOSITORY, capture_output=True, text=True
    )
    return done.stdout + done.stderr + (f"exit status {done.returncode}" if done.returncode else "")


def options() -> list[str]:
    """What the Makefile gives to Python, but for the folder of the site."""
    makefile = (REPOSITORY / "Makefile").read_text(encoding="utf-8")
    (found,) = re.findall(r"^\t\$\(VENV\)/bin/python (-m sphinx .*) build/docs$", makefile, re.M)
    return found.split()


def broken_links(site: Path) -> list[str]:
    """Each link inside the site that leads nowhere, with the page that it stands on."""
    return [
        f"{page.relative_to(site)}: {link}"
        for page in sorted(site.rglob("*.html"))
        for link in sorted(set(LINK.findall(text_of(page))))
        if is_broken(html.unescape(link), page)
    ]


def is_broken(link: str, page: Path) -> bool:
    """Whether a link is one inside the site, but its page or its place on that is not there."""
    address, _, place = link.partition("#")
    if re.match(r"[a-z]+:", link):
        return False
    path = (page.parent / unquote(address.partition("?")[0])).resolve() if address else page
    if not path.is_file():
        return True
    return bool(place) and path.suffix == ".html" and unquote(place) not in targets_of(path)


@cache
def text_of(page: Path) -> str:
    return page.read_text(encoding="utf-8")


@cache
def targets_of(page: Path) -> frozenset[str]:
    return frozenset(html.unescape(target) for target in TARGET.findall(text_of(page)))
