"""`metann-generate`: the installed command's entry point."""

from __future__ import annotations

import sys

_NEEDED = ("libcst", "black", "typer", "rich")


def main() -> None:
    """Run the command; say what to install if the generator's packages are missing."""
    try:
        from metann.codegen.users.command import app
    except ModuleNotFoundError as error:
        if error.name not in _NEEDED:
            raise
        sys.exit(
            f"metann-generate needs {error.name}, which is not installed. "
            "Run `pip install 'metann[codegen]'`."
        )
    app(prog_name="metann-generate")


if __name__ == "__main__":
    main()
