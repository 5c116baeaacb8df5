"""The other public names: the errors, and SubDict."""

from __future__ import annotations

from torch import Tensor
from typing_extensions import assert_type

import metann
from metann import DependentModule, errors, set_missing_policy
from metann.utils import SubDict


def errors_are_those_of_python_too(net: DependentModule, params: list[Tensor]) -> str:
    try:
        net.substitute_from_list(params)
    except errors.SubstitutionError as error:
        value_error: ValueError = error
        return str(value_error)
    except errors.MetannError as error:
        assert_type(error, errors.MetannError)
    conversion: type[TypeError] = errors.ConversionError
    return conversion.__name__


def a_view_of_a_mapping(params: dict[str, Tensor]) -> None:
    view = SubDict(params, keys=["weight"], keep_order=False)
    assert_type(view, SubDict[str, Tensor])
    assert_type(view["weight"], Tensor)
    assert_type([*view.items()], list[tuple[str, Tensor]])
    view.update_keys()
    view.update_keys(["bias"])


def the_policy() -> None:
    set_missing_policy("error")
    assert_type(metann.__version__, str)
