"""Attention, and the layers made of it."""

from __future__ import annotations

from metann.codegen.words.entry import Words

_BATCH = "With batch_first=True, N comes first."
_NORM_FIRST = (
    "With norm_first=True each norm is of what a part is called with: `x + part(norm(x))`."
)
_SPLIT = "or None if kdim == vdim == embed_dim"

WORDS = {
    "torch.nn.MultiheadAttention": Words(
        "`out_proj(softmax(q @ k.T / sqrt(head_dim)) @ v)`, with the heads side by side.",
        "q, k and v are query, key and value times their weights plus bias, cut into num_heads.\n"
        f"{_BATCH}",
        "(L, N, embed_dim), (S, N, kdim), (S, N, vdim) -> (L, N, embed_dim), and the softmax;\n"
        "or without N",
        {
            "q_proj_weight": f"shape (embed_dim, embed_dim), {_SPLIT}",
            "k_proj_weight": f"shape (embed_dim, kdim), {_SPLIT}",
            "v_proj_weight": f"shape (embed_dim, vdim), {_SPLIT}",
            "in_proj_weight": "shape (3 * embed_dim, embed_dim), "
            "or None if not kdim == vdim == embed_dim",
        },
    ),
    "torch.nn.Transformer": Words(
        "`decoder(tgt, encoder(src))`; both may be replaced.",
        _BATCH,
        "(S, N, d_model), (L, N, d_model) -> (L, N, d_model), or without N",
        holds="its submodules encoder, decoder",
    ),
    "torch.nn.TransformerEncoder": Words(
        "Calls num_layers copies of encoder_layer in turn, then norm if there is one.",
        holds="its submodules layers, norm",
    ),
    "torch.nn.TransformerDecoder": Words(
        "Calls num_layers copies of decoder_layer in turn, all with memory, then norm.",
        holds="its submodules layers, norm",
    ),
    "torch.nn.TransformerEncoderLayer": Words(
        "`x = norm1(x + self_attn(x))`, then `norm2(x + linear2(activation(linear1(x))))`.",
        f"In training, with dropout of what is added, and after the activation.\n{_BATCH}\n"
        f"{_NORM_FIRST}",
        "(L, N, d_model) -> (L, N, d_model), or without N",
    ),
    "torch.nn.TransformerDecoderLayer": Words(
        "TransformerEncoderLayer with attention to memory between its two parts.",
        "`x = norm1(x + self_attn(x))`, `x = norm2(x + multihead_attn(x, memory))`, then\n"
        f"`norm3(x + linear2(activation(linear1(x))))`. {_BATCH}\n{_NORM_FIRST}",
        "(L, N, d_model), (S, N, d_model) -> (L, N, d_model), or without N",
    ),
}
