"""`SubDict`: a live view of some keys of another mapping."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import MutableMapping

import pytest

from metann.utils import SubDict


def letters() -> OrderedDict[str, int]:
    return OrderedDict(a=1, b=2, c=3)


def test_the_documented_sample_works() -> None:
    super_dict = OrderedDict(a=1, b=2, c=3)

    sub_dict = SubDict(super_dict, keys=["a", "b"])

    assert dict(sub_dict) == {"a": 1, "b": 2}


def test_it_is_a_mutable_mapping() -> None:
    assert isinstance(SubDict(letters()), MutableMapping)


def test_setting_a_key_of_the_view_sets_it_in_the_super_dict() -> None:
    super_dict = letters()

    SubDict(super_dict, ["a"])["a"] = 10

    assert super_dict == {"a": 10, "b": 2, "c": 3}


def test_setting_a_new_key_adds_it_to_both() -> None:
    super_dict = letters()
    view = SubDict(super_dict, ["a"])

    view["d"] = 4

    assert super_dict["d"] == 4
    assert list(view) == ["a", "d"]


def test_deleting_a_key_of_the_view_deletes_it_in_the_super_dict() -> None:
    super_dict = letters()
    view = SubDict(super_dict, ["a", "b"])

    del view["a"]

    assert (dict(view), dict(super_dict)) == ({"b": 2}, {"b": 2, "c": 3})


def test_the_view_is_live() -> None:
    super_dict = letters()
    view = SubDict(super_dict, ["a"])

    super_dict["a"] = 7

    assert view["a"] == 7


def test_the_order_is_that_of_the_super_dict_when_asked() -> None:
    assert list(SubDict(letters(), ["c", "a"], keep_order=True)) == ["a", "c"]
    assert list(SubDict(letters(), ["c", "a"])) == ["a", "c"]


def test_the_order_is_that_of_the_keys_otherwise() -> None:
    assert list(SubDict(letters(), ["c", "a"], keep_order=False)) == ["c", "a"]


@pytest.mark.parametrize("keep_order", [True, False])
def test_keys_values_items_and_length_agree(keep_order: bool) -> None:
    view = SubDict(letters(), ["c", "a"], keep_order)

    assert list(view.items()) == list(zip(view.keys(), view.values(), strict=True))
    assert len(view) == len(list(view)) == 2


def test_a_key_outside_of_the_view_cannot_be_read_or_deleted() -> None:
    super_dict = letters()
    view = SubDict(super_dict, ["a"])

    with pytest.raises(KeyError, match="b"):
        view["b"]
    with pytest.raises(KeyError, match="b"):
        del view["b"]
    assert "b" not in view
    assert "b" in super_dict


def test_a_key_that_the_super_dict_does_not_hold_is_not_in_the_view() -> None:
    view = SubDict(letters(), ["a", "z"])

    assert "z" not in view
    assert len(view) == 1
    with pytest.raises(KeyError, match="z"):
        view["z"]


def test_a_key_that_appears_in_the_super_dict_later_is_in_the_view() -> None:
    super_dict = letters()
    view = SubDict(super_dict, ["a", "z"])

    super_dict["z"] = 26

    assert dict(view) == {"a": 1, "z": 26}


def test_T14_views_do_not_share_their_default_keys() -> None:
    one, two = SubDict(letters()), SubDict(letters())

    one["x"] = 1

    assert "x" not in two
    assert len(SubDict(letters())) == 0


def test_T14_the_list_of_keys_given_is_not_changed() -> None:
    keys = ["a"]

    SubDict(letters(), keys)["d"] = 4

    assert keys == ["a"]


def test_T14_changing_the_list_of_keys_afterwards_changes_nothing() -> None:
    keys = ["a"]
    view = SubDict(letters(), keys)

    keys.append("b")

    assert list(view) == ["a"]


def test_T14_asking_for_the_length_has_no_side_effect() -> None:
    super_dict = letters()
    view = SubDict(super_dict, ["a", "b"])
    del super_dict["a"]

    lengths = len(view), len(view)
    super_dict["a"] = 5

    assert lengths == (1, 1)
    assert dict(view) == {"a": 5, "b": 2}


@pytest.mark.parametrize("keep_order", [True, False])
def test_T14_setting_values_while_iterating_is_possible(keep_order: bool) -> None:
    super_dict = letters()
    view = SubDict(super_dict, ["a", "b"], keep_order)

    for key in view:
        view[key] *= 10

    assert super_dict == {"a": 10, "b": 20, "c": 3}


def test_T14_adding_keys_to_the_super_dict_while_iterating_is_an_error_as_for_a_dict() -> None:
    super_dict = letters()
    view = SubDict(super_dict, ["a", "b"])

    def add_keys() -> None:
        for key in view:
            super_dict[key + "!"] = 0

    with pytest.raises(RuntimeError, match=r"mutated during iteration|changed size"):
        add_keys()


def test_repeated_keys_count_once() -> None:
    view = SubDict(letters(), ["a", "a"], keep_order=False)

    assert (list(view), len(view)) == (["a"], 1)


def test_keys_may_be_a_generator() -> None:
    assert list(SubDict(letters(), (key for key in "ab"))) == ["a", "b"]


def test_update_keys_drops_keys_that_the_super_dict_lost() -> None:
    super_dict = letters()
    view = SubDict(super_dict, ["a", "b"])
    del super_dict["a"]

    view.update_keys()
    super_dict["a"] = 3

    assert list(view) == ["b"]


def test_update_keys_with_keys_replaces_them() -> None:
    view = SubDict(letters(), ["a"])

    view.update_keys(["b", "c"])

    assert dict(view) == {"b": 2, "c": 3}


def test_the_methods_of_mutable_mappings_work() -> None:
    super_dict = letters()
    view = SubDict(super_dict, ["a", "b"])

    view.update({"a": 5, "e": 6})
    popped = view.pop("b")
    default = view.setdefault("f", 7)

    assert (popped, default) == (2, 7)
    assert super_dict == {"a": 5, "c": 3, "e": 6, "f": 7}


def test_clear_deletes_only_the_keys_of_the_view() -> None:
    super_dict = letters()

    SubDict(super_dict, ["a", "b"]).clear()

    assert super_dict == {"c": 3}


def test_it_compares_and_prints_as_what_it_shows() -> None:
    view = SubDict(letters(), ["b", "a"])

    assert view == {"a": 1, "b": 2}
    assert repr(view) == "SubDict({'a': 1, 'b': 2})"


def test_a_view_of_a_view_works() -> None:
    super_dict = letters()

    SubDict(SubDict(super_dict, ["a", "b"]), ["a"])["a"] = 9

    assert super_dict["a"] == 9
