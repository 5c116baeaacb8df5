"""`metann-generate` as it is run: in a process of its own, from a user's folder."""

from __future__ import annotations

import os
import pty
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest
from small_project import contents, module
from typer.testing import CliRunner

from metann import __version__
from metann.codegen.model import Note
from metann.codegen.users import making
from metann.codegen.users.command import Options, app, run

ROOT = Path(__file__).resolve().parents[2]
COMMAND = [sys.executable, "-W", "error", "-m", "metann.codegen.cli"]


def started(*words: str, folder: Path, **options) -> subprocess.CompletedProcess:
    """The command, run in a folder; metann is this checkout."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "PYTHONIOENCODING": "ascii"}
    return subprocess.run([*COMMAND, *words], cwd=folder, env=environment, check=False, **options)


def printed_by(code: str, folder: Path) -> str:
    """What the code prints; it runs in a folder without a warning."""
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    command = [sys.executable, "-W", "error", "-c", code]
    done = subprocess.run(
        command, cwd=folder, env=environment, check=True, stdout=subprocess.PIPE, text=True
    )
    return done.stdout


@pytest.fixture
def importable(project):
    (project / "pkg" / "__init__.py").write_text("")
    return project


# ── as a process ─────────────────────────────────────────────────────────────────────────────

USE = """
import torch, metann
import out.dependent_nets as nets, out.dependent_heads as heads
from pkg.nets import Net
from pkg.heads import Head

assert type(metann.DependentModule(Net())) is nets.DependentNet
assert type(metann.DependentModule(Head())) is heads.DependentHead
"""


def test_several_modules_are_written_imported_and_registered(importable):
    done = started("pkg.nets", "pkg/heads.py", "-o", "out", folder=importable, capture_output=True)

    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout.splitlines()[0].split() == [b"file", b"classes", b"state", b"notes"]
    printed_by(USE, importable)
    names = ("pkg.nets", "pkg/heads.py", "-o", "out", "--check")
    assert started(*names, folder=importable, capture_output=True).returncode == 0


REWRITTEN = """
import torch
from pkg.dependent_nets import DependentNet
from pkg.nets import Net

torch.manual_seed(0)
plain, dependent, x = Net(), DependentNet(), torch.randn(5, 2)
dependent.load_state_dict(plain.state_dict())
assert torch.equal(dependent(x), plain(x))
"""


def test_a_rewritten_file_runs(importable):
    done = started("pkg.nets", "--rewrite", "-o", "pkg", folder=importable, capture_output=True)

    assert (done.returncode, done.stderr) == (0, b"")
    printed_by(REWRITTEN, importable)


def test_standard_output_is_the_file_in_utf_8_whatever_the_terminal(importable):
    Path("pkg/nets.py").write_text(module("Netz", "Größe"), encoding="utf-8")
    done = started("pkg.nets", "-o", "-", folder=importable, capture_output=True)

    assert (done.returncode, done.stderr) == (0, b"")
    assert "class DependentGröße(Größe, DependentModule" in done.stdout.decode("utf-8")
    Path("out.py").write_bytes(done.stdout)
    printed_by("import out; out.DependentGröße", importable)


def test_an_error_is_all_on_standard_error_and_exits_with_2(importable):
    before = contents(importable)
    done = started("pkg.nets:Größe", "-o", "out.py", folder=importable, capture_output=True)

    assert (done.returncode, done.stdout) == (2, b"")
    assert done.stderr.startswith(b"Asked for pkg.nets:Gr\\xf6\\xdfe, but it has no class")
    assert contents(importable) == before


def on_terminal(*words: str, folder: Path) -> str:
    """What somebody at a terminal sees."""
    main, terminal = pty.openpty()
    environment = {**os.environ, "PYTHONPATH": str(ROOT), "TERM": "xterm", "COLUMNS": "100"}
    command = [*COMMAND, *words]
    with subprocess.Popen(command, cwd=folder, env=environment, stdout=terminal, stderr=terminal):
        os.close(terminal)
        seen = b""
        while True:
            try:
                seen += os.read(main, 4096)
            except OSError:  # The command has ended.
                break
    os.close(main)
    return seen.decode()


def test_a_bar_is_shown_on_a_terminal_and_is_gone_at_the_end(importable):
    seen = on_terminal("pkg.nets", "pkg.heads", "-o", "out", folder=importable)
    bar, _, summary = seen.rpartition("\x1b[2K")

    assert "reading torch" in bar
    assert "out/dependent_heads.py" in bar
    assert "reading torch" not in summary
    plain = re.sub(r"\x1b\[[0-9;?]*[a-zA-Z]", "", summary)
    assert plain.split()[:4] == ["file", "classes", "state", "notes"]


def test_a_reader_that_goes_away_is_no_traceback(importable):
    command = " ".join([*(f"'{word}'" for word in COMMAND), "pkg.nets -o - | true"])
    environment = {**os.environ, "PYTHONPATH": str(ROOT)}
    done = subprocess.run(
        ["bash", "-c", command], cwd=importable, env=environment, capture_output=True, check=False
    )

    assert done.stderr == b""


ADVICE = """
from metann import on_demand
from pkg.nets import Net, Outer

for kind in (Net, Outer.Inner):
    print(on_demand.how_to_generate(kind))
"""


def test_the_command_that_the_runtime_advises_works(importable):
    source = module("Net") + "\n\nclass Outer:\n    class Inner(nn.Module): ...\n"
    Path("pkg/nets.py").write_text(source)

    for advice in printed_by(ADVICE, importable).splitlines():
        name, *words = shlex.split(advice.partition("`")[2].rstrip("`"))
        assert name == "metann-generate"
        assert CliRunner().invoke(app, words).exit_code == 0
    assert Path("dependent_net.py").exists()
    assert "DependentOuterInner" in Path("dependent_inner.py").read_text()


# ── help, version and usage ──────────────────────────────────────────────────────────────────


def test_help_shows_examples():
    done = CliRunner().invoke(app, ["--help"])

    assert done.exit_code == 0
    for option in ("--check", "--diff", "--rewrite", "--force", "--version", "-o, --output"):
        assert option in done.stdout
    assert "\n    metann-generate nets.py -o dependent_nets.py --check  in CI\n" in done.stdout
    assert max(map(len, done.stdout.splitlines())) <= 80


def test_the_version_is_that_of_metann():
    done = CliRunner().invoke(app, ["--version"])

    assert (done.exit_code, done.stdout) == (0, f"metann-generate {__version__}\n")


@pytest.mark.parametrize("words", [[], ["pkg.nets"], ["-o", "out.py"], ["a", "-o", "b.py", "--x"]])
def test_wrong_usage_exits_with_2(project, words):
    before = contents(project)

    assert CliRunner().invoke(app, words).exit_code == 2
    assert contents(project) == before


def test_the_options_reach_the_command(project):
    run(["pkg.nets"], "out.py")
    before = contents(project)
    (project / "pkg/nets.py").write_text(module("Net"))

    for words, status in ([["--diff"], 0], [["--check"], 1], [["--check", "--diff"], 1]):
        done = CliRunner().invoke(app, ["pkg.nets", "-o", "out.py", *words])
        assert done.exit_code == status
        assert "-class DependentBlock(" in done.stdout
    with (project / "out.py").open("a") as file:
        file.write("x = 1\n")
    assert CliRunner().invoke(app, ["pkg.nets", "-o", "out.py"]).exit_code == 2
    assert CliRunner().invoke(app, ["pkg.nets", "-o", "out.py", "--force"]).exit_code == 0
    assert CliRunner().invoke(app, ["pkg.nets", "-o", "flat.py", "--rewrite"]).exit_code == 0
    assert contents(project).keys() == before.keys() | {"flat.py"}


# ── notes ────────────────────────────────────────────────────────────────────────────────────


@pytest.fixture
def noted(project, monkeypatch):
    """Plans that have something to say."""
    counterparts = making._counterparts

    def with_notes(job, source):
        made = counterparts(job, source)
        note = Note(f"{job.target.module}.local", "made in a function; written on first use")
        return making.Made(made.text, made.classes, (note,))

    monkeypatch.setattr(making, "_counterparts", with_notes)
    return project


def test_notes_are_on_standard_error_by_file(noted, capsys):
    run(["pkg.nets", "pkg.heads"], "out")
    printed = capsys.readouterr()

    assert printed.err == (
        "out/dependent_nets.py:\n"
        "  pkg.nets.local: made in a function; written on first use\n"
        "out/dependent_heads.py:\n"
        "  pkg.heads.local: made in a function; written on first use\n"
    )
    assert [line.split()[-1] for line in printed.out.splitlines()] == ["notes", "1", "1"]


def test_notes_do_not_get_into_the_text(noted, capsys):
    run(["pkg.nets"], "-")
    printed = capsys.readouterr()

    assert printed.err.startswith("pkg.nets:\n  pkg.nets.local: made in a function;")
    assert "made in a function" not in printed.out


def test_a_check_says_no_more_than_what_is_out_of_date(noted, capsys):
    run(["pkg.nets"], "out.py")
    capsys.readouterr()

    assert run(["pkg.nets"], "out.py", Options(check=True)) == 0
    assert capsys.readouterr() == ("out.py is up to date\n", "")


def test_the_plans_own_notes_are_printed(project, capsys):
    (project / "models").mkdir()
    (project / "models/nets.py").write_text(module("Net"))
    run(["models/nets.py"], "out.py")

    assert capsys.readouterr().err.startswith(
        "out.py:\n  models.nets: this is its name from the current folder, as models/ has no "
    )
