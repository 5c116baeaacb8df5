"""The optimisers under test, as a table: a new one needs a row, and all tests apply to it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from itertools import product
from typing import Any

import torch

from metann import optim

SHAPES: tuple[tuple[int, ...], ...] = ((3, 2), (), (4,), (0, 3), (2, 1, 3), (1,))


@dataclass(frozen=True)
class Row:
    """What to try of one optimiser; `name` is that of its class, here and in torch.optim."""

    name: str
    # Hyper-parameters to differentiate with regard to, at a value that is not the default.
    learnable: Mapping[str, Any]
    # Other options, with the values to try, in all combinations.
    options: Mapping[str, tuple[Any, ...]] = field(default_factory=dict)
    # Hyper-parameters to try at these values, too, where torch takes another path for them.
    also: Mapping[str, tuple[Any, ...]] = field(default_factory=lambda: {"weight_decay": (0.0,)})
    shapes: tuple[tuple[int, ...], ...] = SHAPES
    # So many steps have to be taken for all of it to be in use.
    steps: int = 3
    # Whether a gradient of 0 has a derivative that finite differences can find.
    smooth_at_zero: bool = True
    has_complex: bool = True
    # Whether its hyper-parameters may be tensors and have a value for each parameter.
    has_forms: bool = True

    @property
    def ours(self) -> type[optim.Optimizer]:
        return getattr(optim, self.name)

    @property
    def theirs(self) -> type[torch.optim.Optimizer]:
        return getattr(torch.optim, self.name)

    def __str__(self) -> str:
        return self.name

    def settings(self) -> Iterator[dict[str, Any]]:
        """All combinations of options."""
        choices = {
            name: (value, *self.also.get(name, ())) for name, value in self.learnable.items()
        }
        choices.update(self.options)
        for values in product(*choices.values()):
            yield dict(zip(choices, values, strict=True))

    def values(self) -> dict[str, float]:
        """The learnable hyper-parameters one by one: betas become "betas.0" and "betas.1"."""
        found: dict[str, float] = {}
        for name, value in self.learnable.items():
            if isinstance(value, tuple):
                found.update({f"{name}.{index}": each for index, each in enumerate(value)})
            else:
                found[name] = value
        return found

    def made(self, values: Mapping[str, Any], flags: Mapping[str, Any]) -> optim.Optimizer:
        """An optimiser with such values, named as in `values`; the others are the defaults."""
        settings = {name: value for name, value in values.items() if "." not in name}
        for name, value in self.learnable.items():
            if isinstance(value, tuple):
                settings[name] = tuple(values[f"{name}.{index}"] for index in range(len(value)))
        return self.ours(**settings, **flags)

    def flags(self) -> Iterator[dict[str, Any]]:
        """All combinations of what is not differentiated with regard to."""
        for values in product(*self.options.values()):
            yield dict(zip(self.options, values, strict=True))


BOTH = (False, True)
BETAS = (0.8, 0.95)

ROWS = (
    Row(
        "SGD",
        {"lr": 0.1, "momentum": 0.8, "dampening": 0.3, "weight_decay": 0.05},
        {"maximize": BOTH},
        {"momentum": (0.0,), "dampening": (0.0,), "weight_decay": (0.0,)},
    ),
    Row(
        "SGD",
        {"lr": 0.1, "momentum": 0.8, "weight_decay": 0.05},
        {"nesterov": (True,), "maximize": BOTH},
        {"momentum": (0.0,), "weight_decay": (0.0,)},
    ),
    Row(
        "Adam",
        {"lr": 0.1, "betas": BETAS, "eps": 1e-3, "weight_decay": 0.05},
        {"amsgrad": BOTH, "maximize": BOTH, "decoupled_weight_decay": BOTH},
    ),
    Row(
        "AdamW",
        {"lr": 0.1, "betas": BETAS, "eps": 1e-3, "weight_decay": 0.05},
        {"amsgrad": BOTH, "maximize": BOTH},
    ),
    Row(
        "NAdam",
        {"lr": 0.1, "betas": BETAS, "eps": 1e-3, "weight_decay": 0.05, "momentum_decay": 0.3},
        {"decoupled_weight_decay": BOTH, "maximize": BOTH},
    ),
    Row(
        "RAdam",
        {"lr": 0.1, "betas": BETAS, "eps": 1e-3, "weight_decay": 0.05},
        {"decoupled_weight_decay": BOTH, "maximize": BOTH},
        steps=8,
    ),
    Row(
        "Adamax",
        {"lr": 0.1, "betas": BETAS, "eps": 1e-3, "weight_decay": 0.05},
        {"maximize": BOTH},
    ),
    Row(
        "Adagrad",
        {
            "lr": 0.1,
            "lr_decay": 0.2,
            "weight_decay": 0.05,
            "initial_accumulator_value": 0.3,
            "eps": 1e-3,
        },
        {"maximize": BOTH},
        {"lr_decay": (0.0,), "weight_decay": (0.0,), "initial_accumulator_value": (0.0,)},
    ),
    Row(
        "Adadelta",
        {"lr": 0.5, "rho": 0.8, "eps": 1e-3, "weight_decay": 0.05},
        {"maximize": BOTH},
    ),
    Row(
        "RMSprop",
        {"lr": 0.1, "alpha": 0.9, "eps": 1e-2, "weight_decay": 0.05, "momentum": 0.7},
        {"centered": BOTH, "maximize": BOTH},
        {"weight_decay": (0.0,), "momentum": (0.0,)},
    ),
    Row(
        "ASGD",
        {"lr": 0.1, "lambd": 0.2, "alpha": 0.6, "weight_decay": 0.05},
        {"t0": (1.5, 1e6), "maximize": BOTH},
    ),
    Row(
        "Rprop",
        {"lr": 0.1, "etas": (0.4, 2.5), "step_sizes": (0.05, 0.15)},
        {"maximize": BOTH},
        {"step_sizes": ((1e-6, 50.0),)},
        smooth_at_zero=False,
    ),
    Row(
        "Adafactor",
        {"lr": 0.1, "beta2_decay": -0.6, "eps": (0.5, 0.2), "d": 2.0, "weight_decay": 0.05},
        {"maximize": BOTH},
        {"lr": (0.9,), "eps": ((None, 1e-3), (1e-3, 0.2)), "d": (1.0,), "weight_decay": (0.0,)},
        shapes=((3, 2), (), (4,), (2, 1, 3), (1,), (2, 3, 4, 2)),
        has_complex=False,
    ),
)
