"""Recurrent layers, attention, transformers: formulas of one step, or one part."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from docstrings.formulas import Case


def cells() -> Iterator[Case]:
    """One step; of the layers, the first one of a sequence."""
    x, h, c = torch.randn(3), torch.randn(4), torch.randn(4)
    for layer, names, stepped in both(nn.RNN(3, 4), nn.RNNCell(3, 4), x, (h,)):
        yield Case(layer, names, stepped, result=("h",))
    for layer, names, stepped in both(nn.GRU(3, 4), nn.GRUCell(3, 4), x, (h,)):
        gates, hidden = of_input(names) + of_state(names), of_state(names)
        yield Case(layer, names, gates, number=1)
        yield Case(layer, names, hidden, number=2)
        r, z, _ = gates.sigmoid().chunk(3)
        n = (of_input(names)[8:] + r * hidden[8:]).tanh()
        yield Case(layer, names | {"z": z, "n": n}, stepped, result=("h",))
    for layer, names, stepped in both(nn.LSTM(3, 4), nn.LSTMCell(3, 4), x, (h, c)):
        gates = of_input(names) + of_state(names)
        yield Case(layer, names, gates, number=1)
        i, f, g, o = gates.chunk(4)
        parts = {"i": i.sigmoid(), "f": f.sigmoid(), "g": g.tanh(), "o": o.sigmoid()}
        yield Case(layer, names | parts | {"c": c}, stepped, result=("h", "c"))


def of_input(names: dict[str, Tensor]) -> Tensor:
    """What all gates get from the input."""
    return F.linear(names["x"], names["weight_ih"], names["bias_ih"])


def of_state(names: dict[str, Tensor]) -> Tensor:
    """What all gates get from the state before."""
    return F.linear(names["h"], names["weight_hh"], names["bias_hh"])


def both(recurrent: nn.RNNBase, cell: nn.Module, x: Tensor, state: tuple[Tensor, ...]) -> Any:
    """A layer and its cell, their weights by the names in the formula, and their new state."""
    hx = state if len(state) > 1 else state[0]
    layered = tuple(part[None] for part in state)
    _, last = recurrent(x[None], layered if len(state) > 1 else layered[0])
    weights = ("weight_ih", "weight_hh", "bias_ih", "bias_hh")
    named = {name: getattr(recurrent, f"{name}_l0") for name in weights}
    names = {"x": x, "h": state[0]}
    yield recurrent, names | named, [part[0] for part in (last if len(state) > 1 else (last,))]
    stepped = cell(x, hx)
    own = {name: getattr(cell, name) for name in weights}
    yield cell, names | own, list(stepped) if len(state) > 1 else [stepped]


def projections() -> Iterator[Case]:
    """An LSTM with proj_size gives less of the same state."""
    full, less = nn.LSTM(3, 4), nn.LSTM(3, 4, proj_size=2)
    x = torch.randn(1, 3)
    with torch.no_grad():
        for name in ("weight_ih_l0", "bias_ih_l0", "bias_hh_l0"):
            getattr(full, name).copy_(getattr(less, name))
    # At the first step the state before is 0: the weights for it do not matter.
    h = full(x)[0][0]
    yield Case(less, {"weight_hr": less.weight_hr_l0, "h": h}, less(x)[0][0], number=2)


def attention() -> Iterator[Case]:
    """Several heads, with keys and values of other widths."""
    layer = nn.MultiheadAttention(6, 2, kdim=3, vdim=5)
    query, key, value = torch.randn(4, 6), torch.randn(7, 3), torch.randn(7, 5)
    bias_q, bias_k, bias_v = layer.in_proj_bias.chunk(3)
    q = query @ layer.q_proj_weight.T + bias_q
    k = key @ layer.k_proj_weight.T + bias_k
    v = value @ layer.v_proj_weight.T + bias_v
    heads = {"q": q, "k": k, "v": v}
    names: dict[str, Any] = {
        name: Heads(part.unflatten(-1, (2, 3)).movedim(-2, 0)) for name, part in heads.items()
    }
    names["softmax"] = lambda x: Heads(x.tensor.softmax(-1))
    names["sqrt"] = lambda x: x**0.5
    names["out_proj"] = lambda x: layer.out_proj(x.tensor.movedim(0, -2).flatten(-2))
    yield Case(layer, names, layer(query, key, value)[0])


class Heads:
    """A tensor for each head: `.T` and `@` are of each one by itself."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor

    @property
    def T(self) -> Heads:
        return Heads(self.tensor.mT)

    def __matmul__(self, other: Heads) -> Heads:
        return Heads(self.tensor @ other.tensor)

    def __truediv__(self, number: float) -> Heads:
        return Heads(self.tensor / number)


def alone(attention: nn.MultiheadAttention) -> Any:
    """Attention as a function of what is asked, and of what is looked at, if that is another."""
    return lambda x, memory=None: attention(x, *[x if memory is None else memory] * 2)[0]


def transformers() -> Iterator[Case]:
    """The parts of a layer, one after the other."""
    x, memory = torch.randn(4, 6), torch.randn(7, 6)
    encoder = nn.TransformerEncoderLayer(6, 2, 5).eval()
    decoder = nn.TransformerDecoderLayer(6, 2, 5).eval()
    for layer in (encoder, decoder):
        attended = layer.norm1(x + alone(layer.self_attn)(x))
        names = {"x": x, "self_attn": alone(layer.self_attn)}
        yield Case(layer, names, [attended], result=("x",))
    informed = decoder.norm2(attended + alone(decoder.multihead_attn)(attended, memory))
    names = {"x": attended, "memory": memory, "multihead_attn": alone(decoder.multihead_attn)}
    yield Case(decoder, names, [informed], 1, ("x",))
    yield Case(decoder, {"x": informed}, decoder(x, memory), number=2)
    attended = encoder.norm1(x + alone(encoder.self_attn)(x))
    yield Case(encoder, {"x": attended}, encoder(x), number=1)
    both = nn.Transformer(6, 2, 1, 1, 5, batch_first=True).eval()
    yield Case(both, {"src": memory, "tgt": x}, both(memory, x))


def normalised_first() -> Iterator[Case]:
    """With norm_first=True."""
    x, memory = torch.randn(4, 6), torch.randn(7, 6)
    encoder = nn.TransformerEncoderLayer(6, 2, 5, norm_first=True).eval()
    decoder = nn.TransformerDecoderLayer(6, 2, 5, norm_first=True).eval()
    for layer, of in ((encoder, (x,)), (decoder, (x, memory))):
        attend = [alone(layer.self_attn)]
        if layer is decoder:
            attend.append(lambda y: alone(decoder.multihead_attn)(y, memory))
        parts = [*attend, lambda y, layer=layer: layer.linear2(layer.linear1(y).relu())]
        state = x
        for number, part in enumerate(parts, start=1):
            norm = getattr(layer, f"norm{number}")
            case = Case(layer, {"x": state, "part": part, "norm": norm}, layer(*of), number=-1)
            state = case.value()
        yield case
