"""examples/hyper_parameters.py, in a short form."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from as_a_user import PNG, row_of, run


def test_the_hyper_parameters_example_prints_losses_and_writes_its_figure(tmp_path: Path) -> None:
    short = ("--splits=2", "--steps=2", "--side=2", "--out=a/h.png")
    done = run("hyper_parameters.py", *short, folder=tmp_path)

    assert done.returncode == 0, done.stderr
    names = ("where the search starts", "two values, best of a grid of 4")
    for name in (*names, "two values, 2 gradients", "8 values, 2 gradients"):
        validation, test, accuracy = row_of(name, done.stdout)
        assert 0 < validation[0] < 3
        assert 0 < test[0] < 3
        assert 0 < accuracy[0] < 100
    assert "splits: 100%" in done.stderr, "the progress bar"
    assert (tmp_path / "a" / "h.png").read_bytes().startswith(PNG)


@pytest.mark.usefixtures("examples")
def test_one_seed_of_the_hyper_parameters_example_is_one_search_that_goes_down() -> None:
    import hyper_parameters as program

    def found(seed: int, *, checkpoint: bool) -> program.Search:
        problem = program.make_problem(seed)
        return program.search(problem, program.STARTS[1], 3, checkpoint=checkpoint)

    first, again, other = (found(seed, checkpoint=False) for seed in (1, 1, 2))

    assert torch.equal(first.values, again.values)
    assert not torch.equal(first.values, other.values)
    assert first.losses[2] < first.losses[1] < first.losses[0]
    torch.testing.assert_close(found(1, checkpoint=True).values, first.values)


@pytest.mark.usefixtures("examples")
def test_training_that_can_be_differentiated_is_that_of_torch() -> None:
    import hyper_parameters as program

    problem = doubled(program.make_problem(0))
    expected = program.trained_by_torch(problem, 0.1, 0.01)

    one = program.trained(problem, 0.1, 0.01, checkpoint=False)
    each = program.trained(problem, [0.1] * 4, [0.01] * 4, checkpoint=False)

    for net in (one, each):
        for name, parameter in expected.named_parameters():
            torch.testing.assert_close(net.state_dict()[name], parameter.detach())


@pytest.mark.parametrize("checkpoint", [False, True])
@pytest.mark.usefixtures("examples")
def test_the_gradient_by_learning_rates_and_weight_decays_is_that_of_finite_differences(
    checkpoint: bool,
) -> None:
    import hyper_parameters as program

    problem = doubled(program.make_problem(0))

    def loss(logs: torch.Tensor) -> torch.Tensor:
        lr, decay = logs.exp()
        net = program.trained(problem, [*lr], [*decay], checkpoint=checkpoint)
        return program.loss_of(net, problem.validation)

    start = torch.tensor([[0.05] * 4, [0.01] * 4], dtype=torch.float64).log()
    start = (start + 0.3 * torch.randn(2, 4, dtype=torch.float64)).requires_grad_()
    (gradient,) = torch.autograd.grad(loss(start), start)
    width = 1e-5
    directions = torch.eye(8, dtype=torch.float64).view(8, 2, 4)
    with torch.no_grad():
        sides = [[loss(start + s * width * way) for s in (1, -1)] for way in directions]
    differences = torch.stack([(up - down) / (2 * width) for up, down in sides]).view(2, 4)

    assert (gradient != 0).all()
    torch.testing.assert_close(gradient, differences, rtol=1e-4, atol=1e-8)


@pytest.mark.usefixtures("examples")
def test_a_row_of_the_grid_is_a_weight_decay_and_a_column_a_learning_rate() -> None:
    import hyper_parameters as program

    problem = program.make_problem(0)

    grid = program.brute_force(problem, 2)

    # The other corners differ; at the largest learning rate training diverges.
    slow = program.trained_by_torch(problem, program.LEARNING_RATES[0], program.WEIGHT_DECAYS[1])
    torch.testing.assert_close(grid[1, 0], program.loss_of(slow, problem.validation).detach())
    assert abs(grid[1, 0] - grid[0, 0]) > 0.01


def doubled(problem):
    """The same problem in float64."""
    problem.net.double()
    images = [type(part)(part.pixels.double(), part.labels) for part in problem[1:]]
    return type(problem)(problem.net, *images)
