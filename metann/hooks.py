"""Hooks that belong to one instance.

A functional call builds a fresh instance of the model, which fires the hooks of the original.
Copying ten hook tables a module would cost more than the rest of the rebuild, so the instance
borrows them, and makes them its own just before one is added to it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from torch import nn

if TYPE_CHECKING:
    from collections.abc import Callable

    from torch.utils.hooks import RemovableHandle

OWNS_HOOKS = "_owns_hooks"
HOOK_TABLES = (
    "_forward_pre_hooks",
    "_forward_hooks",
    "_backward_pre_hooks",
    "_backward_hooks",
    "_forward_hooks_with_kwargs",
    "_forward_hooks_always_called",
    "_forward_pre_hooks_with_kwargs",
    "_state_dict_hooks",
    "_state_dict_pre_hooks",
    "_load_state_dict_pre_hooks",
    "_load_state_dict_post_hooks",
)


def own_hooks(module: nn.Module) -> None:
    """Give `module` hook tables, and a table of non-persistent buffers, of its own."""
    state = module.__dict__
    for table in (*HOOK_TABLES, "_non_persistent_buffers_set"):
        if table in state:
            state[table] = state[table].copy()
    state[OWNS_HOOKS] = True


class OwnHooks(nn.Module):
    """Makes borrowed hook tables the module's own before the first hook is added."""

    def _own(self) -> None:
        if OWNS_HOOKS not in self.__dict__:
            own_hooks(self)

    def register_buffer(self, name: str, tensor: Any, persistent: bool = True) -> None:
        """As `nn.Module.register_buffer`."""
        self._own()
        super().register_buffer(name, tensor, persistent)

    def register_forward_pre_hook(self, *args: Any, **kwargs: Any) -> RemovableHandle:
        """As `nn.Module.register_forward_pre_hook`; the original does not get the hook."""
        self._own()
        return super().register_forward_pre_hook(*args, **kwargs)

    def register_forward_hook(self, *args: Any, **kwargs: Any) -> RemovableHandle:
        """As `nn.Module.register_forward_hook`; the original does not get the hook."""
        self._own()
        return super().register_forward_hook(*args, **kwargs)

    def register_full_backward_pre_hook(self, *args: Any, **kwargs: Any) -> RemovableHandle:
        """As `nn.Module.register_full_backward_pre_hook`; the original does not get the hook."""
        self._own()
        return super().register_full_backward_pre_hook(*args, **kwargs)

    def register_full_backward_hook(self, *args: Any, **kwargs: Any) -> RemovableHandle:
        """As `nn.Module.register_full_backward_hook`; the original does not get the hook."""
        self._own()
        return super().register_full_backward_hook(*args, **kwargs)

    def register_backward_hook(self, *args: Any, **kwargs: Any) -> RemovableHandle:
        """As `nn.Module.register_backward_hook`; the original does not get the hook."""
        self._own()
        return super().register_backward_hook(*args, **kwargs)

    # torch gives these no types.

    def register_state_dict_pre_hook(self, hook: Callable[..., Any]) -> Any:
        """As `nn.Module.register_state_dict_pre_hook`; the original does not get the hook."""
        self._own()
        parent: Any = super()
        return parent.register_state_dict_pre_hook(hook)

    def register_state_dict_post_hook(self, hook: Callable[..., Any]) -> Any:
        """As `nn.Module.register_state_dict_post_hook`; the original does not get the hook."""
        self._own()
        parent: Any = super()
        return parent.register_state_dict_post_hook(hook)

    def _register_state_dict_hook(self, hook: Callable[..., Any]) -> Any:
        self._own()
        parent: Any = super()
        return parent._register_state_dict_hook(hook)

    def _register_load_state_dict_pre_hook(self, *args: Any, **kwargs: Any) -> Any:
        # `register_load_state_dict_pre_hook` comes through here too.
        self._own()
        parent: Any = super()
        return parent._register_load_state_dict_pre_hook(*args, **kwargs)

    def register_load_state_dict_post_hook(self, hook: Callable[..., Any]) -> Any:
        """As `nn.Module.register_load_state_dict_post_hook`; the original does not get it."""
        self._own()
        parent: Any = super()
        return parent.register_load_state_dict_post_hook(hook)
