"""Small models of `transformers` that read text, without dropout."""

from __future__ import annotations

from typing import Any

import pytest
import torch
from plain_models import ALWAYS, IN_EAGER, Case
from torch import Tensor

transformers: Any = pytest.importorskip(
    "transformers", reason="transformers is not installed: run `make models`"
)

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
}
ENCODER = {**SIZES, "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
DECODER = {**SIZES, "num_key_value_heads": 1, "head_dim": 8}
FEW_EXPERTS = {
    **DECODER,
    "num_local_experts": 2,
    "num_experts": 2,
    "num_experts_per_tok": 2,
    "moe_intermediate_size": 8,
    "shared_expert_intermediate_size": 8,
}
SMALL_GPT = {"vocab_size": 50, "n_embd": 16, "n_layer": 2, "n_head": 2, "n_positions": 32}
NO_GPT_DROPOUT = {"resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0}
TOKENS = {"pad_token_id": 0, "bos_token_id": 1, "eos_token_id": 2, "decoder_start_token_id": 1}
TWO_STACKS = {
    **TOKENS,
    "vocab_size": 50,
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_position_embeddings": 32,
    "dropout": 0.0,
    "attention_dropout": 0.0,
}
SMALL_T5 = {
    "vocab_size": 50,
    "d_model": 16,
    "d_kv": 8,
    "d_ff": 32,
    "num_layers": 2,
    "num_heads": 2,
    "dropout_rate": 0.0,
    "decoder_start_token_id": 0,
}


def tokens(length: int = 7) -> Tensor:
    return torch.randint(3, 50, (2, length))


def text() -> dict[str, Any]:
    """Two sentences, the second one shorter."""
    mask = torch.tensor([[1, 1, 1, 1, 1, 1, 1], [1, 1, 1, 1, 1, 0, 0]])
    return {"input_ids": tokens(), "attention_mask": mask}


def two_texts() -> dict[str, Any]:
    return {**text(), "decoder_input_ids": tokens(5)}


def case(name: str, options: dict[str, Any], **facts: Any) -> Case:
    """A model by the name of its class."""
    kind: Any = getattr(transformers, name)
    inputs = two_texts if "Conditional" in name else text
    return Case(lambda: kind(configured(kind, options)), inputs, **facts)


def configured(kind: Any, options: dict[str, Any]) -> Any:
    """A configuration whose experts are computed by a kernel that knows float64."""
    config = kind.config_class(**options)
    config._experts_implementation = "eager"
    return config


def encoder_and_decoder() -> Any:
    configs = transformers.BertConfig(**ENCODER), transformers.BertConfig(**ENCODER)
    joined = transformers.EncoderDecoderConfig.from_encoder_decoder_configs(*configs)
    return transformers.EncoderDecoderModel(joined)


BOTH_WAYS = {"relative_attention": True, "pos_att_type": ["c2p", "p2c"]}
MAMBA = {"vocab_size": 50, "hidden_size": 16, "num_hidden_layers": 2, "state_size": 4}
MIXED = {
    **FEW_EXPERTS,
    "num_hidden_layers": 4,
    "attn_layer_period": 2,
    "attn_layer_offset": 1,
    "expert_layer_period": 2,
    "expert_layer_offset": 1,
    "mamba_d_state": 4,
    "use_mamba_kernels": False,
}
DISTILLED = {"dim": 16, "n_layers": 2, "n_heads": 2, "hidden_dim": 32, "vocab_size": 50}
QUIET = {"dropout": 0.0, "attention_dropout": 0.0}

CASES = {
    "BertModel": case("BertModel", ENCODER),
    "BertForMaskedLM": case("BertForMaskedLM", ENCODER),
    "RobertaModel": case("RobertaModel", ENCODER),
    "DistilBertForMaskedLM": case("DistilBertForMaskedLM", {**DISTILLED, **QUIET}),
    "AlbertModel": case("AlbertModel", {**ENCODER, "embedding_size": 8}),
    "ElectraModel": case("ElectraModel", ENCODER),
    "DebertaModel": case("DebertaModel", {**ENCODER, **BOTH_WAYS}, attentions=("",), rounds=ALWAYS),
    "DebertaV2Model": case("DebertaV2Model", {**ENCODER, **BOTH_WAYS}, attentions=("",)),
    "GPT2LMHeadModel": case("GPT2LMHeadModel", {**SMALL_GPT, **NO_GPT_DROPOUT, "n_inner": 32}),
    "GPTNeoXForCausalLM": case("GPTNeoXForCausalLM", SIZES, rounds=IN_EAGER),
    "OPTForCausalLM": case(
        "OPTForCausalLM",
        {**SIZES, "dropout": 0.0, "ffn_dim": 32, "word_embed_proj_dim": 16},
        rounds=IN_EAGER,
    ),
    "FalconForCausalLM": case("FalconForCausalLM", SIZES, attentions=("",)),
    "LlamaForCausalLM": case("LlamaForCausalLM", DECODER, rounds=ALWAYS),
    "MistralForCausalLM": case("MistralForCausalLM", DECODER, rounds=ALWAYS),
    "Qwen2ForCausalLM": case("Qwen2ForCausalLM", DECODER, rounds=ALWAYS),
    "GemmaForCausalLM": case("GemmaForCausalLM", DECODER, rounds=ALWAYS),
    "MixtralForCausalLM": case("MixtralForCausalLM", FEW_EXPERTS, rounds=ALWAYS),
    "Qwen2MoeForCausalLM": case("Qwen2MoeForCausalLM", FEW_EXPERTS, rounds=ALWAYS),
    "MambaForCausalLM": case(
        "MambaForCausalLM", MAMBA, rounds=ALWAYS, returns=("hidden_states",), attentions=("",)
    ),
    "JambaForCausalLM": case("JambaForCausalLM", MIXED, rounds=ALWAYS),
    "BartForConditionalGeneration": case("BartForConditionalGeneration", TWO_STACKS),
    "T5ForConditionalGeneration": case("T5ForConditionalGeneration", SMALL_T5, rounds=ALWAYS),
    "EncoderDecoderModel": Case(encoder_and_decoder, two_texts),
}
