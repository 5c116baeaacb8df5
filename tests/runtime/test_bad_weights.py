"""Weights that do not fit a Learner: the error says what was asked, found, and what to do."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from small_nets import Tied, by_name, fresh, inputs, mlp, state_of
from torch import Tensor, nn

from metann import DependentModule, Learner
from metann.errors import MetannError, SubstitutionError

Weights = list[Tensor]


def call(net: nn.Module, params: object) -> object:
    return Learner(net).functional(params, True, inputs())


def bind(net: nn.Module, params: object) -> object:
    return Learner(net).bind(params)


both = pytest.mark.parametrize("use", [call, bind], ids=["functional", "bind"])

BAD_LISTS: dict[str, tuple[Callable[[Weights], object], str]] = {
    "too few": (
        lambda ws: ws[:2],
        r"expected 4 tensors, in the order of named_parameters\(\).*got 2; "
        r"none was given for: 2\.weight, 2\.bias",
    ),
    "too many": (lambda ws: [*ws, torch.randn(2)], r"expected 4 tensors.*got 5"),
    "none at all": (lambda ws: [], r"expected 4 tensors.*got 0"),
    "an exhausted generator": (lambda ws: iter(()), r"expected 4 tensors.*got 0"),
    "wrong shape": (
        lambda ws: [ws[0], torch.randn(9), *ws[2:]],
        r"0\.bias must have shape \(4,\), got \(9,\)",
    ),
    "two wrong shapes": (
        lambda ws: [torch.randn(4, 9), torch.randn(9), *ws[2:]],
        r"0\.weight must have shape \(4, 3\), got \(4, 9\); 0\.bias must have shape \(4,\)",
    ),
    "transposed": (
        lambda ws: [ws[0].T, *ws[1:]],
        r"0\.weight must have shape \(4, 3\), got \(3, 4\)",
    ),
    "broadcastable scalar": (
        lambda ws: [ws[0], torch.tensor(2.0), *ws[2:]],
        r"0\.bias must have shape \(4,\), got \(\)",
    ),
    "broadcastable one": (
        lambda ws: [ws[0], torch.randn(1), *ws[2:]],
        r"0\.bias must have shape \(4,\), got \(1,\)",
    ),
    "broadcastable with a leading one": (
        lambda ws: [ws[0][None], *ws[1:]],
        r"0\.weight must have shape \(4, 3\), got \(1, 4, 3\)",
    ),
    "None": (lambda ws: [None, *ws[1:]], r"0\.weight must be a tensor, got NoneType"),
    "a list": (lambda ws: [*ws[:3], [1.0, 2.0]], r"2\.bias must be a tensor, got list"),
    "a number": (lambda ws: [*ws[:3], 2.0], r"2\.bias must be a tensor, got float"),
    "an array": (
        lambda ws: [*ws[:3], ws[3].detach().numpy()],
        r"2\.bias must be a tensor, got ndarray",
    ),
    "a mix of dtypes": (
        lambda ws: [ws[0].float(), *ws[1:]],
        r"a mix of torch\.float32 on cpu \(0\.weight\) and torch\.float64 on cpu \(0\.bias, "
        r"2\.weight, 2\.bias\).*\.to\(\)",
    ),
    "a mix of devices": (
        lambda ws: [ws[0].to("meta"), *ws[1:]],
        r"a mix of torch\.float64 on meta \(0\.weight\) and torch\.float64 on cpu",
    ),
}


@both
@pytest.mark.parametrize(("spoil", "message"), BAD_LISTS.values(), ids=BAD_LISTS)
def test_a_bad_list_is_an_error_with_this_message(use, spoil, message: str) -> None:
    net = mlp()

    with pytest.raises(SubstitutionError, match=message):
        use(net, spoil(fresh(net)))


@both
@pytest.mark.parametrize(("spoil", "message"), BAD_LISTS.values(), ids=BAD_LISTS)
def test_after_a_bad_list_nothing_has_changed(use, spoil, message: str) -> None:
    net = mlp()
    before = state_of(net)

    with pytest.raises(MetannError, match="nothing was changed"):
        use(net, spoil(fresh(net)))

    assert state_of(net) == before


BAD_MAPPINGS: dict[str, tuple[dict[str, object], tuple[str, ...], str]] = {
    "missing": ({}, ("0.bias",), r"missing: 0\.bias"),
    "two missing": ({}, ("0.bias", "2.weight"), r"missing: 0\.bias; missing: 2\.weight"),
    "unknown": ({"zzz": torch.ones(1)}, (), r"unknown: zzz"),
    "misspelt": (
        {"0.wieght": torch.ones(4, 3)},
        ("0.weight",),
        r"0\.wieght \(did you mean 0\.weight\?\).*missing: 0\.weight",
    ),
    "wrong prefix": (
        {"module.0.bias": torch.ones(4)},
        ("0.bias",),
        r"module\.0\.bias \(did you mean 0\.bias\?\)",
    ),
    "wrong shape": ({"0.bias": torch.ones(3)}, (), r"0\.bias must have shape \(4,\), got \(3,\)"),
    "None": ({"0.bias": None}, (), r"0\.bias must be a tensor, got NoneType"),
    "no tensor": ({"0.bias": "b"}, (), r"0\.bias must be a tensor, got str"),
    "a name that is no string": ({3: torch.ones(1)}, (), r"unknown: 3"),
    "everything at once": (
        {"0.bias": torch.ones(3), "2.wheight": torch.ones(1)},
        ("2.weight",),
        r"(?=.*2\.wheight \(did you mean 2\.weight\?\))(?=.*missing: 2\.weight)(?=.*0\.bias must)",
    ),
}


@both
@pytest.mark.parametrize(("change", "drop", "message"), BAD_MAPPINGS.values(), ids=BAD_MAPPINGS)
def test_a_bad_mapping_is_an_error_with_this_message(use, change, drop, message: str) -> None:
    net = mlp()
    named = {**by_name(net, fresh(net)), **change}
    for name in drop:
        del named[name]

    with pytest.raises(SubstitutionError, match=message):
        use(net, named)


@both
def test_every_message_says_where_the_names_and_shapes_stand(use) -> None:
    with pytest.raises(SubstitutionError, match=r"named_parameters\(\).*list the names and shapes"):
        use(mlp(), {})


def test_a_buffer_is_no_dependent() -> None:
    net = DependentModule(nn.BatchNorm1d(3))
    named = {**dict(net.named_parameters()), "running_mean": torch.randn(3)}
    net.clear_params()

    with pytest.raises(SubstitutionError, match="unknown: running_mean"):
        net.substitute(named)


@both
@pytest.mark.parametrize("wrong", [3, None, torch.nn.Linear])
def test_what_is_neither_iterable_nor_mapping_is_an_error_that_says_what_to_give(
    use, wrong
) -> None:
    with pytest.raises(TypeError, match=r"(?i)params|iterable"):
        use(mlp(), wrong)


@both
def test_a_single_tensor_is_not_taken_for_a_list_of_weights(use) -> None:
    with pytest.raises(SubstitutionError, match="expected 4 tensors"):
        use(mlp(), torch.randn(7))


def test_a_tensor_of_rows_is_an_error_that_names_the_shapes() -> None:
    with pytest.raises(SubstitutionError, match=r"weight must have shape \(2, 3\), got \(6,\)"):
        call(nn.Linear(3, 2), torch.randn(2, 6))


def test_pairs_instead_of_a_mapping_are_an_error_that_names_the_type_found() -> None:
    net = mlp()

    wrong = r"0\.weight must be a tensor, got tuple.*give dict\(net\.named_parameters\(\)\)"
    with pytest.raises(SubstitutionError, match=wrong):
        call(net, list(net.named_parameters()))


def test_a_tensor_in_the_place_of_a_list_is_named() -> None:
    with pytest.raises(SubstitutionError, match=r"got one tensor of shape \(20, 3\): put the wei"):
        call(mlp(), torch.randn(20, 3))
    with pytest.raises(SubstitutionError, match=r"got one tensor of shape \(\): put the weights"):
        call(mlp(), torch.tensor(1.0))


def test_a_generator_that_is_used_up_is_suspected() -> None:
    net = mlp()
    params = net.parameters()
    call(net, params)

    with pytest.raises(SubstitutionError, match=r"got 0.*give list\(net\.parameters\(\)\)"):
        call(net, params)


def test_a_module_instead_of_its_parameters_is_an_error() -> None:
    net = nn.Sequential(nn.Linear(3, 2, bias=False))

    with pytest.raises(SubstitutionError, match=r"0\.weight must be a tensor, got Linear"):
        call(net, net)


def test_a_mapping_for_a_tie_that_lacks_it_names_its_first_name() -> None:
    net = Tied()

    with pytest.raises(SubstitutionError, match=r"missing: encoder\.weight"):
        call(net, {"decoder.bias": torch.randn(3)})


def test_too_many_for_a_module_without_weights() -> None:
    with pytest.raises(SubstitutionError, match=r"expected 0 tensors.*got 1"):
        call(nn.Tanh(), [torch.randn(1)])


def test_weights_all_of_another_dtype_are_fine() -> None:
    net = mlp()
    weights = [w.float() for w in fresh(net)]

    assert Learner(net).functional(weights, True, inputs().float()).dtype is torch.float32


def test_weights_all_on_another_device_are_fine() -> None:
    net = mlp()
    weights = [w.to("meta") for w in fresh(net)]

    assert Learner(net).functional(weights, True, inputs().to("meta")).device.type == "meta"


def test_a_net_of_mixed_dtypes_takes_weights_of_mixed_dtypes() -> None:
    net = nn.Sequential(nn.Linear(3, 4), nn.Linear(4, 2).float())
    weights = fresh(net)

    bound = Learner(net).bind(weights)

    assert [d.dtype for d in bound.dependents()] == [w.dtype for w in weights]


def test_a_misfit_in_a_bound_instance_leaves_it_as_it_was() -> None:
    net = mlp()
    bound = Learner(net).bind(fresh(net))
    before = [id(d) for d in bound.dependents()]

    with pytest.raises(SubstitutionError, match=r"nothing was changed.*2\.bias"):
        bound.substitute_from_list([*fresh(net)[:3], torch.randn(9)])

    assert [id(d) for d in bound.dependents()] == before


def test_substitute_on_a_module_without_dependents_says_how_many_there_are() -> None:
    net = DependentModule(mlp())

    with pytest.raises(SubstitutionError, match=r"expected 0 tensors.*got 4"):
        net.substitute_from_list(fresh(net))


def test_substitute_on_a_module_that_was_not_cleared_says_to_clear_it() -> None:
    net = DependentModule(mlp())

    with pytest.raises(SubstitutionError, match="clear_params"):
        net.substitute_from_list(fresh(net))
