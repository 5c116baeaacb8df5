"""Nobody has to write a layer anew: each one of torch.nn has a counterpart, ahead of time."""

from __future__ import annotations

import ast
import inspect
from textwrap import dedent

import pytest
from every_layer import SAMPLES_OF, for_each_use_of
from measuring import constructed, layer_of
from samples.sample import Sample
from torch import nn

import metann.generated
from metann import DependentModule
from metann.registry import generated_counterparts

WITHOUT_COUNTERPART = {
    nn.Module: "the base class: it has no parameters and no forward",
    nn.DataParallel: "it makes replicas of its own: convert what it wraps",
}
PUBLIC = {kind for kind in vars(nn).values() if isinstance(kind, type)}
LAYERS = sorted(
    (kind for kind in PUBLIC if issubclass(kind, nn.Module) and kind not in WITHOUT_COUNTERPART),
    key=lambda kind: kind.__name__,
)


def test_T60_all_layers_of_torch_nn_are_looked_at() -> None:
    assert len(LAYERS) > 150
    assert {nn.LSTM, nn.GRUCell, nn.MultiheadAttention, nn.Transformer} <= set(LAYERS)


@pytest.mark.parametrize("layer", LAYERS, ids=lambda layer: layer.__name__)
def test_T60_a_layer_has_a_counterpart_that_can_be_read_and_imported(layer) -> None:
    counterpart = generated_counterparts()[layer]

    assert getattr(metann.generated, f"Dependent{layer.__name__}") is counterpart
    assert layer in counterpart.__bases__
    assert issubclass(counterpart, DependentModule)
    # One that torch deprecates stands indented, in a block that keeps it quiet.
    written = ast.parse(dedent(inspect.getsource(counterpart))).body[0]
    assert isinstance(written, ast.ClassDef)
    assert written.name == counterpart.__name__


@for_each_use_of(SAMPLES_OF)
def test_T60_a_layer_of_torch_is_converted_to_it_and_none_is_written(
    sample: Sample, training: bool
):
    layer = layer_of(constructed(sample, sample.layer).train(training))
    counterparts = generated_counterparts()
    # A sample may hold a user's module, too; a lazy layer has become the one that it stands for.
    torchs = [part for part in layer.modules() if type(part).__module__.startswith("torch.")]
    kinds = [type(part) for part in torchs]

    DependentModule(layer)

    assert layer in torchs
    assert [type(part) for part in torchs] == [counterparts[kind] for kind in kinds]
