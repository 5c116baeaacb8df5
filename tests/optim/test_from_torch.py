"""From an optimiser of torch to ours: its groups, its options, its state."""

from __future__ import annotations

import copy
from collections.abc import Iterable
from typing import Any

import pytest
import torch
from optimizers import ROWS, Row
from torch import Tensor, nn

from metann import optim
from metann.errors import ArgumentError, OptimizerError

SHAPES = (3, 2), (2, 2), (4, 3)
KINDS = [*(row for row in ROWS if row.name != "SGD" or "nesterov" not in row.options)]
OTHERS = {"lr": 0.03, "weight_decay": 0.2, "eps": 0.02}  # for the second group


def parameters() -> list[nn.Parameter]:
    return [nn.Parameter(torch.randn(shape)) for shape in SHAPES]


def settings_of(row: Row) -> dict[str, Any]:
    """Options that are not the defaults, with each flag on."""
    return {**row.learnable, **{name: values[-1] for name, values in row.options.items()}}


def assert_same_steps(
    theirs: torch.optim.Optimizer,
    params: list[nn.Parameter],
    ours: optim.Optimizer,
    state: optim.State,
    tolerance: float = 1e-12,
) -> optim.State:
    """Both take five steps, in which the second parameter has no gradient now and then."""
    moved: list[Tensor] = [param.detach().clone() for param in params]
    for step in range(5):
        grads = [None if (step, i) == (2, 1) else torch.randn_like(p) for i, p in enumerate(params)]
        for param, grad in zip(params, grads, strict=True):
            param.grad = None if grad is None else grad.clone()
        theirs.step()
        moved, state = ours.step(moved, grads, state)
    expected = [param.detach() for param in params]
    torch.testing.assert_close(moved, expected, rtol=tolerance, atol=tolerance)
    return state


def take_steps(optimizer: torch.optim.Optimizer, params: Iterable[nn.Parameter], n: int) -> None:
    for _ in range(n):
        for param in params:
            param.grad = torch.randn_like(param)
        optimizer.step()


@pytest.mark.parametrize("done", [0, 1, 4])
@pytest.mark.parametrize("row", KINDS, ids=str)
def test_T28_the_state_continues_where_the_optimizer_stands(row: Row, done: int) -> None:
    params = parameters()
    theirs = row.theirs(params, **settings_of(row))
    take_steps(theirs, params, done)

    ours, state = optim.from_torch(theirs)

    assert type(ours) is row.ours
    assert state.count == (0 if row.name == "SGD" else done)
    assert_same_steps(theirs, params, ours, state)


@pytest.mark.parametrize("done", [0, 2])
def test_T28_muon(done: int) -> None:
    params = parameters()
    theirs = torch.optim.Muon(params, lr=0.1, nesterov=False, adjust_lr_fn="match_rms_adamw")
    take_steps(theirs, params, done)

    assert_same_steps(theirs, params, *optim.from_torch(theirs))


@pytest.mark.parametrize("row", KINDS, ids=str)
def test_groups_become_values_for_each_parameter(row: Row) -> None:
    params = parameters()
    settings = settings_of(row)
    own = {
        name: OTHERS[name]
        for name in settings
        if isinstance(settings[name], float) and name in OTHERS
    }
    own.update({n: tuple(v * 0.9 for v in settings[n]) for n in ("betas", "etas") if n in settings})
    theirs = row.theirs([{"params": params[:2]}, {"params": params[2:], **own}], **settings)
    take_steps(theirs, params, 2)

    ours, state = optim.from_torch(theirs)

    assert ours.lr == [settings["lr"], settings["lr"], 0.03]
    assert_same_steps(theirs, params, ours, state)


@pytest.mark.parametrize("row", KINDS, ids=str)
def test_neither_sees_what_the_other_does_later(row: Row) -> None:
    params = parameters()
    theirs = row.theirs(params, **settings_of(row))
    take_steps(theirs, params, 2)
    before = copy.deepcopy(theirs.state_dict())

    ours, state = optim.from_torch(theirs)
    kept = copy.deepcopy(state)
    ours.step([*params], [torch.randn_like(param) for param in params], state)

    assert_same_tensors(theirs.state_dict(), before)
    take_steps(theirs, params, 1)
    assert_same_tensors(state, kept)
    assert not any(
        t.requires_grad for column in state.slots.values() for t in column if t is not None
    )


def assert_same_tensors(found: Any, expected: Any) -> None:
    leaves = [torch.utils._pytree.tree_leaves(tree) for tree in (found, expected)]
    torch.testing.assert_close(*leaves, rtol=0.0, atol=0.0)


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adafactor"])
def test_T12_frozen_parameters_and_those_without_a_state(name: str) -> None:
    """Only the first has been given gradients; the last is frozen."""
    params = parameters()
    params[2].requires_grad_(False)
    theirs = getattr(torch.optim, name)(params, lr=0.1)
    take_steps(theirs, params[:1], 3)

    ours, state = optim.from_torch(theirs)

    assert name == "SGD" or state.steps == (3, 0, 0)
    moved: list[Tensor] = [param.detach().clone() for param in params]
    grads = [torch.randn(3, 2), torch.randn(2, 2), None]
    for param, grad in zip(params, grads, strict=True):
        param.grad = grad
    theirs.step()
    stepped, _ = ours.step(moved, grads, state)
    torch.testing.assert_close(stepped, [p.detach() for p in params], rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize(
    "form", [torch.tensor(2.0), torch.tensor(2.0, dtype=torch.float32), torch.tensor(2), 2, 2.0]
)
def test_T28_numbers_of_steps_in_any_form(form: Any) -> None:
    """Versions of torch have kept them in different ways, and checkpoints last."""
    params = parameters()
    theirs = torch.optim.Adam(params, lr=0.1)
    take_steps(theirs, params, 2)
    for state in theirs.state.values():
        state["step"] = form

    _, state = optim.from_torch(theirs)

    assert state.steps == (2, 2, 2)
    assert all(isinstance(steps, int) for steps in state.steps)


def test_a_learning_rate_in_a_tensor() -> None:
    params = parameters()
    lr, learned = torch.tensor([0.1]), torch.tensor(0.3, requires_grad=True)
    theirs = torch.optim.SGD([{"params": params[:1]}, {"params": params[1:], "lr": learned}], lr=lr)

    ours, state = optim.from_torch(theirs)
    lr.fill_(7.0)
    stepped, _ = ours.step([*params], [torch.ones(shape) for shape in SHAPES], state)

    torch.testing.assert_close(stepped[0], params[0] - 0.1)
    (slope,) = torch.autograd.grad(stepped[1].sum(), learned)
    torch.testing.assert_close(slope, torch.tensor(-4.0))


def test_a_learning_rate_that_is_a_parameter_is_to_be_learned() -> None:
    lr = nn.Parameter(torch.tensor(0.1))

    ours, _ = optim.from_torch(torch.optim.SGD(parameters(), lr=lr))

    assert ours.hyper_parameters() == {"lr": lr}


def test_what_a_scheduler_has_set_holds() -> None:
    params = parameters()
    theirs = torch.optim.Adam(params, lr=0.1)
    scheduler = torch.optim.lr_scheduler.ExponentialLR(theirs, 0.5)
    take_steps(theirs, params, 1)
    scheduler.step()

    ours, state = optim.from_torch(theirs)

    assert ours.lr == 0.05
    assert_same_steps(theirs, params, ours, state)


def test_single_precision_continues_in_single_precision() -> None:
    params = [nn.Parameter(torch.randn(3, dtype=torch.float32))]
    theirs = torch.optim.NAdam(params, lr=0.1)  # whose product of momenta is a tensor of its own
    take_steps(theirs, params, 2)

    ours, state = optim.from_torch(theirs)

    state = assert_same_steps(theirs, params, ours, state, 1e-5)
    assert all(column[0].dtype == torch.float32 for column in state.slots.values())


@pytest.mark.parametrize("how", ["foreach", "capturable"])
def test_how_torch_computes_is_no_matter(how: str) -> None:
    params = parameters()
    theirs = torch.optim.Adam(params, lr=0.1, **{"foreach": True} if how == "foreach" else {})
    theirs.param_groups[0]["capturable"] = False

    assert_same_steps(theirs, params, *optim.from_torch(theirs))


# ── what is refused ──────────────────────────────────────────────────────────────────────────

SUPPORTED = (
    "SGD, Adam, AdamW, NAdam, RAdam, Adamax, Adagrad, Adadelta, RMSprop, ASGD, Rprop, "
    "Adafactor, Muon"
)


def test_T26_another_class_is_refused_with_the_list_of_those_supported() -> None:
    theirs = torch.optim.SparseAdam(parameters())

    message = (
        rf"^from_torch knows these classes of torch\.optim: {SUPPORTED}; got an object of "
        r"torch\.optim\..*SparseAdam\. Take one of them, or write a subclass of metann\.optim\.Opt"
    )
    with pytest.raises(ArgumentError, match=message):
        optim.from_torch(theirs)


def test_T26_lbfgs_is_refused_with_the_reason() -> None:
    with pytest.raises(ArgumentError, match=r"LBFGS calls the model itself, .* its result impl"):
        optim.from_torch(torch.optim.LBFGS(parameters()))


def test_T26_a_class_of_ones_own_may_do_anything() -> None:
    class Mine(torch.optim.SGD):
        pass

    with pytest.raises(ArgumentError, match=r"got an object of .*Mine\. Take one of them"):
        optim.from_torch(Mine(parameters(), lr=0.1))


def test_what_is_no_optimizer_is_refused() -> None:
    with pytest.raises(ArgumentError, match=r"got an object of builtins\.list\. Take one"):
        optim.from_torch([])  # type: ignore[arg-type]


def test_groups_that_differ_in_an_option_for_all_are_refused() -> None:
    one, two, three = parameters()
    theirs = torch.optim.Adam([{"params": [one, two]}, {"params": [three], "amsgrad": True}])

    message = r"have the same amsgrad, but .* have False, True\. Make an optimiser for each of the"
    with pytest.raises(OptimizerError, match=message):
        optim.from_torch(theirs)


def test_an_option_that_is_unknown_is_refused() -> None:
    theirs = torch.optim.SGD(parameters(), lr=0.1)
    theirs.defaults["lookahead"] = theirs.param_groups[0]["lookahead"] = 3

    message = r"not know what these options of torch\.optim\.SGD do: lookahead\. They came with"
    with pytest.raises(OptimizerError, match=message):
        optim.from_torch(theirs)


def test_an_option_that_a_class_sets_by_itself_is_not_overlooked() -> None:
    theirs = torch.optim.AdamW(parameters())
    theirs.param_groups[0]["decoupled_weight_decay"] = False

    message = r"decoupled_weight_decay of AdamW is True, but .* has False\. Give an optimiser of"
    with pytest.raises(OptimizerError, match=message):
        optim.from_torch(theirs)


@pytest.mark.parametrize("kind", ["register_step_pre_hook", "register_step_post_hook"])
def test_hooks_are_refused(kind: str) -> None:
    theirs = torch.optim.SGD(parameters(), lr=0.1)
    getattr(theirs, kind)(print)

    with pytest.raises(OptimizerError, match=r"this SGD calls 1 of your hooks\. Remove them; what"):
        optim.from_torch(theirs)
