"""Refresh the layer counterparts in generated/: `python tools/generate.py`.

Run it after a change of a template, of the generator, or of torch. `--check` writes nothing and
exits 1 if a file is out of date, `--diff` shows what would change, `--list` shows every class of
torch.nn and how its counterpart comes about, `--only Linear,Conv2d` refreshes their files only.
"""

from __future__ import annotations

import sys
from pathlib import Path

# This checkout's generator, from whatever folder it is run and whatever metann is installed.
sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from metann.codegen.tool import app

if __name__ == "__main__":
    app()
