"""`substitute`, `substitute_from_list`, `update_shapes`: setting dependents, all or none."""

from __future__ import annotations

import pytest
import torch
from small_nets import Scaled, Tied, by_name, computed, expected, fresh, inputs, mlp, same
from torch import Tensor, nn

from metann import DependentModule
from metann.errors import SubstitutionError


def cleared(net: nn.Module) -> DependentModule:
    return DependentModule(net).clear_params(init=True)


def held(net: DependentModule) -> list[int]:
    return [id(tensor) for tensor in net.dependents()]


def test_substitute_sets_the_very_tensors_given() -> None:
    net = cleared(mlp())
    named = by_name(net, fresh(net))

    net.substitute(named)

    assert all(tensor is named[name] for name, tensor in net.named_dependents())


def test_substitute_accepts_pairs() -> None:
    net = cleared(mlp())
    pairs = list(by_name(net, fresh(net)).items())

    net.substitute(pairs)

    assert held(net) == [id(tensor) for _, tensor in pairs]


def test_substitute_accepts_an_iterator_of_pairs() -> None:
    net = cleared(mlp())
    named = by_name(net, fresh(net))

    net.substitute((name, tensor) for name, tensor in named.items())

    assert held(net) == [id(tensor) for tensor in named.values()]


def test_the_order_of_a_mapping_does_not_matter() -> None:
    net = cleared(mlp())
    named = by_name(net, fresh(net))

    net.substitute(dict(reversed(named.items())))

    assert held(net) == [id(tensor) for tensor in named.values()]


def test_substitute_returns_nothing() -> None:
    net = cleared(mlp())

    assert net.substitute(by_name(net, fresh(net))) is None
    assert net.substitute_from_list(fresh(net)) is None


def test_the_module_computes_with_substituted_tensors() -> None:
    plain, x = Scaled(), inputs()
    weights = fresh(plain)
    wanted = expected(plain, weights, x)

    net = cleared(plain)
    net.substitute_from_list(weights)

    assert same(net(x), wanted)


def test_gradients_of_both_orders_reach_the_leaves() -> None:
    plain, x = mlp(), inputs()
    leaves, weights = computed(plain)
    net = cleared(plain)
    net.substitute_from_list(weights)

    first = torch.autograd.grad(net(x).square().sum(), leaves, create_graph=True)
    second = torch.autograd.grad(sum(g.square().sum() for g in first), leaves)

    assert all(g.abs().sum() > 0 for g in (*first, *second))


def test_strict_lists_every_missing_name() -> None:
    net = cleared(mlp())
    named = by_name(net, fresh(net))
    del named["0.bias"], named["2.weight"]

    with pytest.raises(SubstitutionError, match=r"missing: 0\.bias; missing: 2\.weight"):
        net.substitute(named)


def test_strict_lists_every_unknown_name() -> None:
    net = cleared(mlp())
    named = {**by_name(net, fresh(net)), "7.weight": torch.randn(2), "what": torch.randn(2)}

    with pytest.raises(SubstitutionError, match=r"unknown: 7\.weight.*unknown: what"):
        net.substitute(named)


def test_T62_a_misspelt_name_is_an_error_that_suggests_the_right_one() -> None:
    net = cleared(mlp())
    named = by_name(net, fresh(net))
    named["0.wieght"] = named.pop("0.weight")

    with pytest.raises(SubstitutionError, match=r"0\.wieght \(did you mean 0\.weight\?\)"):
        net.substitute(named)


def test_strict_lists_problems_of_all_kinds_in_one_error() -> None:
    net = cleared(mlp())
    named: dict[str, Tensor] = by_name(net, fresh(net))
    named["0.weight"] = torch.randn(9, 9)
    named["extra"] = torch.randn(1)
    del named["2.bias"]

    with pytest.raises(SubstitutionError) as caught:
        net.substitute(named)

    message = str(caught.value)
    assert "0.weight must have shape (4, 3), got (9, 9)" in message
    assert "unknown: extra" in message
    assert "missing: 2.bias" in message


def test_the_message_says_what_to_do() -> None:
    net = cleared(mlp())

    with pytest.raises(SubstitutionError, match=r"named_dependents\(\) list the names and shapes"):
        net.substitute({})


def test_a_substitution_error_is_a_value_error() -> None:
    with pytest.raises(ValueError, match="missing"):
        cleared(mlp()).substitute({})


@pytest.mark.parametrize(
    "spoil",
    [
        lambda named: named.pop("2.bias"),
        lambda named: named.update(extra=torch.randn(2)),
        lambda named: named.update({"2.bias": torch.randn(3)}),
        lambda named: named.update({"2.bias": None}),
        lambda named: named.update({"2.bias": [1.0, 2.0]}),
        lambda named: named.update({"2.bias": torch.randn(2, dtype=torch.float32)}),
    ],
    ids=["missing", "unknown", "shape", "None", "list", "dtype"],
)
def test_after_an_error_nothing_has_changed(spoil) -> None:
    net = cleared(mlp())
    before, named = held(net), by_name(net, fresh(net))
    spoil(named)

    with pytest.raises(SubstitutionError, match="nothing was changed"):
        net.substitute(named)

    assert held(net) == before


def test_not_strict_passes_over_missing_names() -> None:
    net = cleared(mlp())
    before, tensor = dict(net.named_dependents()), torch.randn(2)

    net.substitute({"2.bias": tensor}, strict=False)

    assert dict(net.named_dependents()) == {**before, "2.bias": tensor}


def test_not_strict_passes_over_unknown_names() -> None:
    net = cleared(mlp())
    before = held(net)

    net.substitute({"nothing.of.the.kind": torch.randn(2)}, strict=False)

    assert held(net) == before


def test_not_strict_checks_shapes_all_the_same_and_changes_nothing() -> None:
    net = cleared(mlp())
    before = held(net)

    with pytest.raises(SubstitutionError, match=r"2\.bias must have shape \(2,\), got \(5,\)"):
        net.substitute({"0.bias": torch.randn(4), "2.bias": torch.randn(5)}, strict=False)

    assert held(net) == before


def test_substitute_accepts_either_name_of_a_tied_dependent() -> None:
    net = cleared(Tied())
    shared, bias = fresh(net)

    net.substitute({"decoder.weight": shared, "decoder.bias": bias})

    assert net.encoder.weight is net.decoder.weight is shared


def test_substitute_accepts_both_names_of_a_tied_dependent_with_one_tensor() -> None:
    net = cleared(Tied())
    shared, bias = fresh(net)

    net.substitute({"encoder.weight": shared, "decoder.weight": shared, "decoder.bias": bias})

    assert net.encoder.weight is net.decoder.weight is shared


@pytest.mark.parametrize("strict", [True, False])
def test_two_tensors_for_one_tied_dependent_are_an_error(strict: bool) -> None:
    net = cleared(Tied())
    before = held(net)
    one, two, bias = torch.randn(3, 3), torch.randn(3, 3), torch.randn(3)
    named = {"encoder.weight": one, "decoder.weight": two, "decoder.bias": bias}

    with pytest.raises(SubstitutionError, match=r"decoder\.weight is tied to encoder\.weight"):
        net.substitute(named, strict=strict)

    assert held(net) == before


def test_two_tensors_for_a_tied_dependent_do_not_hide_the_other_problems() -> None:
    net = cleared(Tied())
    named = {"encoder.weight": torch.randn(3, 3), "decoder.weight": torch.randn(3, 3), "x": 1}

    with pytest.raises(
        SubstitutionError, match=r"(?s)(?=.*tied)(?=.*unknown: x)(?=.*decoder.bias)"
    ):
        net.substitute(named)


def test_substitute_from_list_sets_them_in_the_order_of_named_dependents() -> None:
    net = cleared(mlp())
    weights = fresh(net)

    net.substitute_from_list(weights)

    assert held(net) == [id(tensor) for tensor in weights]


def test_substitute_from_list_accepts_a_generator_and_a_tuple() -> None:
    net = cleared(mlp())
    weights = fresh(net)

    net.substitute_from_list(w for w in weights)
    net.substitute_from_list(tuple(weights))

    assert held(net) == [id(tensor) for tensor in weights]


def test_substitute_from_list_updates_both_places_of_a_tie() -> None:
    net = cleared(Tied())
    weights = fresh(net)

    net.substitute_from_list(weights)

    assert net.encoder.weight is net.decoder.weight is weights[0]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda ws: ws[:-1], r"expected 4 tensors.*got 3; none was given for: 2\.bias"),
        (lambda ws: [*ws, torch.randn(1)], r"expected 4 tensors.*got 5"),
        (lambda ws: [], r"expected 4 tensors.*got 0"),
        (lambda ws: [torch.randn(2), *ws[1:]], r"0\.weight must have shape \(4, 3\), got \(2,\)"),
        (lambda ws: [None, *ws[1:]], r"0\.weight must be a tensor, got NoneType"),
        (lambda ws: [*ws[:3], [1.0, 2.0]], r"2\.bias must be a tensor, got list"),
    ],
    ids=["few", "many", "none", "shape", "None", "list"],
)
def test_a_bad_list_is_an_error_and_changes_nothing(change, message: str) -> None:
    net = cleared(mlp())
    before = held(net)

    with pytest.raises(SubstitutionError, match=message):
        net.substitute_from_list(change(fresh(net)))

    assert held(net) == before


@pytest.mark.parametrize("shape", [(4,), (1, 4), (4, 1), (1,), ()])
def test_a_shape_that_would_broadcast_is_an_error(shape: tuple[int, ...]) -> None:
    net = cleared(nn.Linear(3, 1))
    spoilt = torch.randn(shape)

    with pytest.raises(SubstitutionError, match=r"weight must have shape \(1, 3\), got"):
        net.substitute({"weight": spoilt, "bias": torch.randn(1)})


def test_all_wrong_shapes_are_listed() -> None:
    net = cleared(mlp())

    with pytest.raises(SubstitutionError, match=r"(?s)0\.weight.*0\.bias.*2\.weight.*2\.bias"):
        net.substitute_from_list([torch.randn(7) for _ in range(4)])


def test_a_mix_of_dtypes_is_an_error_that_says_which_is_which() -> None:
    net = cleared(nn.Linear(3, 2))

    with pytest.raises(
        SubstitutionError,
        match=r"torch\.float32 on cpu \(weight\) and torch\.float64 on cpu \(bias\).*\.to\(\)",
    ):
        net.substitute_from_list([torch.randn(2, 3, dtype=torch.float32), torch.randn(2)])


def test_not_strict_refuses_a_mix_of_dtypes_too() -> None:
    net = cleared(nn.Linear(3, 2))

    with pytest.raises(SubstitutionError, match=r"torch\.float32"):
        net.substitute({"weight": torch.randn(2, 3, dtype=torch.float32)}, strict=False)


def test_all_dependents_may_change_their_dtype_together() -> None:
    net = cleared(nn.Linear(3, 2))

    net.substitute_from_list([w.float() for w in fresh(net)])

    assert net(inputs().float()).dtype is torch.float32


def test_T87_a_tensor_like_object_may_be_substituted() -> None:
    class Wrapped:
        def __init__(self, tensor: Tensor) -> None:
            self.tensor = tensor

        @property
        def shape(self) -> torch.Size:
            return self.tensor.shape

        @classmethod
        def __torch_function__(cls, function, types, args=(), kwargs=None):
            plain = [a.tensor if isinstance(a, cls) else a for a in args]
            return function(*plain, **(kwargs or {}))

    net, x = cleared(nn.Linear(3, 2)), inputs()
    weight, bias = fresh(net)

    net.substitute_from_list([Wrapped(weight), bias])

    assert same(net(x), x @ weight.T + bias)
