"""examples/sine_curves.py, in a short form."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from as_a_user import PNG, row_of, run


def test_the_sinusoid_example_prints_errors_on_new_curves_and_writes_its_figure(
    tmp_path: Path,
) -> None:
    done = run(
        "sine_curves.py", "--iterations=3", "--test-tasks=4", "--out=a/s.png", folder=tmp_path
    )

    assert done.returncode == 0, done.stderr
    assert "squared error on 4 new curves, ten points given" in done.stdout
    for name in ("meta-trained net", "plainly trained net"):
        errors = row_of(name, done.stdout)
        assert len(errors) == 4, "after 0, 1, 5 and 10 steps"
        assert all(0 < error < 30 and 0 < half < 30 for error, half in errors)
    assert "meta-training: 100%" in done.stderr, "the progress bar"
    assert "plain training: 100%" in done.stderr
    assert (tmp_path / "a" / "s.png").read_bytes().startswith(PNG)


@pytest.mark.usefixtures("examples")
def test_one_seed_of_the_sinusoid_example_is_one_training() -> None:
    import sine_curves as program

    def trained(seed: int, other: int) -> torch.Tensor:
        torch.manual_seed(0)
        net = program.make_net()
        torch.manual_seed(other)  # torch's own generator has no part in it
        program.train(program.make_maml(net, 1), 3, seed, "meta-training")
        return torch.cat([p.detach().flatten() for p in net.parameters()])

    assert torch.equal(trained(1, other=3), trained(1, other=4))
    assert not torch.equal(trained(1, other=3), trained(2, other=3))


@pytest.mark.usefixtures("examples")
def test_a_little_meta_training_on_sinusoids_helps_adaptation() -> None:
    import sine_curves as program

    torch.manual_seed(0)
    net = program.make_net()
    curves = program.new_curves(100, 1)
    untrained = program.test(net, program.STEP_SIZE, curves)
    program.train(program.make_maml(net, 1), 60, 0, "meta-training")
    trained = program.test(net, program.STEP_SIZE, curves)

    assert trained.shape == untrained.shape == (100, program.TEST_STEPS + 1)
    assert trained[:, 1].mean() < 0.97 * untrained[:, 1].mean()


@pytest.mark.usefixtures("examples")
def test_the_plain_training_of_the_sinusoid_example_takes_no_inner_step() -> None:
    import sine_curves as program

    torch.manual_seed(0)
    net = program.make_net()
    support, query = program.new_curves(3, 1)
    losses = program.make_maml(net, 0).task_losses(support, query)

    expected = (net(query.inputs) - query.targets).square().mean(dim=(1, 2))
    assert torch.allclose(losses, expected)
