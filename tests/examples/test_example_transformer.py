"""examples/transformer.py, in a short form."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from as_a_user import PNG, row_of, run


def test_the_transformer_example_prints_accuracies_and_what_torch_says_and_writes_its_figure(
    tmp_path: Path,
) -> None:
    short = ("--seeds=1", "--iterations=2", "--test-tasks=3", "--out=a/t.png")
    done = run("transformer.py", *short, folder=tmp_path)

    assert done.returncode == 0, done.stderr
    for name in ("second order", "first order", "untrained"):
        ((mean, half),) = row_of(name, done.stdout)
        assert 0 < mean < 100
        assert half >= 0
    assert "torch's fast attention, at second order: derivative for aten::_sca" in done.stdout
    assert "seed 0, second order: 100%" in done.stderr, "the progress bar"
    assert (tmp_path / "a" / "t.png").read_bytes().startswith(PNG)


@pytest.mark.usefixtures("examples")
def test_one_seed_of_the_transformer_example_is_one_training() -> None:
    import transformer as program

    def trained(seed: int, *, first_order: bool = False) -> torch.Tensor:
        torch.manual_seed(seed)
        maml = program.make_maml(program.Reader(), first_order=first_order)
        program.meta_train(maml, 2, seed, "meta-training")
        return torch.cat([p.detach().flatten() for p in maml.parameters()])

    assert torch.equal(trained(1), trained(1))
    assert not torch.equal(trained(1), trained(2))
    assert not torch.equal(trained(1), trained(1, first_order=True))


@pytest.mark.usefixtures("examples")
def test_the_label_of_a_sequence_is_the_class_of_the_letter_behind_the_marker() -> None:
    import transformer as program

    episodes = program.draw_tasks(5, torch.Generator().manual_seed(0))

    for support, query in (episodes.task(index) for index in range(episodes.tasks)):
        cipher: dict[int, int] = {}
        for examples in (support, query):
            for tokens, label in zip(*(part.tolist() for part in examples), strict=True):
                assert tokens.count(program.MARKER) == 1
                letter = tokens[tokens.index(program.MARKER) + 1]
                assert cipher.setdefault(letter, label) == label
        assert sorted(cipher) == list(range(program.LETTERS))
        assert sum(cipher.values()) == program.LETTERS / 2, "half of the letters"


@pytest.mark.usefixtures("examples")
def test_the_meta_gradient_of_the_transformer_example_is_that_of_finite_differences() -> None:
    import transformer as program

    torch.manual_seed(0)
    maml = program.make_maml(program.Reader(), first_order=False).double()
    support, query = program.draw_tasks(2, torch.Generator().manual_seed(0))
    params = list(maml.parameters())
    ways = [torch.randn_like(p) for p in params]

    loss = maml.task_losses(support, query).mean()
    gradients = torch.autograd.grad(loss, params)
    found = sum((g * way).sum() for g, way in zip(gradients, ways, strict=True))

    def beside(width: float) -> torch.Tensor:
        with torch.no_grad():
            for p, way in zip(params, ways, strict=True):
                p += width * way
            moved = maml.task_losses(support, query).mean()
            for p, way in zip(params, ways, strict=True):
                p -= width * way
        return moved

    differences = (beside(1e-6) - beside(-1e-6)) / 2e-6
    torch.testing.assert_close(found, differences, rtol=1e-5, atol=1e-8)
