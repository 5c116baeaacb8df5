"""`FunctionalModule`: a model with fast weights, and with those that it had before."""

from __future__ import annotations

import copy
import functools
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from torch import Tensor, nn

from metann.compat.calling import called, forwarded, planned
from metann.errors import CompatError
from metann.functional.transforms import in_any_transform
from metann.learner import Learner
from metann.module import DependentModule
from metann.places import places_of

ModuleT_co = TypeVar("ModuleT_co", bound=nn.Module, covariant=True)

# Methods of a module that return the module itself.
_CHAINED = {"train", "eval", "requires_grad_", "apply", "to", "to_empty", "cpu", "cuda", "type"} | {
    "double",
    "float",
    "half",
    "bfloat16",
}
# Attributes that are not the model's.
_OWN = {"_model", "_learner", "_history", "_tracks", "is_linked"}


class FunctionalModule(Generic[ModuleT_co]):
    """A model whose weights are given to it, and which remembers those that it was given.

    Made by `monkeypatch`, `innerloop_ctx` or `patch.make_functional`. In everything else it is the
    counterpart of the module that it was made from: attributes, submodules, hooks, modes; and
    `isinstance` takes it for a module of that class. The module itself is never touched.

    A call, or `forward`, works on an instance of its own, so that activation checkpointing finds
    the weights of that call again; what the call changes besides weights is then taken over. Other
    methods, submodules and `module` compute with what is there: checkpointing in them would find
    the latest weights. `Learner(fmodel.module).bind(fmodel.fast_params)` is an instance to keep.

    Attributes:
        is_linked: the first weights have a graph to the module's own.

    Source: `higher.patch`, version 0.2.1.
    """

    def __init__(self, module: nn.Module | FunctionalModule[Any]) -> None:
        # `isinstance` takes either for a module.
        whole: Any = vars(module)["_model"] if type(module) is FunctionalModule else module
        self._model: DependentModule = DependentModule.stateless(whole)
        self._learner: Learner[DependentModule] = planned(self._model)
        self._history: list[list[Tensor]] = []
        self._tracks: bool = True
        self.is_linked: bool = False

    # ── calls ────────────────────────────────────────────────────────────────────────────────

    def __call__(self, *args: Any, params: Iterable[Tensor] | None = None, **kwargs: Any) -> Any:
        """Call the model.

        Args:
            args: passed on to the model.
            params: weights in the order of `parameters()`. They become the fast weights, but
                inside a transform of torch.func, where they are those of this call alone.
            kwargs: passed on to the model.

        Raises:
            CompatError: a `ValueError`; there are no fast weights, and none are given.
            SubstitutionError: a `ValueError`; `params` do not fit.
        """
        given = None if params is None else [*params]
        if given is not None and not in_any_transform():
            self.update_params(given)
        weights = self._required() if given is None else given
        return called(self._learner, weights, args, kwargs)

    def _required(self) -> list[Tensor]:
        weights = self.fast_params
        if weights is None:
            raise CompatError(
                "This functional module has no fast weights yet, and a call needs some. Give them: "
                "fmodel(x, params=...), or make it by monkeypatch(module)."
            )
        return weights

    # ── weights ──────────────────────────────────────────────────────────────────────────────

    def parameters(self, recurse: bool = True, time: int | None = None) -> Iterator[Tensor]:
        """Iterate over fast weights.

        Args:
            recurse: those of submodules, too.
            time: after so many updates; the latest by default, and counted from there if negative.

        Raises:
            CompatError: a `ValueError`; there are none of that time, or none at all.
        """
        self._required()
        history = self._history
        index = -1 if time is None or (time == 0 and not self._tracks) else time
        if not -len(history) <= index < len(history):
            raise CompatError(
                f"There are no weights of time {time}: {len(history)} sets are remembered"
                + ("." if self._tracks else ", the latest, as track_higher_grads is False.")
                + " Ask for a time among these, or track higher gradients."
            )
        if recurse:
            return iter(history[index])
        names = [name for name, _ in self._model.named_dependents()]
        pairs = zip(names, history[index], strict=True)
        return iter([weight for name, weight in pairs if "." not in name])

    @property
    def fast_params(self) -> list[Tensor] | None:
        """The fast weights in the order of the module's parameters, None if there are none.

        Those assigned to an attribute, `fmodel.linear.weight = w`, are among them. Assigning a
        list is `update_params`.
        """
        if not self._history:
            return None
        latest, places = self._history[-1], places_of(self._model)
        found = zip(places.tables, places.names, places.order, strict=True)
        assigned: dict[int, Tensor] = {
            index: table[name] for table, name, index in found if table[name] is not latest[index]
        }
        if assigned:
            self.update_params(assigned.get(index, old) for index, old in enumerate(latest))
        return self._history[-1]

    @fast_params.setter
    def fast_params(self, value: Iterable[Tensor]) -> None:
        self.update_params(value)

    @property
    def init_fast_params(self) -> list[Tensor]:
        """The first fast weights.

        Raises:
            CompatError: a `ValueError`; they are not remembered.
        """
        if not self._tracks:
            raise CompatError(
                "The first fast weights are not remembered, as track_higher_grads is False. "
                "Leave it True, or keep them yourself: first = fmodel.fast_params."
            )
        self._required()
        return self._history[0]

    def update_params(self, params: Iterable[Tensor]) -> None:
        """Make these the fast weights.

        Args:
            params: in the order of the module's parameters, of the same shapes.

        Raises:
            SubstitutionError: a `ValueError`; they do not fit, and nothing has changed.
        """
        weights = [*params]
        self._model.substitute_from_list(weights)
        self._history = [*self._history, weights] if self._tracks else [weights]

    @property
    def track_higher_grads(self) -> bool:
        """Whether earlier weights are remembered.

        Raises:
            CompatError: a `ValueError`; something else than True or False is assigned.
        """
        return self._tracks

    @track_higher_grads.setter
    def track_higher_grads(self, value: bool) -> None:
        if not isinstance(cast("object", value), bool):
            raise CompatError(
                f"track_higher_grads must be True or False, got {value!r}. Assign one of these."
            )
        self._tracks = value

    # ── all else is the model's ──────────────────────────────────────────────────────────────

    @property
    def module(self) -> ModuleT_co:
        """The counterpart of the module, with the fast weights as its dependents."""
        return cast("ModuleT_co", self._model)

    if not TYPE_CHECKING:

        @property
        def __class__(self) -> type:
            # What `isinstance` asks for; `type` tells the truth.
            return type(self._model)

    def __getattr__(self, name: str) -> Any:
        if name in _OWN:  # Not before __init__, as in a copy.
            raise AttributeError(name)
        value: Any = getattr(self._model, name)
        if name in _CHAINED and getattr(value, "__self__", None) is self._model:
            return _Chained(self, value)
        return self._forwarding(value) if name == "forward" else value

    def _forwarding(self, forward: Callable[..., Any]) -> Callable[..., Any]:
        """The model's `forward`, on an instance of its own as a call is."""

        @functools.wraps(forward)
        def forwarding(*args: Any, **kwargs: Any) -> Any:
            return forwarded(self._learner, self._required(), args, kwargs)

        return forwarding

    def __setattr__(self, name: str, value: Any) -> None:
        if name in _OWN or isinstance(getattr(FunctionalModule, name, None), property):
            object.__setattr__(self, name, value)
        else:
            setattr(self._model, name, value)

    def __delattr__(self, name: str) -> None:
        delattr(self._model, name)

    def __dir__(self) -> list[str]:
        return sorted({*object.__dir__(self), *dir(self._model)})

    def __repr__(self) -> str:
        return f"FunctionalModule({self._model!r})"

    def __len__(self) -> int:
        return len(cast("Any", self._model))

    def __bool__(self) -> bool:
        return True

    def __iter__(self) -> Iterator[Any]:
        return iter(cast("Any", self._model))

    def __getitem__(self, key: Any) -> Any:
        return cast("Any", self._model)[key]

    def __deepcopy__(self, memo: dict[int, Any]) -> FunctionalModule[ModuleT_co]:
        _ = self.fast_params  # Takes in what was assigned to attributes.
        made: FunctionalModule[ModuleT_co] = FunctionalModule(copy.deepcopy(self._model, memo))
        made.track_higher_grads, made.is_linked = self._tracks, self.is_linked
        for weights in self._history:
            made.update_params([copied(weight, memo) for weight in weights])
        return made


class _Chained:
    """A method of the model that returns the functional module where it would return the model."""

    def __init__(self, owner: FunctionalModule[Any], method: Any) -> None:
        self._owner = owner
        self._method = method

    def __call__(self, *args: Any, **kwargs: Any) -> FunctionalModule[Any]:
        self._method(*args, **kwargs)
        return self._owner


def copied(weight: Tensor, memo: dict[int, Any]) -> Tensor:
    """A copy of a weight, within its graph if it has one."""
    if id(weight) not in memo:
        leaf = weight.detach().clone().requires_grad_(weight.requires_grad)
        memo[id(weight)] = leaf if weight.is_leaf else weight.clone()
    made: Tensor = memo[id(weight)]
    return made
