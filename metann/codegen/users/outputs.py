"""What the user asks for -> which file is written of which module, before anything is read."""

from __future__ import annotations

import keyword
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from metann.codegen.errors import CodegenError
from metann.codegen.users.collect import collect
from metann.codegen.users.locate import Target, locate
from metann.codegen.users.places import refuse_inputs, refuse_place, refuse_unwritable
from metann.codegen.users.words import STDOUT, spell_command


@dataclass(frozen=True)
class Job:
    """A file to be written of one module, None for standard output, and the command that does it.

    The command is the same on every machine: it stands in the header of the file.
    """

    target: Target
    path: Path | None
    command: str

    @property
    def shown(self) -> str:
        """What messages call it: the file, or the module if the text goes to standard output."""
        return self.target.module if self.path is None else str(self.path)


def plan_jobs(
    targets: Sequence[str], output: str, *, rewrite: bool = False, writes: bool = True
) -> tuple[Job, ...]:
    """Decide what goes where; what cannot be written there is an error, if it is to be written.

    Example: ["pkg.nets:Net", "pkg.nets:Block", "pkg.heads"], "out" -> out/dependent_nets.py of the
    first two, out/dependent_heads.py of the last
    """
    merged = _merge(collect(locate, dict.fromkeys(targets)))
    in_folder = len(merged) > 1 or _is_folder(output)
    places = _places_in(output, merged) if in_folder else [_place(output, rewrite=rewrite)]
    wanted = [path for path in places if path is not None]
    collect(refuse_place, wanted)
    if writes:
        collect(lambda path: refuse_unwritable(path, makes_folder=in_folder), wanted)
    refuse_inputs((target.path for target in merged), wanted)
    return tuple(
        Job(target, path, spell_command(target, path, rewrite=rewrite))
        for target, path in zip(merged, places, strict=True)
    )


def _merge(targets: Iterable[Target]) -> list[Target]:
    """One target for each module. Example: nets:Net and nets:Block -> nets with two names."""
    found: dict[str, Target] = {}
    for target in targets:
        known = found.get(target.module)
        if known is not None:
            both = tuple(dict.fromkeys((*known.names, *target.names)))
            target = replace(known, names=both if known.names and target.names else ())
        found[target.module] = target
    return list(found.values())


def _place(output: str, *, rewrite: bool) -> Path | None:
    """The only file; None for standard output. A rewritten one may be a script to run."""
    if output == STDOUT:
        return None
    if not output.endswith(".py"):
        raise CodegenError(
            f"Asked to write to {output or 'a file without a name'}, but a program can import only "
            "a file whose name ends in .py. Give such a name, or a folder, with a / at its end if "
            "it is a new one."
        )
    path = Path(output)
    is_name = path.stem.isidentifier() and not keyword.iskeyword(path.stem)
    if not (rewrite or is_name):
        raise CodegenError(
            f"Asked to write to {output}, but no file can import it: {path.stem} is no name of a "
            "module. Give another name, as in my_nets.py."
        )
    return path


def _places_in(output: str, targets: Sequence[Target]) -> list[Path]:
    """A file for each target."""
    if output in ("", STDOUT) or (output.endswith(".py") and not Path(output).is_dir()):
        what = "standard output takes" if output == STDOUT else f"{output or 'that'} is"
        raise CodegenError(
            f"Asked for the modules in {', '.join(item.given for item in targets)}, but {what} one "
            "file, and each of these gets its own. Give a folder to write them to: `-o FOLDER`."
        )
    places = [Path(output) / f"dependent_{target.parts[-1]}.py" for target in targets]
    _refuse_same(targets, places)
    return places


def _is_folder(output: str) -> bool:
    return output.endswith(("/", os.sep)) or (output != "" and Path(output).is_dir())


def _refuse_same(targets: Sequence[Target], places: Sequence[Path]) -> None:
    """Two files of one name; some file systems take Nets.py and nets.py for one."""
    taken: dict[str, Target] = {}
    for target, path in zip(targets, places, strict=True):
        other = taken.setdefault(str(path).lower(), target)
        if other is not target:
            raise CodegenError(
                f"Asked for the modules in {other.given} and {target.given}, but both would be "
                f"written to {path}. Run the command once for each, with a file as OUTPUT."
            )
