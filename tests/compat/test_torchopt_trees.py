"""Trees in metann.compat.torchopt: what belongs together, and what does not fit."""

from __future__ import annotations

import copy
from collections import deque
from typing import Any

import pytest
import torch
from by_hand import CLOSE
from test_torchopt_functional import FUNCTIONS

import metann.compat.torchopt as torchopt
from metann.errors import OptimizerError


@pytest.mark.parametrize("name", FUNCTIONS)
def test_dicts_are_matched_by_key_whatever_the_order(name: str) -> None:
    params = {"w": torch.randn(2), "b": torch.randn(2)}
    grads = {"w": torch.randn(2), "b": torch.randn(2)}
    turned = {"b": grads["b"], "w": grads["w"]}
    function = FUNCTIONS[name]()
    decayed = torchopt.chain(torchopt.adamw(0.1, weight_decay=0.5), function)

    expected, _ = decayed.update(grads, decayed.init(params), params=params)
    found, _ = decayed.update(turned, decayed.init(turned), params=params)
    nested = torchopt.apply_updates([(params,)], [(found,)], inplace=False)[0][0]
    moved = torchopt.apply_updates(params, found, inplace=False)

    assert [*found] == ["b", "w"]
    assert [*moved] == ["w", "b"]
    for key in params:
        torch.testing.assert_close(found[key], expected[key], rtol=0, atol=0)
        torch.testing.assert_close(moved[key], params[key] + expected[key], rtol=0, atol=0)
        torch.testing.assert_close(nested[key], moved[key], rtol=0, atol=0)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_what_is_remembered_is_of_the_same_key_whatever_the_order(name: str) -> None:
    params: Any = {"w": torch.randn(2, 3), 7: {"b": torch.randn(3), "a": torch.randn(3)}}
    grads: Any = [
        {"w": torch.randn(2, 3), 7: {"b": torch.randn(3), "a": torch.randn(3)}} for _ in range(3)
    ]
    function = FUNCTIONS[name]()
    state, turned = function.init(params), function.init(params)

    for number, grad in enumerate(grads):
        other = {7: {key: grad[7][key] for key in ("ba", "ab")[number % 2]}, "w": grad["w"]}
        expected, state = function.update(grad, state, params=params)
        found, turned = function.update(other, turned, params=params)

        assert [*found] == [7, "w"]
        torch.testing.assert_close(found["w"], expected["w"], rtol=0, atol=0)
        for key in "ab":
            torch.testing.assert_close(found[7][key], expected[7][key], rtol=0, atol=0)


def test_trees_of_other_containers() -> None:
    params, grads = [{"b": torch.randn(2), "a": torch.randn(2)}], [torch.randn(2), torch.randn(2)]
    turned = deque([{"a": grads[0], "b": grads[1]}])
    sgd = torchopt.sgd(0.1, weight_decay=0.5)

    updates, _ = sgd.update(turned, sgd.init(params), params=params)

    assert isinstance(updates, deque)
    for key, grad in zip("ab", grads, strict=True):
        expected = -0.1 * (grad + 0.5 * params[0][key])
        torch.testing.assert_close(updates[0][key], expected, **CLOSE)


@pytest.mark.parametrize("inplace", [True, False])
@pytest.mark.parametrize(
    ("params", "updates", "message"),
    [
        (
            {"w": torch.ones(2, 3), "b": torch.ones(3)},
            {"w": torch.ones(3), "b": torch.ones(2, 3)},
            r"one shape, got \(3,\) and \(2, 3\) at tree\['b'\]",
        ),
        ([torch.ones(2), torch.ones(2, 1)], (torch.ones(2), torch.ones(2)), r"at tree\[1\]"),
        (
            [torch.ones(3)] * 2,
            {"q": torch.ones(3), "z": torch.ones(3)},
            r"tree is a list of 2, but for it there is a dict with the keys \['q', 'z'\]",
        ),
        (
            {"a": [{"w": torch.ones(3)}]},
            {"a": [{"v": torch.ones(3)}]},
            r"tree\['a'\]\[0\] is a dict with the keys \['w'\], .* with the keys \['v'\]",
        ),
        ((torch.ones(3),), ([torch.ones(3)],), r"tree\[0\] is a leaf \(Tensor\), .* a list of 1"),
    ],
)
def test_trees_of_other_structure_or_shapes_are_an_error(
    params: Any, updates: Any, message: str, inplace: bool
) -> None:
    before = copy.deepcopy(params)
    decayed = torchopt.sgd(0.1, weight_decay=0.5)

    with pytest.raises(OptimizerError, match=message):
        torchopt.apply_updates(params, updates, inplace=inplace)
    with pytest.raises(OptimizerError, match=message):
        decayed.update(params, decayed.init(params), params=updates)

    torch.testing.assert_close(params, before, rtol=0, atol=0)


def test_a_mask_is_matched_by_key_and_must_have_the_structure() -> None:
    params = {"w": torch.randn(3), "b": torch.randn(3)}
    grads = {"w": torch.zeros(3), "b": torch.zeros(3)}
    adamw = torchopt.adamw(1.0, weight_decay=0.5, mask={"b": False, "w": True})

    updates, _ = adamw.update(grads, adamw.init(params), params=params)

    torch.testing.assert_close(updates, {"w": -0.5 * params["w"], "b": grads["b"]}, **CLOSE)
    for mask in ([True, False], {"w": True}, lambda _: [True]):
        other = torchopt.adamw(1.0, weight_decay=0.5, mask=mask)
        with pytest.raises(OptimizerError, match=r"there must be one for each: tree is a"):
            other.update(grads, other.init(params), params=params)


def test_the_state_of_other_parameters_is_an_error() -> None:
    adam, grads = torchopt.adam(0.1), (torch.randn(4, 3), torch.randn(4))

    for params in ((torch.randn(1, 3), torch.randn(1)), (torch.randn(4, 3),)):
        with pytest.raises(OptimizerError, match=r"the state is one of other parameters: .*exp_av"):
            adam.update(grads, adam.init(params))
