"""Which parameters of a model adapt to a task; the others stay, and may be meta-trained."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from torch import Tensor, nn

from metann.errors import SubstitutionError
from metann.tree import walk

Filter = Callable[[nn.Module], bool]


def every_module(module: nn.Module) -> bool:  # noqa: ARG001
    """The filter that lets all parameters adapt."""
    return True


@dataclass(frozen=True)
class Selection:
    """A choice of parameters, made anew in each call: a model may be frozen in parts meanwhile.

    Attributes:
        clear_filter: of the modules whose own parameters adapt.
        names: of parameters, or of submodules with all that is in them; None for all. A string is
            one name.
    """

    clear_filter: Filter = every_module
    names: Collection[str] | None = None

    def __post_init__(self) -> None:
        """A string is a collection, of its letters."""
        if isinstance(self.names, str):
            object.__setattr__(self, "names", (self.names,))

    def __call__(self, model: nn.Module) -> dict[str, Tensor]:
        """The parameters that adapt, by name, in the order of `model.named_parameters()`.

        A frozen parameter, one with `requires_grad=False`, does not.

        Raises:
            SubstitutionError: a name is unknown, or nothing is left to adapt.
        """
        named = dict(model.named_parameters())
        if self.names is not None:
            self._require_known(model)
        chosen = named
        if self.names is not None or self.clear_filter is not every_module:
            chosen = self._chosen(model, named)
        adapting: dict[str, Tensor] = {
            name: tensor for name, tensor in chosen.items() if tensor.requires_grad
        }
        if not adapting:
            raise SubstitutionError(
                f"{type(model).__name__} has no parameter that adapts: {len(named)} in all, "
                f"{len(chosen)} chosen, none of these requires a gradient. Choose others by "
                "clear_filter or names, or unfreeze them with requires_grad_()."
            )
        return adapting

    def _chosen(self, model: nn.Module, named: dict[str, nn.Parameter]) -> dict[str, nn.Parameter]:
        """By identity: a tied weight adapts if one of its places is chosen."""
        let_through = {
            id(parameter)
            for _, module in walk(model)
            if self.clear_filter(module)
            for parameter in module.parameters(recurse=False)
        }
        if self.names is not None:
            let_through &= {
                id(parameter)
                for name, parameter in model.named_parameters(remove_duplicate=False)
                if not _with_parents(name).isdisjoint(self.names)
            }
        return {name: tensor for name, tensor in named.items() if id(tensor) in let_through}

    def _require_known(self, model: nn.Module) -> None:
        every = dict(model.named_parameters(remove_duplicate=False))
        known = {name for own in every for name in _with_parents(own)}
        unknown = [name for name in self.names or () if name not in known]
        if unknown:
            raise SubstitutionError(
                f"names of what adapts: no parameter of {type(model).__name__}, and no submodule "
                f"with parameters, is called {', '.join(map(repr, unknown))}; the parameters are "
                f"{', '.join(every)}. Name these, or submodules that they are in."
            )


def _with_parents(name: str) -> set[str]:
    """Example: "encoder.0.weight" -> {"encoder", "encoder.0", "encoder.0.weight"}."""
    parts = name.split(".")
    return {".".join(parts[:length]) for length in range(1, len(parts) + 1)}
