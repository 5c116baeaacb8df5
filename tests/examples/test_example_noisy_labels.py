"""examples/noisy_labels.py, in a short form."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from as_a_user import PNG, row_of, run


def test_the_noisy_labels_example_prints_accuracies_and_weights_and_writes_its_figure(
    tmp_path: Path,
) -> None:
    short = ("--seeds=2", "--epochs=1", "--images=200", "--out=a/n.png")
    done = run("noisy_labels.py", *short, folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "accuracy on 2000 test images, 2 seeds" in done.stdout
    for name in ("reweighted", "plain  ", "clean images alone", "plain, stopped"):
        ((mean, half),) = row_of(name, done.stdout)
        assert 0 < mean < 100
        assert half >= 0
    ((share, _),) = row_of("share of all weight", done.stdout)
    ((apart, _),) = row_of("pairs in which", done.stdout)
    assert 0 < share < 100
    assert 0 < apart < 100
    assert "training: 100%" in done.stderr, "the progress bar"
    assert (tmp_path / "a" / "n.png").read_bytes().startswith(PNG)


@pytest.mark.usefixtures("examples")
def test_one_seed_of_the_noisy_labels_example_is_one_training() -> None:
    import noisy_labels as program

    # As many as the digits, which take longer to read than the training takes.
    images = program.Images(torch.rand(5000, 1, 14, 14), torch.randint(10, (5000,)))

    def trained(seed: int) -> program.Course:
        torch.manual_seed(seed)
        dice = torch.Generator().manual_seed(seed)
        problem = program.make_problem(images, 200, dice)
        return program.train(problem, 1, dice, lambda: None, reweighted=True)

    first, again, other = trained(1), trained(1), trained(2)

    assert torch.equal(first.weights, again.weights)
    assert torch.equal(first.test, again.test)
    assert not torch.equal(first.weights, other.weights)


@pytest.mark.usefixtures("examples")
def test_labels_are_flipped_where_the_problem_says_so() -> None:
    import noisy_labels as program

    # The first pixel of an image says which digit it truly is.
    labels = torch.randint(10, (5000,))
    images = program.Images(labels[:, None, None, None].expand(-1, 1, 14, 14).float(), labels)

    problem = program.make_problem(images, 2900, torch.Generator().manual_seed(0))

    truth = problem.training.pixels[:, 0, 0, 0].long()
    assert torch.equal(truth != problem.training.labels, problem.is_flipped)
    assert abs(problem.is_flipped.float().mean().item() - program.FLIPPED_SHARE) < 0.04
    assert torch.equal(problem.clean.pixels[:, 0, 0, 0].long(), problem.clean.labels)


@pytest.mark.usefixtures("examples")
def test_the_gradient_that_weighs_examples_is_that_of_finite_differences() -> None:
    import noisy_labels as program

    torch.manual_seed(0)
    learner = program.metann.Learner(program.make_net().double())
    pixels, labels = torch.rand(12, 1, 14, 14, dtype=torch.float64), torch.randint(10, (12,))
    batch, clean = (program.Images(pixels[cut], labels[cut]) for cut in (slice(7), slice(7, 12)))

    def loss(weights: torch.Tensor) -> torch.Tensor:
        return program.clean_loss_after_a_step(learner, weights, batch, clean, 0.3)

    weights = torch.rand(7, dtype=torch.float64, requires_grad=True)
    (gradient,) = torch.autograd.grad(loss(weights), weights)
    width = 1e-5
    sides = [[loss(weights + s * width * e) for s in (1, -1)] for e in torch.eye(7).double()]
    differences = torch.stack([(up - down) / (2 * width) for up, down in sides])

    assert gradient.abs().max() > 1e-3
    assert torch.allclose(gradient, differences, rtol=1e-5, atol=1e-8)


@pytest.mark.usefixtures("examples")
def test_examples_that_do_not_help_weigh_nothing_and_the_others_one_together() -> None:
    import noisy_labels as program

    torch.manual_seed(0)
    learner = program.metann.Learner(program.make_net())
    clean = program.Images(torch.rand(10, 1, 14, 14), torch.arange(10))
    # Each image twice: with its label, and with a wrong one.
    batch = program.Images(
        clean.pixels.repeat(2, 1, 1, 1), torch.cat([clean.labels, (clean.labels + 3) % 10])
    )
    before = [p.clone() for p in learner.module.parameters()]

    weights = program.weigh(learner, batch, clean, 0.3)

    assert (weights >= 0).all()
    assert weights.sum().item() == pytest.approx(1)
    assert weights[:10].sum() > 2 * weights[10:].sum()
    assert all(torch.equal(p, q) for p, q in zip(before, learner.module.parameters(), strict=True))
