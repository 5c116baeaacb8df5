"""Differentiable optimisers: `torch.optim` as functions, whose results have a graph."""
