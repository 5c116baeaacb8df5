"""Every counterpart for three tasks at once, against one functional call a task."""

from __future__ import annotations

import warnings

import pytest
import torch
from every_layer import for_each_use_of
from samples.sample import Sample
from tasks import SCALES, ForTasks, derivatives
from torch import nn

from metann.errors import LoopWarning
from metann.registry import generated_counterparts

# Where vmap has no rule for an operation it loops, and says that this is slow.
pytestmark = pytest.mark.filterwarnings("ignore:There is a performance drop because we have not")
EXACT = 1e-10
# The kernel of the gradient takes 1 / 6 in single precision.
ROUNDED = {nn.Hardsigmoid: 1e-7}
# What reads values, and so cannot be batched: how many sequences go on, whether a mask is causal.
READING = {"packed": (nn.RNN, nn.GRU, nn.LSTM), "tgt_mask": (nn.Transformer, nn.TransformerDecoder)}


def is_read(sample: Sample) -> bool:
    """Whether the layer reads values of its inputs in this use."""
    return sample.layer in READING.get(sample.note.split(",")[0], ())


@for_each_use_of(generated_counterparts())
def test_three_tasks_at_once_are_three_calls(sample: Sample, training: bool):
    use = ForTasks(sample, training)

    with warnings.catch_warnings(record=True) as said:
        warnings.simplefilter("always", LoopWarning)
        found = use.at_once()

    loops = [warning for warning in said if issubclass(warning.category, LoopWarning)]
    assert len(loops) == is_read(sample)
    each = use.in_turn()
    if use.is_random:  # Numbers of random layers are compared in the layer matrix.
        assert [o.shape for o in found[0]] == [(len(SCALES), *o.shape) for o in each[0][0]]
        return
    second = sample.has_second_order(training)
    wanted = [[*outputs, *derivatives((outputs, leaves), second)] for outputs, leaves in each]
    expected = [torch.stack(of_tasks) for of_tasks in zip(*wanted, strict=True)]
    tolerance = ROUNDED.get(sample.layer, EXACT)
    torch.testing.assert_close(
        [*found[0], *derivatives(found, second)], expected, rtol=tolerance, atol=tolerance
    )
