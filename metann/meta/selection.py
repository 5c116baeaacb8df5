"""Which parameters of a model adapt to a task; the others stay as they are, and may be meta-trained."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass

from torch import Tensor, nn

from metann.errors import SubstitutionError

Filter = Callable[[nn.Module], bool]


def every_module(module: nn.Module) -> bool:
    """The filter that lets all parameters adapt."""
    return isinstance(module, nn.Module)


@dataclass(frozen=True)
class Selection:
    """A choice of parameters, made anew in each call: a model may be frozen in parts meanwhile.

    Attributes:
        clear_filter: of the modules whose own parameters adapt.
        names: of parameters, or of submodules with all that is in them; None for all.
    """

    clear_filter: Filter = every_module
    names: Collection[str] | None = None

    def __call__(self, model: nn.Module) -> dict[str, Tensor]:
        """The parameters that adapt, by name, in the order of `model.named_parameters()`.

        A frozen parameter, one with `requires_grad=False`, does not.

        Raises:
            SubstitutionError: a name is unknown, or nothing is left to adapt.
        """
        named = dict(model.named_parameters())
        if self.names is not None:
            self._require_known(model, named)
        chosen = named
        if self.names is not None or self.clear_filter is not every_module:
            chosen = self._chosen(model, named)
        adapting = {name: tensor for name, tensor in chosen.items() if tensor.requires_grad}
        if not adapting:
            raise SubstitutionError(
                f"{type(model).__name__} has no parameter that adapts: {len(named)} in all, "
                f"{len(chosen)} chosen, none of these requires a gradient. Choose others by "
                "clear_filter or names, or unfreeze them with requires_grad_()."
            )
        return adapting

    def _chosen(self, model: nn.Module, named: dict[str, nn.Parameter]) -> dict[str, nn.Parameter]:
        """By identity: a tied weight adapts if one of its places is chosen."""
        identities: set[int] = set()
        for path, module in model.named_modules(remove_duplicate=False):
            if self.clear_filter(module):
                identities.update(
                    id(parameter)
                    for name, parameter in module.named_parameters(path, recurse=False)
                    if self._is_named(name)
                )
        return {name: tensor for name, tensor in named.items() if id(tensor) in identities}

    def _is_named(self, name: str) -> bool:
        if self.names is None:
            return True
        return any(name == chosen or name.startswith(f"{chosen}.") for chosen in self.names)

    def _require_known(self, model: nn.Module, named: dict[str, nn.Parameter]) -> None:
        modules = {path for path, _ in model.named_modules(remove_duplicate=False)}
        every = dict(model.named_parameters(remove_duplicate=False))
        unknown = [name for name in self.names or () if name not in every and name not in modules]
        if unknown:
            raise SubstitutionError(
                f"names of what adapts: {type(model).__name__} has no parameter or submodule "
                f"{', '.join(map(repr, unknown))}; its parameters are "
                f"{', '.join(named)}. Name these, or submodules of it."
            )
