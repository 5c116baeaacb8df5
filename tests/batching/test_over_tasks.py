"""`over_tasks`: what one call for all tasks gives, in one pass and in a loop."""

from __future__ import annotations

import warnings
import weakref
from collections import UserDict, UserList
from dataclasses import dataclass
from typing import Any, NamedTuple

import pytest
import torch
from torch import Tensor

from metann.batching import How, Way, over_tasks
from metann.errors import ArgumentError, BatchingError, LoopWarning
from metann.functional.slower import SlowerAtOnceError

EVERY_WAY: tuple[How, ...] = ("auto", "vectorised", "loop")
every_way = pytest.mark.parametrize("how", EVERY_WAY)


class State(NamedTuple):
    """As the state of an optimiser."""

    count: int
    slots: dict[str, list[Tensor | None]]


@every_way
def test_one_call_is_one_call_a_task(how: How):
    weights, x = torch.randn(3, 4, 2), torch.randn(3, 5, 2)

    found = over_tasks(torch.nn.functional.linear, x, weights, how=how)

    torch.testing.assert_close(found, torch.stack([x[i] @ weights[i].T for i in range(3)]))


@every_way
def test_pytrees_go_in_and_out_and_what_is_no_tensor_passes_through(how: How):
    state = State(7, {"exp_avg": [torch.randn(3, 2), None]})

    def call(state: State, options: dict[str, Any]) -> tuple[State, dict[str, Any]]:
        (moment, nothing), factor = state.slots["exp_avg"], options["factor"]
        assert nothing is None
        assert moment is not None
        assert moment.shape == (2,)
        return State(state.count + 1, {"exp_avg": [moment * factor, None]}), {"name": "as it is"}

    found, rest = over_tasks(call, state, {"factor": 2.0}, how=how)

    assert isinstance(found, State)
    assert (found.count, rest) == (8, {"name": "as it is"})
    moment, nothing = found.slots["exp_avg"]
    assert nothing is None
    torch.testing.assert_close(moment, 2 * state.slots["exp_avg"][0])


@every_way
def test_what_all_tasks_share_has_no_task_axis(how: How):
    weights, shared = torch.randn(2, 3), torch.randn(2)

    found = over_tasks(lambda w, x: w * x, weights, shared, how=how, in_dims=(1, None))

    torch.testing.assert_close(found, weights.T * shared)


@every_way
def test_a_result_that_depends_on_no_task_is_there_once_for_each(how: How):
    found = over_tasks(lambda _: torch.ones(2), torch.randn(3), how=how)

    torch.testing.assert_close(found, torch.ones(3, 2))


@every_way
def test_gradients_are_taken_outside_to_any_order(how: How):
    weights = torch.randn(3, 4, requires_grad=True)
    x = torch.randn(3, 4)

    def second(losses: Tensor) -> Tensor:
        (gradient,) = torch.autograd.grad(losses.sum(), weights, create_graph=True)
        return torch.autograd.grad(gradient.pow(2).sum(), weights)[0]

    found = second(over_tasks(lambda w, x: (w * x).exp().sum(), weights, x, how=how))

    expected = second(torch.stack([(weights[i] * x[i]).exp().sum() for i in range(3)]))
    torch.testing.assert_close(found, expected)


@every_way
def test_calls_may_nest(how: How):
    x, y = torch.randn(2, 3, 4), torch.randn(2, 4)

    def inner(x: Tensor, y: Tensor) -> Tensor:
        return over_tasks(torch.dot, x, y, how=how, in_dims=(0, None))

    torch.testing.assert_close(over_tasks(inner, x, y, how=how), torch.einsum("tni,ti->tn", x, y))


@every_way
def test_random_numbers_differ_from_task_to_task_or_are_the_same(how: How):
    x = torch.ones(3, 50)

    def dropped(x: Tensor) -> Tensor:
        return torch.nn.functional.dropout(x)

    different = over_tasks(dropped, x, how=how)
    same = over_tasks(dropped, x, how=how, randomness="same")

    assert len({tuple(row.tolist()) for row in different}) == 3
    assert len({tuple(row.tolist()) for row in same}) == 1


def test_what_cannot_be_batched_is_looped_over_and_said_once():
    x = torch.randn(3, 2)

    def read(x: Tensor) -> Tensor:
        return x * x.sum().item()

    with pytest.warns(LoopWarning) as said:
        found = over_tasks(read, x)

    torch.testing.assert_close(found, x * x.sum(1, keepdim=True))
    (warning,) = said
    assert warning.filename == __file__
    message = str(warning.message)
    asked, rest = message.split(", but ")
    reason, remedy = rest.split(". From now on ")
    assert asked == "one pass over 3 tasks was asked for"
    assert reason.startswith(
        "test_what_cannot_be_batched_is_looped_over_and_said_once.<locals>.read"
    )
    assert "vmap: It looks like you're calling .item() on a Tensor" in reason
    assert remedy == (
        "it is called once a task, with the same results. It may stay so: "
        'warnings.simplefilter("ignore", LoopWarning), or tasks="loop" in MAML and how="loop" in '
        "over_tasks."
    )
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        torch.testing.assert_close(over_tasks(read, x), found)


@pytest.mark.parametrize("error", [RuntimeError, SlowerAtOnceError])
def test_what_an_attempt_has_made_is_gone_when_the_loop_begins(error: type[Exception]):
    made: list[weakref.ref[Tensor]] = []
    living: list[bool] = []

    def call(x: Tensor) -> Tensor:
        result = x.sin()
        living.extend(reference() is not None for reference in made)
        made.append(weakref.ref(result))
        if len(made) == 1:
            raise error("not in one pass")
        return x.detach()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LoopWarning)
        over_tasks(call, torch.randn(2, 3))

    assert living == [False, False, False]


def test_a_way_remembers_a_refusal_for_functions_made_anew():
    way, x = Way(), torch.randn(3, 2)
    calls: list[int] = []

    def call() -> Tensor:
        return over_tasks(lambda x: (calls.append(1), x * x.sum().item())[1], x, how=way)

    with pytest.warns(LoopWarning):
        call()
    calls.clear()
    call()

    assert way.loops
    assert len(calls) == 3


def test_vectorised_means_vectorised():
    with pytest.raises(RuntimeError, match=r"calling \.item\(\)"):
        over_tasks(lambda x: x.item() * x, torch.randn(3), how="vectorised")


def test_an_error_of_the_functions_own_is_raised_and_no_way_is_changed():
    way = Way()

    def wrong(x: Tensor) -> Tensor:
        return x @ torch.ones(7)

    with pytest.raises(RuntimeError, match=r"inconsistent tensor size|size mismatch"):
        over_tasks(wrong, torch.randn(3, 2), how=way)

    assert not way.loops


def test_after_an_error_no_transform_is_left_at_work():
    with pytest.raises(ZeroDivisionError):
        over_tasks(lambda x: x / (1 // 0), torch.randn(3))

    assert torch._C._functorch.peek_interpreter_stack() is None


def test_task_axes_of_different_sizes_are_named():
    with pytest.raises(
        BatchingError,
        match=r"^every tensor must have a task axis of the same size, the first unless in_dims "
        r"says another, got 3 in args\[0\]\['w'\] \(3, 2\); 2 in args\[1\]\[0\] \(2,\), "
        r"args\[1\]\[2\] \(2,\), args\[1\]\[3\] \(2,\) and 1 more\. Stack one tensor a task; "
        r"what all tasks share is given as tensor\.expand\(tasks, \*tensor\.shape\), or with None "
        r"in in_dims\.$",
    ):
        over_tasks(
            lambda w, x: w, {"w": torch.ones(3, 2)}, [torch.ones(2), None, *torch.ones(3, 2)]
        )


@pytest.mark.parametrize(
    ("args", "found"),
    [
        ((), "no tensor"),
        ((1, None), "no tensor"),
        ((torch.tensor(1.0),), r"no axis 0 in args\[0\] \(\)"),
    ],
)
def test_no_task_axis_is_an_error(args: tuple[Any, ...], found: str):
    with pytest.raises(BatchingError, match=rf"says another, got {found}\. Stack"):
        over_tasks(lambda *args: args, *args)


def test_axes_are_said_for_all_arguments_or_for_each():
    with pytest.raises(
        ArgumentError,
        match=r"a number or None for each of the 2 arguments, got \(0,\)\. None stands for",
    ):
        over_tasks(lambda w, x: w, torch.ones(3), torch.ones(3), in_dims=(0,))


@dataclass
class Batch:
    """No pytree of torch."""

    x: Tensor


@every_way
def test_tensors_that_cannot_be_seen_are_no_arguments_and_no_results(how: How):
    with pytest.raises(
        BatchingError,
        match=r"must stand in lists, .* got a Batch with tensors in it at args\[1\]\['b'\]\. Give",
    ):
        over_tasks(lambda x, _: x, torch.ones(3), {"b": Batch(torch.ones(3))}, how=how)
    with pytest.raises(
        BatchingError,
        match=r"returned for all tasks must be tensors, .*, got Batch\. Return the tensors",
    ):
        over_tasks(Batch, torch.ones(3), how=how)


class Held:
    """A batch in the attributes of an object."""

    __slots__ = ("batch",)

    def __init__(self, batch: object) -> None:
        self.batch = batch


class Named(dict[str, Tensor]):
    """A dict that is no pytree, as its class is another."""


X = torch.ones(3, 2)
OUT_OF_SIGHT: list[tuple[object, str]] = [
    (
        UserDict(x=X),
        r"UserDict with tensors in it at args\[1\]\[0\]\. Give dict\(\.\.\.\) of it\.$",
    ),
    (Named(x=X), r"Named with tensors in it at args\[1\]\[0\]\. Give dict\("),
    (UserList([X]), r"UserList with tensors in it at args\[1\]\[0\]\. Give its tensors,"),
    (X.numpy(), r"ndarray at args\[1\]\[0\]\. Give torch\.as_tensor\(\.\.\.\) of it\.$"),
    (UserDict(x=X.numpy()), r"UserDict with tensors in it at args\[1\]\[0\]\. Give dict\("),
    (iter([X]), r"list_iterator at args\[1\]\[0\], which one task would use up\. Give list\("),
    ({X}, r"set with tensors in it at args\[1\]\[0\]\. Give its tensors,"),
    (Held(X), r"Held with tensors in it at args\[1\]\[0\]\. Give its tensors,"),
    (Held({"x": [X]}), r"Held with tensors in it at args\[1\]\[0\]\. Give its tensors,"),
    (Held(Held(X)), r"Held with tensors in it at args\[1\]\[0\]\. Give its tensors,"),
]


@every_way
@pytest.mark.parametrize(("hidden", "found"), OUT_OF_SIGHT)
def test_no_task_is_given_the_tensors_of_all(hidden: object, found: str, how: How):
    with pytest.raises(BatchingError, match=rf"must stand in lists, .* pytrees, got a {found}"):
        over_tasks(lambda x, _: x, X, (hidden,), how=how)


@every_way
def test_what_hides_no_tensors_or_is_shared_passes_through(how: How):
    itself = Held(None)
    itself.batch = [itself, UserDict(size=3), range(2), X.numpy()[0, 0], {"a"}]
    shared = UserDict(x=X)

    def call(x: Tensor, settings: Held, shared: UserDict[str, Tensor]) -> Tensor:
        assert settings is itself
        return x * shared["x"].sum()

    found = over_tasks(call, X, itself, shared, how=how, in_dims=(0, 0, None))

    torch.testing.assert_close(found, X * X.sum())


def test_modules_and_functions_are_shared_by_all_tasks():
    net = torch.nn.Linear(2, 2)

    found = over_tasks(lambda net, f, x: f(net(x)), net, torch.sin, torch.ones(3, 2))

    torch.testing.assert_close(found, net(torch.ones(3, 2)).sin())


@pytest.mark.parametrize(("option", "value"), [("how", "vmap"), ("randomness", "error")])
def test_options_that_there_are_not_are_named(option: str, value: str):
    options: dict[str, Any] = {option: value}

    with pytest.raises(ArgumentError, match=rf"{option} must be one of '.*', got '{value}'\. See"):
        over_tasks(lambda x: x, torch.ones(3), **options)


def test_results_of_a_loop_must_fit_on_top_of_each_other():
    x = torch.tensor([[1.0, -1.0], [1.0, 2.0]])

    with pytest.raises(
        BatchingError,
        match=r"must have the same shapes, got \[\(1,\)\] and \[\(2,\)\]\. Return what has one",
    ):
        over_tasks(lambda x: x[x > 0], x, how="loop")
