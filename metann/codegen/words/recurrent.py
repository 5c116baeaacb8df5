"""Recurrent layers, and the cells that are one step of them."""

from __future__ import annotations

from metann.codegen.words.entry import Words

_SUM = "`weight_ih @ x + bias_ih + weight_hh @ h + bias_hh`"
_TANH = "`h = tanh(weight_ih @ x + bias_ih + weight_hh @ h + bias_hh)`"
_LSTM = "`c = f * c + i * g; h = o * tanh(c)`"
_GRU = "`h = (1 - z) * n + z * h`"
_GATES = f"i, f and o are sigmoids, g is a tanh, of the four parts of\n{_SUM}."
_RESET_GATES = (
    f"r and z are sigmoids of the first two of the three parts of\n{_SUM};\n"
    "n is the tanh of the third, where r multiplies what comes from `weight_hh @ h + bias_hh`."
)
_WIDTH = "In layer k, W is `input_size if k == 0 else (1 + bidirectional) * hidden_size`."
_STATES = "S is `(1 + bidirectional) * num_layers`."
_HIDDEN = "H is `proj_size or hidden_size`."
_WIDTH_OF_HIDDEN = "In layer k, W is `input_size if k == 0 else (1 + bidirectional) * H`."
_BATCH = "With batch_first=True, N comes before L."
_SHAPE = (
    "(L, N, input_size) -> (L, N, (1 + bidirectional) * hidden_size), (S, N, hidden_size),\n"
    "or without N"
)


def _numbered(gates: str, hidden: str) -> dict[str, str]:
    """The weights of each layer k: a loop makes up their names, so no source has them."""
    bias = f"shape ({gates}hidden_size,), absent with bias=False"
    return {
        "weight_ih_l[k], weight_ih_l[k]_reverse": f"shape ({gates}hidden_size, W)",
        "weight_hh_l[k], weight_hh_l[k]_reverse": f"shape ({gates}hidden_size, {hidden})",
        "bias_ih_l[k], bias_ih_l[k]_reverse": bias,
        "bias_hh_l[k], bias_hh_l[k]_reverse": bias,
    }


def _cell(gates: str) -> dict[str, str]:
    """The weights of a cell; its base knows the number of gates only as `num_chunks`."""
    bias = f"shape ({gates}hidden_size,), or None with bias=False"
    return {
        "weight_ih": f"shape ({gates}hidden_size, input_size)",
        "weight_hh": f"shape ({gates}hidden_size, hidden_size)",
        "bias_ih": bias,
        "bias_hh": bias,
    }


_PROJECTED = "shape (proj_size, hidden_size), if proj_size"
_PROJECTION = {"weight_hr_l[k], weight_hr_l[k]_reverse": _PROJECTED}

WORDS = {
    "torch.nn.RNNBase": Words(
        "What RNN, LSTM and GRU have in common: the weights; it has no forward.",
        f"{_HIDDEN}\n{_WIDTH_OF_HIDDEN}\n"
        "G is `4 if mode == 'LSTM' else 3 if mode == 'GRU' else 1`.",
        dependents=_numbered("G * ", "H") | _PROJECTION,
    ),
    "torch.nn.RNN": Words(
        f"{_TANH} at each step.",
        f"The nonlinearity may be 'relu' instead. {_BATCH}\n{_STATES}\n{_WIDTH}",
        _SHAPE,
        _numbered("", "hidden_size"),
    ),
    "torch.nn.LSTM": Words(
        f"{_LSTM} at each step; gates i, f, g, o of x and h.",
        f"{_GATES}\nWith proj_size, h becomes `weight_hr @ h`. {_BATCH}\n"
        f"{_HIDDEN} {_STATES}\n{_WIDTH_OF_HIDDEN}",
        "(L, N, input_size) -> (L, N, (1 + bidirectional) * H), (S, N, H), (S, N, hidden_size),\n"
        "or without N",
        _numbered("4 * ", "H") | _PROJECTION,
    ),
    "torch.nn.GRU": Words(
        f"{_GRU} at each step, with gates r, z, n of x and h.",
        f"{_RESET_GATES}\n{_BATCH}\n{_STATES}\n{_WIDTH}",
        _SHAPE,
        _numbered("3 * ", "hidden_size"),
    ),
    "torch.nn.RNNCellBase": Words(
        "What RNNCell, LSTMCell and GRUCell have in common: the weights; it has no forward."
    ),
    "torch.nn.RNNCell": Words(
        f"{_TANH}: one step of RNN.",
        "The nonlinearity may be 'relu' instead.",
        "(N, input_size) -> (N, hidden_size), or without N",
        _cell(""),
    ),
    "torch.nn.LSTMCell": Words(
        f"{_LSTM}: one step of LSTM.",
        _GATES,
        "(N, input_size) -> (N, hidden_size), (N, hidden_size), or without N",
        _cell("4 * "),
    ),
    "torch.nn.GRUCell": Words(
        f"{_GRU}: one step of GRU.",
        _RESET_GATES,
        "(N, input_size) -> (N, hidden_size), or without N",
        _cell("3 * "),
    ),
}
