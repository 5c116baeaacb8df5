"""A recurrent language model whose kind of recurrence is chosen by its name."""

import torch
from torch import Tensor
from torch import nn as nn
from torch.nn import LSTM, Dropout, Embedding, Linear, Module


class RNNModel(Module):
    def __init__(self, kind: str, tokens: int = 9, width: int = 6, layers: int = 2) -> None:
        super().__init__()
        self.drop = Dropout(0.0)
        self.encoder = Embedding(tokens, width)
        if kind == "LSTM":
            self.rnn: Module = LSTM(width, width, layers)
        else:
            self.rnn = getattr(nn, kind)(width, width, layers)
        self.decoder = Linear(width, tokens)
        self.decoder.weight = self.encoder.weight
        self.init_weights()

    def init_weights(self) -> None:
        nn.init.uniform_(self.encoder.weight, -0.5, 0.5)
        nn.init.zeros_(self.decoder.bias)

    def forward(self, tokens: Tensor) -> Tensor:
        output, _ = self.rnn(self.drop(self.encoder(tokens)))
        return self.decoder(self.drop(output))


class Pair(Module):
    """Two of them, the one made by its class, the other looked up."""

    def __init__(self) -> None:
        super().__init__()
        self.models = torch.nn.ModuleList(RNNModel(kind) for kind in ("LSTM", "GRU"))

    def forward(self, tokens: Tensor) -> Tensor:
        first, second = (model(tokens) for model in self.models)
        return first * second


def example() -> tuple[Module, tuple[Tensor, ...]]:
    return Pair(), (torch.randint(0, 9, (5, 2)),)
