"""Normalisation across channels: torch's numbers, and the derivatives of these."""

from __future__ import annotations

import pytest
import torch
from torch import Tensor, nn
from torch.autograd import gradcheck
from transforming import FORWARD_MODE_WARNS, assert_every_derivative, assert_vmap

from metann import DependentModule, Learner, functional

pytestmark = pytest.mark.filterwarnings(FORWARD_MODE_WARNS)

each_size = pytest.mark.parametrize("size", [1, 2, 3, 4, 5, 6])
each_number_of_channels = pytest.mark.parametrize("channels", [1, 2, 3, 4, 7])


@each_size
@each_number_of_channels
def test_torchs_numbers_and_all_derivatives_of_them(size: int, channels: int) -> None:
    x = torch.randn(2, channels, 2, 3)

    def ours(given: Tensor) -> Tensor:
        return functional.cross_map_lrn(given, size, 0.5, 0.6, 2.0)

    expected = nn.CrossMapLRN2d(size, 0.5, 0.6, 2.0)(x)
    torch.testing.assert_close(ours(x), expected, rtol=1e-14, atol=1e-14)
    assert_every_derivative(ours, [x])
    assert_vmap(ours, [torch.randn(2, 2, channels, 2, 3)])


def test_torchs_own_derivative_is_of_another_function() -> None:
    """The reason why a counterpart does not call torch's; it may on the day this fails."""
    x = torch.randn(2, 4, 2, 2, requires_grad=True)

    assert not gradcheck(nn.CrossMapLRN2d(3, 0.5), [x], fast_mode=True, raise_exception=False)
    assert gradcheck(DependentModule(nn.CrossMapLRN2d(3, 0.5)), [x], fast_mode=True)


def test_images_have_four_dimensions() -> None:
    with pytest.raises(ValueError, match=r"Expected input to be 4D, got 3D instead"):
        functional.cross_map_lrn(torch.randn(2, 3, 4), 3)


def test_it_becomes_one_graph() -> None:
    x, net = torch.randn(2, 4, 2, 2), nn.CrossMapLRN2d(3, 0.5)
    compiled = torch.compile(Learner(net).bind([]), backend="eager", fullgraph=True)

    torch.testing.assert_close(compiled(x), net(x))


class Shifted(nn.CrossMapLRN2d):
    """A user's own, with a forward of its own."""

    def forward(self, input: Tensor) -> Tensor:
        return super().forward(input) + 1.0


def test_a_users_forward_is_called() -> None:
    x = torch.randn(2, 4, 2, 2)
    net = Shifted(3)

    torch.testing.assert_close(Learner(net).functional([], True, x), net(x))
