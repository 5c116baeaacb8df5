"""torch/nn/modules/container.py; those without a forward are used by a small function"""

from collections import OrderedDict

from torch import Tensor, nn

from samples.draw import built, normal, parameter
from samples.sample import Sample, of, on

_X = on(normal(2, 3))
_DEPRECATED = ("`nn.Container` is deprecated",)


def _one_after_another(layers: nn.ModuleList, x: Tensor) -> Tensor:
    for layer in layers:
        x = layer(x)
    return x


def _by_name(layers: nn.ModuleDict, x: Tensor) -> Tensor:
    return sum((layer(x) for layer in layers.values()), layers["first"](x))


def _by_attribute(layers: nn.Container, x: Tensor) -> Tensor:
    return layers.second(layers.first(x))


def _powers(coefficients: nn.ParameterList, x: Tensor) -> Tensor:
    first, *rest = coefficients
    return first * x + sum(x**power * value for power, value in enumerate(rest, start=2))


def _scaled(values: nn.ParameterDict, x: Tensor) -> Tensor:
    return values["scale"] * x + sum(value.sum() for value in values.values())


def _tied() -> nn.ModuleList:
    """One layer in two places."""
    layer = nn.Linear(3, 3)
    return nn.ModuleList([layer, nn.Tanh(), layer])


_LINEAR = built(nn.Linear, 3, 3)
_BIASED_ONCE = [built(nn.Linear, 3, 3, bias=False), built(nn.Tanh), built(nn.Linear, 3, 2)]

_OF_MODULES = (
    Sample(
        nn.Container,
        of(first=_LINEAR, second=_LINEAR),
        _X,
        call=_by_attribute,
        warns=_DEPRECATED,
    ),
    Sample(nn.Sequential, of(_LINEAR, built(nn.Tanh), _LINEAR), _X),
    Sample(nn.Sequential, of(*_BIASED_ONCE), _X),
    Sample(nn.Sequential, of(), _X, note="empty"),
    Sample(nn.Sequential, of(built(OrderedDict, [("one", _LINEAR), ("two", built(nn.Tanh))])), _X),
    Sample(nn.Sequential, of(built(nn.Sequential, _LINEAR), built(nn.Dropout)), _X, note="nested"),
    Sample(nn.ModuleList, of(_BIASED_ONCE), _X, call=_one_after_another),
    Sample(nn.ModuleList, of(built(_tied)), _X, call=_one_after_another, note="tied"),
    Sample(nn.ModuleDict, of({"first": _LINEAR, "other": _LINEAR}), _X, call=_by_name),
)

_OF_PARAMETERS = (
    Sample(nn.ParameterList, of([parameter(3), parameter(3)]), _X, call=_powers),
    Sample(nn.ParameterList, of([parameter(1), 2.5, parameter(3)]), _X, call=_powers),
    Sample(nn.ParameterDict, of({"scale": parameter(3), "shift": parameter(2)}), _X, call=_scaled),
)

SAMPLES = _OF_MODULES + _OF_PARAMETERS
