"""Sinusoid tasks: what is drawn, and from which ranges."""

from __future__ import annotations

import math

import pytest
import torch

from metann.errors import TaskError
from metann.tasks import Curves, Sinusoids


def test_all_tasks_are_drawn_at_once_with_a_leading_axis(dice: torch.Generator) -> None:
    support, query = Sinusoids().draw(25, shots=10, queries=7, generator=dice)

    assert support.inputs.shape == support.targets.shape == (25, 10, 1)
    assert query.inputs.shape == query.targets.shape == (25, 7, 1)


def test_as_many_queries_as_shots_unless_said_otherwise(dice: torch.Generator) -> None:
    assert Sinusoids().draw(2, shots=5, generator=dice).query.inputs.shape == (2, 5, 1)


@pytest.mark.parametrize(("name", "low", "high"), [("amplitude", 0.1, 5.0), ("phase", 0, math.pi)])
def test_curves_are_those_of_the_maml_paper(
    name: str, low: float, high: float, dice: torch.Generator
) -> None:
    drawn = getattr(Sinusoids().draw_curves(20_000, dice), name).flatten()

    assert_uniform(drawn, low, high)


def test_points_are_those_of_the_maml_paper(dice: torch.Generator) -> None:
    support, query = Sinusoids().draw(1000, shots=10, generator=dice)

    assert_uniform(support.inputs.flatten(), -5, 5)
    assert_uniform(query.inputs.flatten(), -5, 5)


def assert_uniform(drawn: torch.Tensor, low: float, high: float) -> None:
    """Within the range, and each tenth of it as often as the others, to four standard errors."""
    assert drawn.min() >= low
    assert drawn.max() <= high
    counts = torch.histc(drawn, 10, low, high)
    expected = len(drawn) / 10
    assert (counts - expected).abs().max() < 4 * (expected * 0.9) ** 0.5


def test_amplitude_phase_and_points_are_drawn_independently(dice: torch.Generator) -> None:
    curves = Sinusoids(frequency=(0.8, 1.2)).draw_curves(20_000, dice)
    rows = torch.stack([curves.amplitude, curves.phase, curves.frequency]).flatten(1)

    assert torch.allclose(rows.corrcoef(), torch.eye(3), atol=4 / 20_000**0.5)


def test_targets_lie_on_the_curve_of_the_task() -> None:
    sinusoids = Sinusoids(frequency=(0.8, 1.2), dtype=torch.float64)
    episodes = sinusoids.draw(6, shots=4, generator=torch.Generator().manual_seed(3))
    # The curves are drawn first.
    curves = sinusoids.draw_curves(6, torch.Generator().manual_seed(3))

    for task in range(6):
        a, p, f = (float(part[task]) for part in (curves.amplitude, curves.phase, curves.frequency))
        for x, y in (episodes.task(task).support, episodes.task(task).query):
            expected = [a * math.sin(f * point - p) for point in x.flatten().tolist()]
            assert y.flatten().tolist() == pytest.approx(expected, abs=1e-12)


def test_no_point_is_in_support_and_query(dice: torch.Generator) -> None:
    support, query = Sinusoids().draw(25, shots=10, generator=dice)

    for there, here in zip(support.inputs, query.inputs, strict=True):
        assert len(torch.cat([there, here]).unique()) == 20


def test_curves_can_be_evaluated_on_one_grid() -> None:
    one = torch.ones(3, 1, 1)
    grid = torch.linspace(-5, 5, 100).unsqueeze(1)

    values = Curves(amplitude=2 * one, phase=0 * one, frequency=one)(grid)

    assert torch.equal(values, (2 * grid.sin()).expand(3, 100, 1))


def test_noise_is_on_the_targets_alone() -> None:
    def drawn(noise: float) -> tuple[torch.Tensor, torch.Tensor]:
        dice = torch.Generator().manual_seed(0)
        support, _ = Sinusoids(noise=noise, dtype=torch.float64).draw(100, 100, generator=dice)
        return support

    (x, y), (noisy_x, noisy_y) = drawn(0), drawn(0.3)

    assert torch.equal(noisy_x, x)
    assert float((noisy_y - y).std()) == pytest.approx(0.3, rel=0.03)
    assert abs(float((noisy_y - y).mean())) < 4 * 0.3 / 100


def test_the_same_seed_draws_the_same_and_another_seed_something_else() -> None:
    def drawn(seed: int) -> torch.Tensor:
        dice = torch.Generator().manual_seed(seed)
        return Sinusoids(noise=0.1).draw(3, 4, generator=dice).query.targets

    assert torch.equal(drawn(1), drawn(1))
    assert not torch.equal(drawn(1), drawn(2))


def test_without_a_generator_torchs_own_decides() -> None:
    def drawn() -> torch.Tensor:
        torch.manual_seed(5)
        return Sinusoids().draw(3, 4).support.inputs

    with torch.random.fork_rng():
        assert torch.equal(drawn(), drawn())


def test_a_generator_given_leaves_torchs_own_alone(dice: torch.Generator) -> None:
    before = torch.get_rng_state()

    Sinusoids(noise=0.1).draw(3, 4, generator=dice)

    assert torch.equal(torch.get_rng_state(), before)


def test_ranges_dtype_and_device_can_be_chosen(dice: torch.Generator) -> None:
    chosen = Sinusoids(amplitude=(2, 2), phase=(1, 1), x=(7, 8), device="cpu", dtype=torch.float64)
    (x, y), _ = chosen.draw(2, 3, generator=dice)

    assert x.dtype == y.dtype == torch.float64
    assert 7 <= x.min() <= x.max() <= 8
    assert torch.allclose(y, 2 * torch.sin(x - 1), atol=1e-15)


@pytest.mark.parametrize("count", ["tasks", "shots", "queries"])
def test_a_count_of_zero_is_refused(count: str) -> None:
    counts = {"tasks": 2, "shots": 3, "queries": 4} | {count: 0}

    message = rf"{count}=0: at least one is needed; give {count}=1 or more"
    with pytest.raises(TaskError, match=message):
        Sinusoids().draw(**counts)


def test_a_range_that_goes_down_is_refused() -> None:
    message = r"x: it is drawn from .* but 5 is above -5; exchange the two"
    with pytest.raises(TaskError, match=message):
        Sinusoids(x=(5, -5))


def test_negative_noise_is_refused() -> None:
    with pytest.raises(TaskError, match=r"noise=-0.1: it cannot be negative; give 0 or more"):
        Sinusoids(noise=-0.1)
