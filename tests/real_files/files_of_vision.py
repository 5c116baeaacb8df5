"""Files of packages that see: `timm`, `torchvision`, `vit_pytorch`, ..."""

from __future__ import annotations

from functools import partial
from typing import Any

import torch
from real_files import Classes, Model, RealFile, numbers
from torch import nn

IMAGE = numbers(2, 3, 32, 32)
TIMM = ("torchvision",)
TAKES_NAMES_ONCE = "torchvision.models._api.BUILTIN_MODELS"


def features() -> tuple[Any, ...]:
    """What an encoder hands over: the image first, then smaller and smaller."""
    sizes = ((3, 16), (8, 8), (16, 4), (16, 2))
    return ([torch.randn(2, channels, size, size) for channels, size in sizes],)


def vision_transformer(file: Classes, **options: Any) -> nn.Module:
    model: nn.Module = file.VisionTransformer(
        img_size=32, patch_size=8, embed_dim=16, depth=2, num_heads=2, num_classes=3, **options
    )
    return model


def swin(file: Classes) -> nn.Module:
    model: nn.Module = file.SwinTransformer(
        img_size=32,
        patch_size=2,
        window_size=4,
        embed_dim=8,
        depths=(2, 2),
        num_heads=(2, 2),
        num_classes=3,
        drop_path_rate=0.0,
    )
    return model


def of_torchvision(file: Classes) -> nn.Module:
    model: nn.Module = file.VisionTransformer(
        image_size=32, patch_size=8, num_layers=2, num_heads=2, hidden_dim=16, mlp_dim=32
    )
    nn.init.normal_(model.heads.head.weight)  # It starts with zeros: there would be no gradients.
    return model


VIT = {"image_size": 32, "patch_size": 8, "num_classes": 3, "dim": 16, "heads": 2, "mlp_dim": 32}

FILES = (
    RealFile(
        "timm.models.resnet",
        {
            "ResNet": Model(
                lambda file: file.ResNet(file.BasicBlock, (1, 1, 1, 1), 3, channels=(8, 8, 8, 8)),
                IMAGE,
            ),
            "Bottleneck": Model(lambda file: file.Bottleneck(16, 4), numbers(2, 16, 4, 4)),
        },
        TIMM,
    ),
    RealFile(
        "timm.models.vision_transformer",
        {
            "VisionTransformer": Model(vision_transformer, IMAGE, twice=True),
            "with registers": Model(
                partial(vision_transformer, reg_tokens=2, init_values=0.1, qk_norm=True), IMAGE
            ),
        },
        TIMM,
    ),
    RealFile("timm.models.swin_transformer", {"SwinTransformer": Model(swin, IMAGE)}, TIMM),
    RealFile(
        "timm.models.convnext",
        {
            "ConvNeXt": Model(
                lambda file: file.ConvNeXt(num_classes=3, depths=(1, 1, 1, 1), dims=(4, 4, 8, 8)),
                IMAGE,
            )
        },
        TIMM,
    ),
    RealFile(
        "timm.layers.norm",
        {
            "LayerNorm": Model(lambda file: file.LayerNorm(6), numbers(2, 6)),
            "LayerNorm2d": Model(lambda file: file.LayerNorm2d(6), numbers(2, 6, 3, 3)),
            "LayerNormFp32": Model(lambda file: file.LayerNormFp32(6), numbers(2, 6)),
            "GroupNorm1": Model(lambda file: file.GroupNorm1(6), numbers(2, 6, 3, 3)),
            "RmsNorm2d": Model(lambda file: file.RmsNorm2d(6), numbers(2, 6, 3, 3)),
        },
        TIMM,
    ),
    RealFile(
        "torchvision.models.resnet",
        {
            "ResNet": Model(
                lambda file: file.ResNet(file.Bottleneck, [1, 1, 1, 1], num_classes=3), IMAGE
            )
        },
        takes_names_once=TAKES_NAMES_ONCE,
    ),
    RealFile(
        "torchvision.models.vision_transformer",
        {"VisionTransformer": Model(of_torchvision, IMAGE)},
        takes_names_once=TAKES_NAMES_ONCE,
    ),
    RealFile(
        "vit_pytorch.vit", {"ViT": Model(lambda file: file.ViT(**VIT, depth=2), IMAGE, twice=True)}
    ),
    RealFile(
        "vit_pytorch.cait",
        {
            "CaiT": Model(
                lambda file: file.CaiT(**VIT, depth=2, cls_depth=1, layer_dropout=0.0), IMAGE
            )
        },
    ),
    RealFile(
        "segmentation_models_pytorch.decoders.unet.decoder",
        {
            "UnetDecoder": Model(
                lambda file: file.UnetDecoder(
                    (3, 8, 16, 16), (16, 16, 16), n_blocks=3, attention_type="scse"
                ),
                features,
            )
        },
        TIMM,
    ),
    RealFile(
        "einops.layers.torch",
        {
            "EinMix": Model(
                lambda file: file.EinMix(
                    "b c h w -> b k h w", weight_shape="c k", bias_shape="k", c=3, k=4
                ),
                numbers(2, 3, 4, 4),
                twice=True,
            )
        },
    ),
)
