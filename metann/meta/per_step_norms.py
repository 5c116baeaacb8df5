"""Batch normalizations that have weights and statistics for each inner step."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator, Mapping
from contextlib import contextmanager
from functools import partial

import torch
from torch import Tensor, nn

from metann.meta.selection import Filter
from metann.meta.statistics import BATCH_NORMS, mean
from metann.tree import walk


class PerStepNorms(nn.Module):
    """What stands in the place of the normalizations' weights and statistics at each inner step.

    The weights of the first step are the model's own, those of later steps are parameters here.
    The statistics of all steps are buffers here, and the model's own are never written.

    Args:
        model: any module; without batch normalizations there is nothing to keep.
        steps: how many sets there are; the last one serves all later steps.
        has_weights: keep weights by step; frozen ones apart.
        has_statistics: keep statistics by step.
    """

    def __init__(
        self, model: nn.Module, steps: int, has_weights: bool, has_statistics: bool
    ) -> None:
        super().__init__()
        self.steps = steps
        has_later = has_weights and steps > 1
        weights = dict(_of_norms(model, nn.Module.named_parameters)) if has_later else {}
        weights = {name: weight for name, weight in weights.items() if weight.requires_grad}
        statistics = dict(_of_norms(model, nn.Module.named_buffers)) if has_statistics else {}
        self._weights, self._statistics = tuple(weights), tuple(statistics)
        # For each step: what calls have made of its statistics. None while nothing is recorded.
        self._records: dict[int, list[dict[str, Tensor]]] | None = None
        self.later: nn.ParameterList = nn.ParameterList(
            nn.Parameter(_repeated(weight, steps - 1)) for weight in weights.values()
        )
        self.statistics: nn.Module = nn.Module()
        for number, statistic in enumerate(statistics.values()):
            self.statistics.register_buffer(f"{number}", _repeated(statistic, steps))

    def at(self, step: int) -> dict[str, Tensor]:
        """Weights and statistics of a step, by their names in the model."""
        index = min(step, self.steps - 1)
        named = {name: buffer[index] for name, buffer in self._kept()}
        if index > 0:
            named |= {
                name: later[index - 1]
                for name, later in zip(self._weights, self.later, strict=True)
            }
        return named

    @contextmanager
    def recording(self, records: bool) -> Generator[None, None, None]:
        """At the end, if nothing fails, the statistics become the means of what was recorded."""
        self._records = {} if records else None
        try:
            yield
            for index, calls in (self._records or {}).items():
                for name, buffer in self._kept():
                    buffer[index] = mean(torch.stack([found[name] for found in calls]))
        finally:
            self._records = None

    def record(self, step: int, buffers: Mapping[str, Tensor], has_tasks: bool) -> None:
        """Note what a call in a step has made of the statistics; if of tasks, the mean."""
        if self._records is not None and self._statistics:
            found = {name: buffers[name].detach() for name in self._statistics}
            if has_tasks:
                found = {name: mean(buffer) for name, buffer in found.items()}
            self._records.setdefault(min(step, self.steps - 1), []).append(found)

    def _kept(self) -> Iterator[tuple[str, Tensor]]:
        return zip(self._statistics, self.statistics.buffers(), strict=True)


def apart_from_norms(clear_filter: Filter) -> Filter:
    """The modules of a filter that are no batch normalizations."""
    return partial(_is_chosen_and_no_norm, clear_filter)


def _is_chosen_and_no_norm(clear_filter: Filter, module: nn.Module) -> bool:
    return not isinstance(module, BATCH_NORMS) and clear_filter(module)


def _of_norms(
    model: nn.Module, named: Callable[[nn.Module], Iterator[tuple[str, Tensor]]]
) -> Iterator[tuple[str, Tensor]]:
    """The parameters or buffers of batch normalizations, by their first names in the model."""
    norms = {name for name, module in walk(model) if isinstance(module, BATCH_NORMS)}
    return ((name, value) for name, value in named(model) if name.rpartition(".")[0] in norms)


def _repeated(tensor: Tensor, times: int) -> Tensor:
    return tensor.detach().expand(times, *tensor.shape).clone()
