"""Files of `transformers`; hidden states and attentions are among what their models return."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from real_files import Classes, Model, RealFile
from torch import nn

SIZES = {
    "vocab_size": 50,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "max_position_embeddings": 32,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "attn_implementation": "eager",
}
QUIET = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
SMALL_GPT = {
    **{"vocab_size": 50, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32, "n_inner": 32},
    **{"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0, "attn_implementation": "eager"},
}
SMALL_T5 = {
    **{"vocab_size": 50, "d_model": 16, "d_kv": 8, "d_ff": 32, "num_layers": 2, "num_heads": 2},
    **{"dropout_rate": 0.0, "decoder_start_token_id": 0},
}
EXPERTS = {"num_key_value_heads": 1, "num_local_experts": 2, "num_experts_per_tok": 2}
SIGHT = {**SIZES, **QUIET, "image_size": 16, "patch_size": 8}
HEARING = {
    **{"hidden_size": 16, "num_hidden_layers": 2, "num_attention_heads": 2, "layerdrop": 0.0},
    **{"intermediate_size": 32, "conv_dim": (8, 8), "conv_stride": (5, 2), "conv_kernel": (10, 3)},
    **{"hidden_dropout": 0.0, "attention_dropout": 0.0, "feat_proj_dropout": 0.0},
    **{
        "num_conv_pos_embeddings": 8,
        "num_conv_pos_embedding_groups": 2,
        "apply_spec_augment": False,
    },
    **{"activation_dropout": 0.0, "attn_implementation": "eager"},
}


def text(**more: Any) -> tuple[dict[str, Any]]:
    """Two sentences, and that everything is to be returned."""
    asked = {"output_hidden_states": True, "output_attentions": True}
    return ({"input_ids": torch.randint(3, 50, (2, 5)), **asked, **more},)


def two_texts() -> tuple[dict[str, Any]]:
    return text(decoder_input_ids=torch.randint(3, 50, (2, 4)))


def image() -> tuple[dict[str, Any]]:
    return ({"pixel_values": torch.randn(2, 3, 16, 16), "output_hidden_states": True},)


def sound() -> tuple[dict[str, Any]]:
    return ({"input_values": torch.randn(2, 200), "output_hidden_states": True},)


def made(name: str, options: dict[str, Any]) -> Callable[[Classes], nn.Module]:
    def make(file: Classes) -> nn.Module:
        kind = getattr(file, name)
        config = kind.config_class(**options)
        config._experts_implementation = "eager"  # Its kernel knows float64.
        model: nn.Module = kind(config)
        return model

    return make


def file(
    name: str, model: str, options: dict[str, Any], inputs: Any = text, **facts: Any
) -> RealFile:
    """The file of a family of models, and one of them."""
    module = f"transformers.models.{name}.modeling_{name}"
    models = {model: Model(made(model, options), inputs, **facts)}
    return RealFile(module, models, starts_elsewise=True)


FILES = (
    file("bert", "BertForMaskedLM", {**SIZES, **QUIET}),
    file("gpt2", "GPT2LMHeadModel", SMALL_GPT, twice=True),
    file("llama", "LlamaForCausalLM", {**SIZES, "num_key_value_heads": 1}),
    file("mixtral", "MixtralForCausalLM", {**SIZES, **EXPERTS}),
    file("t5", "T5ForConditionalGeneration", SMALL_T5, two_texts),
    file("vit", "ViTForImageClassification", SIGHT, image),
    file("wav2vec2", "Wav2Vec2Model", HEARING, sound),
)
