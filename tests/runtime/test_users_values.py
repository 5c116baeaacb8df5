"""Odd values in users' attributes, and weights in lists that are substituted later."""

from __future__ import annotations

import sys
from collections import ChainMap, Counter
from typing import NamedTuple

import pytest
import torch
from awkward_nets import Hiding
from small_nets import expected, fresh, inputs, same

from metann import DependentModule, Learner


class Point(tuple):
    """A tuple that is not made from an iterable."""

    __slots__ = ()

    def __new__(cls, x: object, y: object) -> Point:
        return super().__new__(cls, (x, y))


class FrozenList(list):
    """A list that refuses to be changed."""

    def __setitem__(self, index: object, value: object) -> None:
        raise TypeError("frozen")


class FrozenDict(dict):
    """A dict that refuses to be changed, as some configurations do."""

    def __setitem__(self, key: object, value: object) -> None:
        raise TypeError("frozen")

    def clear(self) -> None:
        raise TypeError("frozen")


class Validated(dict):
    """A dict that wants arguments when it is made."""

    def __init__(self, name: str, **values: object) -> None:
        super().__init__(values)
        self.name = name

    def __copy__(self) -> Validated:
        raise RuntimeError("not to be copied")


ODD = {
    "sys.version_info": sys.version_info,
    "a tuple made from arguments": Point(1, 2),
    "a frozen list": FrozenList([1, 2]),
    "a frozen dict": FrozenDict(a=1),
    "a dict that refuses copies": Validated("config", a=1),
    "a Counter": Counter("aab"),
    "a torch.Size": torch.Size([2, 3]),
    "a ChainMap": ChainMap({"a": 1}),
    "an empty named tuple": NamedTuple("Empty", [])(),
    "a result of torch": torch.tensor([1.0, 2.0]).max(0),
}


@pytest.mark.parametrize("value", ODD.values(), ids=ODD)
def test_odd_values_in_attributes_do_not_disturb_a_call(value) -> None:
    net, x = Hiding(lambda net: value, lambda kept, x: x * len(kept)), inputs()
    weights = fresh(net)

    bound = Learner(net).bind(weights)

    assert type(bound.kept) is type(value)
    assert bound.kept == value
    assert same(bound(x), x * len(value) + x @ weights[1].T + weights[2])


CLEARING = {
    "clear_params": lambda net: DependentModule(net).clear_params(),
    "stateless": DependentModule.stateless,
    "bind": lambda net: Learner(net).bind(fresh(net)),
}


@pytest.mark.parametrize("clear", CLEARING.values(), ids=CLEARING)
def test_a_weight_in_a_list_is_followed_by_substitution_or_reported(clear, caplog) -> None:
    net, x = Hiding(lambda net: [net.gain], lambda kept, x: kept[0] * x), inputs()
    weights = fresh(net)
    wanted = expected(net, weights, x) - net.gain * x + weights[0] * x

    with caplog.at_level("WARNING", logger="metann"):
        cleared = clear(net)
        cleared.substitute_from_list(weights)

    reported = "kept" in caplog.text and "original" in caplog.text
    assert reported or same(cleared(x), wanted)
