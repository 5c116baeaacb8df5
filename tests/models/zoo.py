"""All the small models, and the marks that run a test on them."""

from __future__ import annotations

import pytest
import zoo_of_signals
import zoo_of_text

CASES = {**zoo_of_text.CASES, **zoo_of_signals.CASES}
_WAYS = {
    f"{name}-{attention or 'own'}": (case, attention)
    for name, case in CASES.items()
    for attention in case.attentions
}

every_attention = pytest.mark.parametrize(("case", "attention"), _WAYS.values(), ids=_WAYS)
both_modes = pytest.mark.parametrize("training", [False, True], ids=["eval", "train"])


def all_but(names: set[str]) -> pytest.MarkDecorator:
    """Every model but these; a name that is no model's is an error."""
    chosen = {name: case for name, case in CASES.items() if name not in names}
    assert len(chosen) + len(names) == len(CASES)
    return pytest.mark.parametrize("case", chosen.values(), ids=chosen)


every = all_but(set())
