"""Small models of `transformers` that see or hear, without dropout."""

from __future__ import annotations

from typing import Any

import torch
from plain_models import IN_EAGER, Case
from torch import Tensor
from zoo_of_text import text, tokens, transformers

NO_DROPOUT = {"hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0}
SIGHT = {
    **NO_DROPOUT,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "image_size": 16,
    "patch_size": 4,
}
PYRAMID = {"hidden_sizes": [8, 16], "depths": [1, 1]}
WINDOWS = {
    "image_size": 32,
    "patch_size": 4,
    "embed_dim": 8,
    "depths": [1, 1],
    "num_heads": [1, 2],
    "window_size": 4,
    "drop_path_rate": 0.0,
}
CLIP_SIGHT = {name: value for name, value in SIGHT.items() if name not in NO_DROPOUT}
CLIP_TEXT = {
    "vocab_size": 50,
    "hidden_size": 16,
    "intermediate_size": 32,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "max_position_embeddings": 16,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "pad_token_id": 0,
}
HEARING = {
    "vocab_size": 20,
    "hidden_size": 16,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 32,
    "conv_dim": (8, 8),
    "conv_kernel": (4, 3),
    "conv_stride": (2, 2),
    "num_feat_extract_layers": 2,
    "num_conv_pos_embeddings": 8,
    "num_conv_pos_embedding_groups": 2,
    "hidden_dropout": 0.0,
    "attention_dropout": 0.0,
    "activation_dropout": 0.0,
    "feat_proj_dropout": 0.0,
    "final_dropout": 0.0,
    "layerdrop": 0.0,
    "apply_spec_augment": False,
}
SPEECH = {
    "vocab_size": 50,
    "d_model": 16,
    "encoder_layers": 2,
    "decoder_layers": 2,
    "encoder_attention_heads": 2,
    "decoder_attention_heads": 2,
    "encoder_ffn_dim": 32,
    "decoder_ffn_dim": 32,
    "max_source_positions": 8,
    "max_target_positions": 16,
    "num_mel_bins": 4,
    "dropout": 0.0,
    "pad_token_id": 0,
    "bos_token_id": 1,
    "eos_token_id": 2,
    "decoder_start_token_id": 1,
    "suppress_tokens": None,
    "begin_suppress_tokens": None,
}
CODEC = {
    "num_filters": 4,
    "hidden_size": 8,
    "codebook_size": 16,
    "upsampling_ratios": [2, 2],
    "num_lstm_layers": 1,
    "sampling_rate": 1000,
    "target_bandwidths": [1.5],
}
SEGMENTING = {
    "vision_config": {
        "hidden_size": 16,
        "output_channels": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": 32,
        "patch_size": 8,
        "window_size": 2,
        "global_attn_indexes": [1],
        "num_pos_feats": 8,
        "mlp_dim": 32,
    },
    "prompt_encoder_config": {"hidden_size": 16, "image_size": 32, "patch_size": 8},
    "mask_decoder_config": {
        "hidden_size": 16,
        "mlp_dim": 16,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "iou_head_hidden_dim": 8,
    },
}


def image(size: int = 16) -> dict[str, Tensor]:
    return {"pixel_values": torch.randn(2, 3, size, size)}


def sound() -> dict[str, Tensor]:
    return {"input_values": torch.randn(2, 64)}


def speech() -> dict[str, Tensor]:
    return {"input_features": torch.randn(2, 4, 16), "decoder_input_ids": tokens(5)}


def case(name: str, options: dict[str, Any], inputs: Any, **facts: Any) -> Case:
    kind: Any = getattr(transformers, name)
    return Case(lambda: kind(kind.config_class(**options)), inputs, **facts)


NO_ATTENTION: dict[str, Any] = {"returns": ("hidden_states",), "attentions": ("",)}


BOTH = {"text_config": CLIP_TEXT, "vision_config": CLIP_SIGHT, "projection_dim": 16}

CASES = {
    "ViTModel": case("ViTModel", SIGHT, image, rounds=IN_EAGER),
    "ViTForImageClassification": case("ViTForImageClassification", SIGHT, image, rounds=IN_EAGER),
    "Dinov2Model": case("Dinov2Model", SIGHT, image),
    "SwinModel": case("SwinModel", WINDOWS, lambda: image(32), rounds=IN_EAGER),
    "ConvNextModel": case(
        "ConvNextModel", {**PYRAMID, "num_stages": 2}, lambda: image(32), **NO_ATTENTION
    ),
    "ResNetModel": case(
        "ResNetModel", {**PYRAMID, "embedding_size": 8}, lambda: image(32), **NO_ATTENTION
    ),
    "CLIPModel": case("CLIPModel", BOTH, lambda: {**text(), **image()}, rounds=IN_EAGER),
    "SamModel": case(
        "SamModel",
        SEGMENTING,
        lambda: {**image(32), "input_points": 32 * torch.rand(2, 1, 2, 2)},
    ),
    "Wav2Vec2Model": case("Wav2Vec2Model", HEARING, sound),
    "Wav2Vec2ForCTC": case("Wav2Vec2ForCTC", HEARING, sound),
    "HubertModel": case("HubertModel", HEARING, sound),
    "WhisperForConditionalGeneration": case("WhisperForConditionalGeneration", SPEECH, speech),
    "EncodecModel": case(
        "EncodecModel",
        CODEC,
        lambda: {"input_values": torch.randn(1, 1, 64)},
        returns=(),
        attentions=("",),
    ),
}
