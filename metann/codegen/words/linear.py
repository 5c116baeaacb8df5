"""Linear layers, embeddings and distances."""

from __future__ import annotations

from metann.codegen.words.entry import Words

WORDS = {
    "torch.nn.Identity": Words("The input itself; whatever the constructor is given."),
    "torch.nn.Linear": Words(
        "An affine map of the last dimension: `input @ weight.T + bias`.",
        shape="(*, in_features) -> (*, out_features)",
    ),
    "torch.nn.modules.linear.NonDynamicallyQuantizableLinear": Words(
        "A Linear that torch does not quantise by itself; MultiheadAttention has one.",
        shape="(*, in_features) -> (*, out_features)",
    ),
    "torch.nn.LazyLinear": Words(
        "A Linear that takes in_features from its first input.",
        shape="(*, in_features) -> (*, out_features)",
    ),
    "torch.nn.Bilinear": Words(
        "`einsum('...i, kij, ...j -> ...k', input1, weight, input2) + bias`.",
        shape="(*, in1_features), (*, in2_features) -> (*, out_features)",
    ),
    "torch.nn.Embedding": Words(
        "`weight[input]`: the row of weight for each index.",
        "With max_norm, rows that are longer are cut to that length.",
        shape="(*) -> (*, embedding_dim)",
    ),
    "torch.nn.EmbeddingBag": Words(
        "The mean, sum or maximum (mode) of the rows `weight[input]` of each bag.",
        "Bags are the rows of a 2-dimensional input; or input is flat, and they start at offsets.",
    ),
    "torch.nn.PairwiseDistance": Words(
        "`norm(x1 - x2 + eps)`: the p-norm over the last dimension.",
        shape="(*, D), (*, D) -> (*), or (*, 1) with keepdim=True",
    ),
    "torch.nn.CosineSimilarity": Words(
        "`sum(x1 * x2) / (max(norm(x1), eps) * max(norm(x2), eps))` along dim."
    ),
}
