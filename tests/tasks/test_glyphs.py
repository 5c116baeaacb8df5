"""Invented characters: what makes a class, what a hand changes, and the tasks made of them."""

from __future__ import annotations

import re

import pytest
import torch
from torch import Tensor

from metann.errors import TaskError
from metann.tasks import Episodes, Glyphs, Hand
from metann.tasks.alphabet import BOX, invent
from metann.tasks.strokes import draw_points, trace

STEADY = Hand(jitter=0, rotation=0, scale=(1, 1), shear=0, shift=0, width=(2, 2))


# ── the glyphs ───────────────────────────────────────────────────────────────────────────────


def test_a_glyph_depends_on_the_seed_alone() -> None:
    def image(seed: int) -> Tensor:
        return Glyphs(classes=3, seed=seed, hand=STEADY).render(torch.arange(3))

    assert torch.equal(image(1), image(1))
    assert not torch.isclose(image(1), image(2), atol=0.5).all()


def test_glyphs_are_the_same_in_every_precision() -> None:
    single = Glyphs(classes=20, hand=STEADY).render(torch.arange(20))
    double = Glyphs(classes=20, hand=STEADY, dtype=torch.float64).render(torch.arange(20))
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.float64)
    default = Glyphs(classes=20, hand=STEADY).render(torch.arange(20))
    torch.set_default_dtype(before)

    assert single.dtype == torch.float32
    assert double.dtype == torch.float64
    assert torch.equal(default, double)
    assert torch.allclose(single.double(), double, atol=1e-4)


def test_a_class_has_two_to_four_strokes_of_three_kinds() -> None:
    alphabet = invent(2000, (2, 4), seed=0)
    counts = alphabet.present.sum(dim=1)
    kinds = alphabet.shapes[:, :, 20, 1]  # weights of the second control point

    assert counts.unique().tolist() == [2, 3, 4]
    assert (counts.bincount()[2:] - 2000 / 3).abs().max() < 4 * (2000 * 2 / 9) ** 0.5
    assert len(kinds.unique()) == 3


def test_every_glyph_fills_its_box() -> None:
    controls, shapes, present = invent(500, (2, 4), seed=0)
    points, _ = trace(controls, shapes)
    for glyph, drawn in zip(points, present, strict=True):
        low, high = (end(glyph[drawn].flatten(0, 1), dim=0) for end in (torch.amin, torch.amax))

        assert torch.allclose(low, -high, atol=1e-6), "it lies in the middle"
        assert float((high - low).max()) == pytest.approx(BOX, abs=1e-6)


def test_what_is_not_of_a_glyph_is_not_drawn() -> None:
    alphabet = invent(100, (1, 4), seed=0)
    one = int(alphabet.present.sum(dim=1).argmin())
    (image,) = Glyphs(classes=100, strokes=(1, 4), hand=STEADY).render(torch.tensor([one]))
    points, lengths = trace(alphabet.controls[one, :1], alphabet.shapes[one, :1])

    alone = draw_points(points, lengths, torch.tensor([2.0]), 28)[0]
    assert torch.allclose(image, alone, atol=1e-6)


def test_classes_look_different() -> None:
    images = Glyphs(classes=500, hand=STEADY).render(torch.arange(500)).flatten(1)
    distances = torch.cdist(images, images) + 100 * torch.eye(500)

    assert distances.min() > 2


# ── drawing them ─────────────────────────────────────────────────────────────────────────────


def test_images_are_ink_on_paper(dice: torch.Generator) -> None:
    images = Glyphs().render(torch.arange(300), dice)

    assert images.shape == (300, 1, 28, 28)
    assert images.dtype == torch.float32
    assert images.min() >= 0
    assert images.max() <= 1
    assert (images.amax(dim=(1, 2, 3)) > 0.95).all()
    assert 0.03 < images.mean() < 0.25


def test_every_image_is_drawn_by_another_hand(dice: torch.Generator) -> None:
    images = Glyphs().render(torch.zeros(200, dtype=torch.int64), dice).flatten(1)
    distances = torch.cdist(images, images) + 100 * torch.eye(200)

    assert distances.min() > 0.5


def test_images_of_a_class_are_alike_but_not_the_same_to_the_pixel(dice: torch.Generator) -> None:
    support, query = Glyphs().draw(40, ways=5, shots=1, queries=5, generator=dice)
    distances = torch.cdist(query.inputs.flatten(2), support.inputs.flatten(2))
    assert distances.min() > 0.5, "no image is in support and query"
    accuracy = (distances.argmin(dim=2) == query.targets).float().mean()

    # The nearest image is of the class more often than by chance, 0.2, yet far from always.
    assert 0.4 < accuracy < 0.7


def test_a_larger_image_shows_the_same_glyph() -> None:
    small, large = (
        Glyphs(classes=5, size=size, hand=STEADY).render(torch.arange(5)) for size in (28, 56)
    )

    assert large.shape == (5, 1, 56, 56)
    assert torch.allclose(torch.nn.functional.avg_pool2d(large, 2), small, atol=0.2)
    assert float((torch.nn.functional.avg_pool2d(large, 2) - small).abs().mean()) < 0.01


def test_the_same_seed_draws_the_same_and_another_seed_something_else() -> None:
    def drawn(seed: int) -> Tensor:
        again = torch.Generator().manual_seed(seed)
        return Glyphs(classes=9).draw(2, 3, 1, 2, generator=again).query.inputs

    assert torch.equal(drawn(4), drawn(4))
    assert not torch.equal(drawn(4), drawn(5))


def test_a_generator_given_leaves_torchs_own_alone(dice: torch.Generator) -> None:
    before = torch.get_rng_state()

    Glyphs(classes=5).draw(2, 3, 1, 1, generator=dice)

    assert torch.equal(torch.get_rng_state(), before)


# ── the hand ─────────────────────────────────────────────────────────────────────────────────


def moved(hand: Hand, dice: torch.Generator) -> tuple[Tensor, Tensor]:
    controls = torch.randn(1, 3, 4, 2, generator=dice, dtype=torch.float64).expand(5000, 3, 4, 2)
    return controls, hand.move(controls, dice)


def test_a_steady_hand_changes_nothing(dice: torch.Generator) -> None:
    controls, after = moved(STEADY, dice)

    assert torch.allclose(after, controls, atol=1e-12)


def test_jitter_moves_every_control_point_by_itself(dice: torch.Generator) -> None:
    controls, after = moved(Hand(0.05, 0, (1, 1), 0, 0), dice)
    change = (after - controls).flatten(1)

    assert float(change.std()) == pytest.approx(0.05, rel=0.02)
    assert torch.allclose(change.T.corrcoef(), torch.eye(24).double(), atol=5 / 5000**0.5)


def test_a_turn_keeps_distances_and_goes_both_ways(dice: torch.Generator) -> None:
    controls, after = moved(Hand(0, 0.3, (1, 1), 0, 0), dice)
    before, turned = (
        torch.view_as_complex(part[:, 0, 0].contiguous()) for part in (controls, after)
    )
    angles = (turned / before).angle()

    assert torch.allclose(turned.abs(), before.abs(), atol=1e-12)
    assert -0.3 <= angles.min() < -0.29
    assert 0.29 < angles.max() <= 0.3


def test_a_shift_is_the_same_for_all_control_points(dice: torch.Generator) -> None:
    controls, after = moved(Hand(0, 0, (1, 1), 0, 0.2), dice)
    change = (after - controls).flatten(1, 2)

    assert torch.allclose(change, change[:, :1], atol=1e-12)
    assert 0.19 < change.abs().max() <= 0.2 + 1e-12


def test_width_and_height_are_scaled_by_themselves(dice: torch.Generator) -> None:
    controls, after = moved(Hand(0, 0, (0.8, 1.1), 0, 0), dice)
    scale = (after / controls).flatten(1, 2)

    assert torch.allclose(scale, scale[:, :1], atol=1e-9)
    assert 0.8 - 1e-9 <= scale.min() < 0.81
    assert 1.09 < scale.max() <= 1.1 + 1e-9
    assert abs(float(scale[:, 0].T.corrcoef()[0, 1])) < 4 / 5000**0.5


def test_a_shear_moves_what_is_lower_to_the_side(dice: torch.Generator) -> None:
    controls, after = moved(Hand(0, 0, (1, 1), 0.25, 0), dice)
    slope = ((after - controls)[..., 0] / controls[..., 1]).flatten(1)

    assert torch.allclose(after[..., 1], controls[..., 1], atol=1e-12)
    assert torch.allclose(slope, slope[:, :1], atol=1e-9)
    assert 0.24 < slope.max() <= 0.25 + 1e-9


# ── tasks ────────────────────────────────────────────────────────────────────────────────────


def classes_of(glyphs: Glyphs, images: Tensor) -> Tensor:
    """Which glyphs these are, drawn by a steady hand."""
    known = glyphs.render(torch.arange(glyphs.classes)).flatten(1)
    return torch.cdist(images.flatten(2), known).argmin(dim=2)


def steady_tasks(dice: torch.Generator, tasks: int) -> tuple[Glyphs, Episodes]:
    glyphs = Glyphs(classes=12, hand=STEADY, size=14)
    allowed = [1, 3, 5, 7, 9, 11]
    return glyphs, glyphs.draw(tasks, 4, shots=1, queries=2, classes=allowed, generator=dice)


def test_a_task_has_so_many_classes_and_so_many_images_of_each(dice: torch.Generator) -> None:
    glyphs, (support, query) = steady_tasks(dice, 50)

    assert support.inputs.shape == (50, 4, 1, 14, 14)
    assert query.inputs.shape == (50, 8, 1, 14, 14)
    assert support.targets.tolist() == [[0, 1, 2, 3]] * 50
    assert query.targets.tolist() == [[0, 0, 1, 1, 2, 2, 3, 3]] * 50
    assert all(len(row.unique()) == 4 for row in classes_of(glyphs, support.inputs))


def test_a_label_means_the_same_class_in_support_and_query(dice: torch.Generator) -> None:
    glyphs, (support, query) = steady_tasks(dice, 50)

    in_support = classes_of(glyphs, support.inputs).repeat_interleave(2, dim=1)
    assert torch.equal(in_support, classes_of(glyphs, query.inputs))


def test_only_classes_that_were_asked_for_occur_each_as_often_under_each_label(
    dice: torch.Generator,
) -> None:
    glyphs, (support, _) = steady_tasks(dice, 600)
    chosen = classes_of(glyphs, support.inputs)

    assert chosen.unique().tolist() == [1, 3, 5, 7, 9, 11]
    for label in range(4):
        counts = chosen[:, label].bincount(minlength=12)[1::2]
        assert (counts - 100).abs().max() < 4 * (600 * 5 / 36) ** 0.5


def test_a_dataset_has_so_many_images_of_each_class(dice: torch.Generator) -> None:
    dataset = Glyphs(classes=7).dataset(3, classes=[2, 6], generator=dice)
    image, label = dataset[4]

    assert [int(dataset[index][1]) for index in range(len(dataset))] == [2, 2, 2, 6, 6, 6]
    assert image.shape == (1, 28, 28)
    assert int(label) == 6


# ── what is refused ──────────────────────────────────────────────────────────────────────────

REFUSED = {
    "more ways than classes": (
        lambda: Glyphs(classes=3).draw(2, ways=4, shots=1, queries=1),
        "ways=4: each task has so many different classes, but there are only 3 to choose from; "
        "give ways=3 or fewer, or more classes",
    ),
    "a class that is not there": (
        lambda: Glyphs(classes=3).draw(2, 1, 1, 1, classes=[0, 3, 4]),
        "classes: 3, 4 asked for, but there is no such class; choose among 0, 1, 2",
    ),
    "a class twice": (
        lambda: Glyphs(classes=9).draw(2, 2, 1, 1, classes=[5, 1, 5]),
        "classes: 5 named more than once, but the classes of a task differ; name each once",
    ),
    "no class": (
        lambda: Glyphs(classes=9).draw(2, 1, 1, 1, classes=[]),
        "classes is empty: tasks are drawn from classes; name some, or give None for all",
    ),
    "no images": (
        lambda: Glyphs().dataset(0),
        "samples=0: at least one is needed; give samples=1 or more",
    ),
    "no shots": (
        lambda: Glyphs().draw(2, 5, shots=0, queries=1),
        "shots=0: at least one is needed; give shots=1 or more",
    ),
    "no glyphs": (
        lambda: Glyphs(classes=0),
        "classes=0: at least one is needed; give classes=1 or more",
    ),
    "strokes the wrong way round": (
        lambda: Glyphs(strokes=(4, 2)),
        "strokes: it is drawn from between a lowest and a highest value, but 4 is above 2; "
        "exchange the two",
    ),
    "a negative jitter": (
        lambda: Hand(jitter=-1),
        "jitter=-1: it cannot be negative; give 0 or more",
    ),
}


@pytest.mark.parametrize("case", REFUSED)
def test_what_cannot_be_drawn_is_refused_with_what_to_do(case: str) -> None:
    asked, message = REFUSED[case]

    with pytest.raises(TaskError, match="^" + re.escape(message) + "$"):
        asked()
