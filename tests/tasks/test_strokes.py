"""Strokes: the points of each kind, and what the pen leaves on the pixels."""

from __future__ import annotations

import math

import pytest
import torch
from torch import Tensor

from metann.tasks.strokes import POINTS, draw_points, stroke_shapes, trace

STRAIGHT, CORNER, CURVE = 0, 1, 2


def traced(kind: int, controls: Tensor) -> tuple[Tensor, Tensor]:
    return trace(controls.double(), stroke_shapes()[kind].double())


def at(t: float) -> int:
    """The point at this part of a stroke."""
    return round(t * (POINTS - 1))


def test_a_straight_stroke_goes_from_the_first_control_point_to_the_last() -> None:
    controls = torch.rand(4, 2)
    points, lengths = traced(STRAIGHT, controls)
    t = torch.linspace(0, 1, POINTS, dtype=torch.float64).unsqueeze(1)

    assert torch.allclose(points, (1 - t) * controls[0] + t * controls[3], atol=1e-6)
    assert float(lengths.sum()) == pytest.approx(float((controls[3] - controls[0]).norm()))


def test_a_stroke_with_a_corner_turns_at_the_second_control_point() -> None:
    controls = torch.tensor([[-1.0, 0.0], [0.0, 1.0], [9.0, 9.0], [1.0, 0.0]])
    points, _ = traced(CORNER, controls)

    # Up along y = x + 1, then down along y = 1 - x.
    assert torch.allclose(points[:, 1], 1 - points[:, 0].abs(), atol=1e-6)
    assert points[0].tolist() == [-1, 0]
    assert points[-1].tolist() == [1, 0]


def test_a_curve_is_what_de_casteljau_constructs() -> None:
    controls = torch.rand(4, 2, dtype=torch.float64)
    points, _ = traced(CURVE, controls)
    t = at(0.3) / (POINTS - 1)
    corners = controls
    while len(corners) > 1:
        corners = (1 - t) * corners[:-1] + t * corners[1:]

    assert torch.allclose(points[at(0.3)], corners[0], atol=1e-6)


def test_lengths_of_a_curve_add_up_to_its_length() -> None:
    # Close to a quarter of the unit circle.
    k = 4 / 3 * math.tan(math.pi / 8)
    controls = torch.tensor([[1, 0], [1, k], [k, 1], [0, 1]])
    _, lengths = traced(CURVE, controls)

    assert float(lengths.sum()) == pytest.approx(math.pi / 2, rel=1e-3)


def drawn(controls: Tensor, kind: int = STRAIGHT, width: float = 2, size: int = 28) -> Tensor:
    points, lengths = traced(kind, controls)
    return draw_points(points[None], lengths[None], torch.tensor([width]).double(), size)[0, 0]


def level(y: float) -> Tensor:
    """Control points of a level stroke across the image, unevenly set."""
    return torch.tensor([[-0.8, y], [-0.7, y], [-0.6, y], [0.8, y]])


def test_a_point_of_the_image_is_where_its_coordinates_say() -> None:
    down_the_left = torch.tensor([[-0.75, -0.5], [0, 0], [0, 0], [-0.75, 0.5]])
    image = drawn(down_the_left, size=8)

    # The image is 2 wide, a pixel 0.25: x = -0.75 is where the pixels 0 and 1 meet.
    assert torch.equal((image > 0.5).any(dim=0).nonzero().flatten(), torch.tensor([0, 1]))
    assert torch.equal((image > 0.5).any(dim=1).nonzero().flatten(), torch.arange(2, 6))


@pytest.mark.parametrize("width", [1.8, 2.3, 2.8])
def test_a_stroke_is_half_as_dark_at_the_edge_of_the_pen(width: float) -> None:
    # The stroke is moved past the middle of a pixel by a hundredth at a time: a profile of it.
    offsets = torch.arange(-300, 301, dtype=torch.float64) / 100
    controls = torch.stack([level(float(y + 0.5) / 14) for y in offsets])
    points, lengths = traced(STRAIGHT, controls)
    pens = torch.full_like(offsets, width)
    profile = draw_points(points, lengths, pens, 28)[:, 0, 14, 14]
    dark = offsets[profile > 0.5 * profile.max()]

    assert profile.max() > 0.97
    assert float(dark[-1] - dark[0]) == pytest.approx(width, rel=0.03)


def test_edges_are_grey_and_the_paper_is_white() -> None:
    image = drawn(level(0.11))

    assert ((image > 0.1) & (image < 0.9)).sum() > 20
    assert image[:8].max() < 1e-6
    assert image.min() >= 0
    assert image.max() <= 1


def test_a_stroke_is_as_dark_wherever_its_points_are_close_or_far_apart() -> None:
    # The curve of these control points is a straight line, gone along faster and faster.
    image, even = drawn(level(0.1), CURVE), drawn(level(0.1), STRAIGHT)

    assert torch.allclose(image[:, 4:23], even[:, 4:23], atol=0.02), "but for the tips"
    assert torch.allclose(image, even, atol=0.15)


def test_a_stroke_without_length_leaves_nothing() -> None:
    points, lengths = traced(STRAIGHT, level(0.0))
    image = draw_points(points[None], 0 * lengths[None], torch.tensor([2.0]).double(), 28)

    assert image.shape == (1, 1, 28, 28)
    assert not image.any()
