"""examples/hypernetwork.py, in a short form."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from as_a_user import PNG, row_of, run

pytestmark = pytest.mark.usefixtures("examples")


def test_the_hypernetwork_example_prints_accuracies_on_new_tasks_and_writes_its_figure(
    tmp_path: Path,
) -> None:
    short = ("--iterations=3", "--test-tasks=6", "--out=h.png")
    done = run("hypernetwork.py", *short, folder=tmp_path)

    assert done.returncode == 0, done.stderr
    assert "accuracy on 6 new tasks, with 95% intervals" in done.stdout
    for name in ("written by hypernetwork", "nearest neighbour", "trained on the points"):
        accuracies = row_of(name, done.stdout)
        assert len(accuracies) == 3, "for 1, 3 and 12 points"
        assert all(0 < mean <= 100 and 0 <= half < 100 for mean, half in accuracies)
    # These two know the labels of twelve points of each class, and need no training before.
    assert row_of("nearest neighbour", done.stdout)[2][0] > 85
    assert row_of("trained on the points", done.stdout)[2][0] > 75
    assert "training: 100%" in done.stderr, "the progress bar"
    assert (tmp_path / "h.png").read_bytes().startswith(PNG)


def test_one_seed_of_the_hypernetwork_example_is_one_training() -> None:
    import hypernetwork as program

    def trained(seed: int, other: int) -> torch.Tensor:
        torch.manual_seed(0)
        learner = program.Learner(program.make_classifier())
        hyper = program.Hypernetwork(learner.module)
        torch.manual_seed(other)  # torch's own generator has no part in it
        program.train(hyper, learner, 3, seed)
        return torch.cat([p.detach().flatten() for p in hyper.parameters()])

    assert torch.equal(trained(1, other=3), trained(1, other=4))
    assert not torch.equal(trained(1, other=3), trained(2, other=3))


def test_the_hypernetwork_writes_classifiers_that_do_not_depend_on_the_order_of_points() -> None:
    import hypernetwork as program

    torch.manual_seed(0)
    learner = program.Learner(program.make_classifier())
    hyper = program.Hypernetwork(learner.module)
    support, _ = program.draw_tasks(2, 5, torch.Generator().manual_seed(0))
    order = torch.arange(9, -1, -1)

    written = hyper(*support)
    turned_round = hyper(support.inputs[:, order], support.targets[:, order])

    assert {name: tensor.shape[1:] for name, tensor in written.items()} == {
        name: tensor.shape for name, tensor in learner.module.named_parameters()
    }
    for name, tensor in written.items():
        assert torch.allclose(turned_round[name], tensor, atol=1e-6)
        assert (tensor[0] - tensor[1]).abs().max() > 1e-4, "other points, other weights"


def test_what_the_hypernetwork_writes_classifies_each_task_by_its_own_weights() -> None:
    import hypernetwork as program

    torch.manual_seed(0)
    learner = program.Learner(program.make_classifier())
    hyper = program.Hypernetwork(learner.module)
    support, query = program.draw_tasks(3, 5, torch.Generator().manual_seed(0))
    scores = program.Methods(learner, hyper).written(support, query.inputs)

    for task in range(3):
        net = program.make_classifier()
        net.load_state_dict({name: tensor[task] for name, tensor in hyper(*support).items()})
        assert torch.allclose(scores[task], net(query.inputs[task]), atol=1e-5)


def test_the_classifiers_of_the_hypernetwork_example_are_trained_as_torch_would(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    import hypernetwork as program

    monkeypatch.setattr(program, "TRAINING_STEPS", 4)
    torch.manual_seed(0)
    learner = program.Learner(program.make_classifier())
    methods = program.Methods(learner, program.Hypernetwork(learner.module))
    support, query = program.draw_tasks(3, 5, torch.Generator().manual_seed(0))

    scores = methods.trained(support, query.inputs)

    for task in range(3):
        net = program.make_classifier()
        net.load_state_dict(learner.module.state_dict())
        adam = torch.optim.Adam(net.parameters(), lr=program.TRAINING_STEP_SIZE)
        loss_of = torch.nn.BCEWithLogitsLoss()
        for _ in range(4):
            adam.zero_grad()
            loss_of(net(support.inputs[task]), support.targets[task]).backward()
            adam.step()
        assert torch.allclose(scores[task], net(query.inputs[task]), atol=1e-4)
