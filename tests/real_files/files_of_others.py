"""Files of packages for graphs, tables, flows and text."""

from __future__ import annotations

from typing import Any

import torch
from real_files import Classes, Model, RealFile, numbers
from torch import nn


def graph() -> tuple[Any, ...]:
    """Four nodes with three numbers each, and the edges between them."""
    return torch.randn(4, 3), torch.tensor([[0, 1, 2, 3, 1], [1, 0, 3, 2, 2]])


def table() -> tuple[Any, ...]:
    """Eight rows; the last column is a category."""
    return (torch.cat([torch.randn(8, 4), torch.randint(3, (8, 1)).to(torch.float64)], dim=1),)


def tabnet(file: Classes) -> nn.Module:
    model: nn.Module = file.TabNet(
        5,
        2,
        n_d=4,
        n_a=4,
        n_steps=2,
        cat_idxs=[4],
        cat_dims=[3],
        cat_emb_dim=[2],
        virtual_batch_size=4,
        group_attention_matrix=torch.eye(5),
    )
    return model


def language_model(file: Classes, **options: Any) -> nn.Module:
    layers = file.Decoder(dim=16, depth=2, heads=2, attn_dim_head=8, **options)
    model: nn.Module = file.TransformerWrapper(num_tokens=20, max_seq_len=8, attn_layers=layers)
    return model


def tokens() -> tuple[Any, ...]:
    return (torch.randint(20, (2, 6)),)


def text_tower(file: Classes) -> nn.Module:
    model: nn.Module = file.TextTransformer(
        context_length=6, vocab_size=20, width=16, heads=2, layers=2, output_dim=5
    )
    return model


def image_tower(file: Classes) -> nn.Module:
    model: nn.Module = file.VisionTransformer(
        image_size=16, patch_size=8, width=16, layers=2, heads=2, mlp_ratio=2.0, output_dim=5
    )
    return model


CONTEXT = {"context_features": None, "num_blocks": 1}

FILES = (
    RealFile(
        "torch_geometric.nn.conv.gat_conv",
        {"GATConv": Model(lambda file: file.GATConv(3, 4, heads=2), graph, twice=True)},
    ),
    RealFile(
        "torch_geometric.nn.conv.gcn_conv",
        {"GCNConv": Model(lambda file: file.GCNConv(3, 4), graph)},
    ),
    RealFile(
        "torch_geometric.nn.dense.linear",
        {
            "Linear": Model(lambda file: file.Linear(3, 4), numbers(2, 3)),
            "HeteroLinear": Model(
                lambda file: file.HeteroLinear(3, 4, num_types=2),
                lambda: (torch.randn(4, 3), torch.tensor([0, 0, 1, 1])),
            ),
        },
    ),
    RealFile("pytorch_tabnet.tab_network", {"TabNet": Model(tabnet, table)}),
    RealFile(
        "nflows.transforms.autoregressive",
        {
            "affine": Model(
                lambda file: file.MaskedAffineAutoregressiveTransform(3, 8), numbers(4, 3)
            ),
            "splines": Model(
                lambda file: file.MaskedPiecewiseRationalQuadraticAutoregressiveTransform(
                    num_bins=4, features=3, hidden_features=8, tails="linear"
                ),
                numbers(4, 3),
            ),
        },
    ),
    RealFile(
        "nflows.nn.nets.resnet",
        {
            "ResidualNet": Model(
                lambda file: file.ResidualNet(3, 2, 8, num_blocks=1, use_batch_norm=True),
                numbers(4, 3),
            )
        },
    ),
    RealFile(
        "pyro.nn.auto_reg_nn",
        {
            "AutoRegressiveNN": Model(
                lambda file: file.AutoRegressiveNN(3, [8], permutation=torch.tensor([2, 0, 1])),
                numbers(4, 3),
            )
        },
    ),
    RealFile(
        "x_transformers.x_transformers",
        {
            "TransformerWrapper": Model(language_model, tokens),
            "with options": Model(
                lambda file: language_model(
                    file, rotary_pos_emb=True, ff_glu=True, use_rmsnorm=True, attn_qk_norm=True
                ),
                tokens,
            ),
        },
    ),
    RealFile(
        "open_clip.transformer",
        {
            "TextTransformer": Model(text_tower, tokens),
            "VisionTransformer": Model(image_tower, numbers(2, 3, 16, 16)),
        },
    ),
    RealFile(
        "diffusers.models.autoencoders.vae",
        {
            "Encoder": Model(
                lambda file: file.Encoder(block_out_channels=(8,), norm_num_groups=4),
                numbers(1, 3, 8, 8),
            )
        },
    ),
    RealFile(
        "diffusers.models.attention",
        {
            "BasicTransformerBlock": Model(
                lambda file: file.BasicTransformerBlock(16, 2, 8), numbers(2, 5, 16)
            )
        },
    ),
    RealFile(
        "gpytorch.means.linear_mean",
        {"LinearMean": Model(lambda file: file.LinearMean(3), numbers(4, 3))},
    ),
)
