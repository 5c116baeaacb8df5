"""examples/glyphs.py, in a short form; for kanji with invented characters in their place."""

from __future__ import annotations

import random
from importlib.metadata import PackageNotFoundError
from pathlib import Path

import pytest
import torch
import typer
from as_a_user import PNG, row_of, run

pytestmark = pytest.mark.usefixtures("examples")

SHORT = ("--iterations=2", "--epochs=1", "--classes=25", "--test-tasks=2")
WAYS = (
    "meta-trained net",
    "the same net, untrained",
    "nearest, plainly trained net",
    "nearest, pixels",
)


@pytest.fixture
def kanjivg(tmp_path: Path) -> Path:
    """A folder with what the package kanjivg would install: 26 characters, invented ones."""
    dice = random.Random(0)
    (tmp_path / "kanjivg-1.dist-info").mkdir()
    (tmp_path / "kanjivg-1.dist-info" / "METADATA").write_text("Name: kanjivg\nVersion: 1\n")
    (tmp_path / "kanji").mkdir()
    for code in range(0x4E00, 0x4E00 + 26):
        x, y, *by = (dice.uniform(20, 60) for _ in range(8))
        stroke = f'<path id="s1" d="M{x:.2f},{y:.2f}c{",".join(f"{b - 30:.2f}" for b in by)}"/>'
        (tmp_path / "kanji" / f"{code:05x}.svg").write_text(f"<svg><g>{stroke}</g></svg>")
    (tmp_path / "kanji" / "04e00-Kaisho.svg").write_text("a variant, not to be read")
    return tmp_path


def test_the_glyph_example_prints_accuracies_on_unseen_glyphs_and_writes_its_figure(
    tmp_path: Path,
) -> None:
    done = run("glyphs.py", *SHORT, "--out=a/g.png", folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "accuracy on 5 unseen glyphs, 5 at a time, one drawing of each given" in done.stdout
    for name, columns in zip(WAYS, (3, 3, 1, 1), strict=True):
        accuracies = row_of(name, done.stdout)
        assert len(accuracies) == columns, "after 0, 1 and 5 steps, or without steps"
        assert all(0 <= mean <= 100 and 0 <= half <= 100 for mean, half in accuracies)
    assert "meta-training: 100%" in done.stderr, "the progress bar"
    assert (tmp_path / "a" / "g.png").read_bytes().startswith(PNG)


def test_the_glyph_example_takes_real_characters_from_an_installed_package(
    kanjivg: Path,
) -> None:
    done = run("glyphs.py", "--characters=kanji", *SHORT, folder=kanjivg, also=kanjivg)

    assert done.returncode == 0, done.stderr
    assert "accuracy on 5 unseen kanji" in done.stdout
    assert (kanjivg / "out" / "kanji.png").read_bytes().startswith(PNG)


def test_without_the_package_kanji_are_an_error_that_says_how_to_install_it(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import glyphs as program

    def missing(name: str) -> None:
        raise PackageNotFoundError(name)

    monkeypatch.setattr(program, "distribution", missing)

    with pytest.raises(typer.BadParameter, match=r"not installed.*`pip install kanjivg`"):
        program.draw_characters(program.Characters.kanji, 25, 0)


def test_the_curves_of_an_svg_path_are_read_in_all_the_ways_they_are_written() -> None:
    import glyphs as program

    absolute = [[1 + 2j, 1 + 3j, 2 + 4j, 4 + 4j], [4 + 4j, 6 + 4j, 7 + 5j, 7 + 6j]]

    assert program.bezier_curves("M1,2C1,3,2,4,4,4C6,4,7,5,7,6") == absolute
    assert program.bezier_curves("M1,2 C1,3 2,4 4,4 6,4 7,5 7,6") == absolute
    assert program.bezier_curves("m1,2c0,1,1,2,3,2c2,0,3,1,3,2") == absolute
    assert program.bezier_curves("M1 2C1 3 2 4 4 4S7 5 7 6") == absolute
    assert program.bezier_curves("M1,2c0,1,1,2,3,2s3,1,3,2") == absolute
    (curve,) = program.bezier_curves("M-1.5.5c.5-.5.25.25,1-1")
    assert curve == [-1.5 + 0.5j, -1 + 0j, -1.25 + 0.75j, -0.5 - 0.5j]


def test_a_character_is_drawn_where_its_curves_are(
    kanjivg: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import glyphs as program

    text = '<svg><path id="s1" d="M109,0c0,0,0,109,0,109"/><text d="M0,0"/></svg>'
    (kanjivg / "kanji" / "04e00.svg").write_text(text)
    (curve,) = program.read_kanji(kanjivg / "kanji" / "04e00.svg")

    assert curve.tolist() == [[0.75, -0.75], [0.75, -0.75], [0.75, 0.75], [0.75, 0.75]]

    monkeypatch.syspath_prepend(str(kanjivg))
    images, labels = program.draw_characters(program.Characters.kanji, 26, 0).tensors
    assert images.shape == (26 * program.DRAWINGS, 1, 28, 28)
    assert labels.unique(return_counts=True)[1].tolist() == [program.DRAWINGS] * 26
    assert (images.amax(dim=(1, 2, 3)) > 0.9).all(), "ink on every drawing"
    assert images.view(26, -1, 28, 28).diff(dim=1).abs().sum(dim=(2, 3)).min() > 1, "other hands"


def test_one_seed_of_the_glyph_example_is_one_training() -> None:
    import glyphs as program

    def trained(seed: int, other: int) -> torch.Tensor:
        torch.manual_seed(0)
        net = program.make_net(program.WAYS)
        torch.manual_seed(other)  # torch's own generator has no part in it
        data = program.draw_characters(program.Characters.glyphs, 10, seed)
        program.meta_train(program.make_maml(net), program.tasks_of(data, [*range(10)], 16, seed))
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    assert torch.equal(trained(1, other=3), trained(1, other=4))
    assert not torch.equal(trained(1, other=3), trained(2, other=3))


def test_steps_of_the_glyph_example_go_on_from_each_other() -> None:
    """One step and one step more are what two steps are."""
    import glyphs as program

    torch.manual_seed(0)
    data = program.draw_characters(program.Characters.glyphs, 10, 0)
    tests = program.tasks_of(data, [*range(10)], 3, 1)
    net = program.make_net(program.WAYS)
    before = {name: tensor.clone() for name, tensor in net.state_dict().items()}
    rows = program.adapted(net, tests, "test")

    for row, index in zip(rows, range(3), strict=True):
        support, query = tests[index]
        for steps in (0, 2, program.TEST_STEPS):
            model = program.make_maml(net).adapt(support, steps).model
            expected = (model(query.inputs).argmax(dim=1) == query.targets).float().mean()
            assert row[steps] == expected
    assert all(torch.equal(tensor, before[name]) for name, tensor in net.state_dict().items())
