"""Segmentation checkpoints as published: the real architectures, small, with random weights."""

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

hf: Any = transformers
"""Untyped: configs take more than their signatures say."""

SQUARE = {"height": 64, "width": 64}
NAMES = {0: "person", 1: "dress", 2: "shoe", 3: "sky"}
LABELS: Mapping[str, Any] = {"id2label": NAMES, "label2id": {name: i for i, name in NAMES.items()}}
_STAGES = ["stage1", "stage2", "stage3", "stage4"]
_SWIN = {
    "image_size": 64,
    "embed_dim": 8,
    "depths": [1, 1, 1, 1],
    "num_heads": [1, 1, 2, 2],
    "window_size": 2,
    "out_features": _STAGES,
}
_PYRAMID = {"depths": [1] * 4, "hidden_sizes": [8, 8, 16, 16]}
_VIT = {
    "hidden_size": 16,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "image_size": 64,
    "patch_size": 16,
}
_DECODER = {
    "encoder_layers": 1,
    "decoder_layers": 1,
    "encoder_ffn_dim": 16,
    "decoder_ffn_dim": 16,
    "num_queries": 8,
}

HEADS = ("class_predictor", "class_labels_classifier", "class_embed", "mask_head.fc")
"""Their weights are enlarged further: an instance needs a confident class and a clear mask."""


def _segformer() -> tuple[Any, Any]:
    config = hf.SegformerConfig(
        **_PYRAMID,
        num_attention_heads=[1] * 4,
        decoder_hidden_size=16,
        **LABELS,
    )
    return hf.SegformerForSemanticSegmentation(config), hf.SegformerImageProcessor(size=SQUARE)


def _beit() -> tuple[Any, Any]:
    config = hf.BeitConfig(
        **_VIT,
        num_hidden_layers=4,
        out_indices=[1, 2, 3, 4],
        pool_scales=[1, 2],
        **LABELS,
    )
    return hf.BeitForSemanticSegmentation(config), hf.BeitImageProcessor(
        size=SQUARE, do_center_crop=False
    )


def _upernet() -> tuple[Any, Any]:
    backbone = hf.ConvNextConfig(
        **_PYRAMID,
        out_features=_STAGES,
    )
    config = hf.UperNetConfig(
        backbone_config=backbone,
        hidden_size=16,
        auxiliary_in_channels=16,
        auxiliary_channels=8,
        **LABELS,
    )
    return hf.UperNetForSemanticSegmentation(config), hf.SegformerImageProcessor(size=SQUARE)


def _mask2former() -> tuple[Any, Any]:
    config = hf.Mask2FormerConfig(
        backbone_config=hf.SwinConfig(**_SWIN),
        feature_size=32,
        mask_feature_size=32,
        hidden_dim=32,
        encoder_feedforward_dim=16,
        dim_feedforward=16,
        encoder_layers=1,
        decoder_layers=2,
        num_attention_heads=2,
        num_queries=8,
        **LABELS,
    )
    return hf.Mask2FormerForUniversalSegmentation(config), hf.Mask2FormerImageProcessor(size=SQUARE)


def _maskformer() -> tuple[Any, Any]:
    decoder = hf.DetrConfig(
        **_DECODER,
        d_model=16,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
    )
    config = hf.MaskFormerConfig(
        backbone_config=hf.SwinConfig(**_SWIN),
        decoder_config=decoder,
        fpn_feature_size=32,
        mask_feature_size=32,
        **LABELS,
    )
    return hf.MaskFormerForInstanceSegmentation(config), hf.MaskFormerImageProcessor(size=SQUARE)


def _detr() -> tuple[Any, Any]:
    backbone = hf.ResNetConfig(
        embedding_size=8,
        hidden_sizes=[8, 16, 16, 16],
        depths=[1] * 4,
        layer_type="basic",
        out_features=_STAGES,
    )
    config = hf.DetrConfig(
        use_timm_backbone=False,
        backbone=None,
        backbone_config=backbone,
        **_DECODER,
        d_model=32,
        encoder_attention_heads=8,
        decoder_attention_heads=8,
        **LABELS,
    )
    return hf.DetrForSegmentation(config), hf.DetrImageProcessor(size=SQUARE)


def _eomt() -> tuple[Any, Any]:
    config = hf.EomtConfig(
        hidden_size=16,
        num_hidden_layers=2,
        num_attention_heads=2,
        image_size=64,
        patch_size=16,
        num_blocks=1,
        num_queries=8,
        num_upscale_blocks=1,
        num_register_tokens=1,
        **LABELS,
    )
    return hf.EomtForUniversalSegmentation(config), hf.EomtImageProcessor(
        size={"shortest_edge": 64, "longest_edge": 64}, do_pad=True
    )


def _rf_detr() -> tuple[Any, Any]:
    backbone = hf.RfDetrDinov2Config(
        **_VIT,
        num_hidden_layers=2,
        num_windows=1,
        out_features=["stage2"],
    )
    config = hf.RfDetrConfig(
        backbone_config=backbone,
        d_model=32,
        num_queries=8,
        decoder_layers=1,
        decoder_ffn_dim=16,
        group_detr=1,
        **LABELS,
    )
    return hf.RfDetrForInstanceSegmentation(config), hf.RfDetrImageProcessor(size=SQUARE)


FAMILIES: Mapping[str, Callable[[], tuple[Any, Any]]] = {
    "segformer": _segformer,
    "beit": _beit,
    "upernet": _upernet,
    "mask2former": _mask2former,
    "maskformer": _maskformer,
    "detr": _detr,
    "eomt": _eomt,
    "rf_detr": _rf_detr,
}


def save(family: str, folder: Path) -> Path:
    """Write a checkpoint; weights are large enough for answers that differ from place to place."""
    torch.manual_seed(3)
    network, processor = FAMILIES[family]()
    with torch.no_grad():
        for name, weight in network.named_parameters():
            is_head = weight.ndim > 1 and any(part in name for part in HEADS)
            weight.mul_(60 if is_head else 2)
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def change_config(folder: Path, **changes: object) -> None:
    """Set keys of config.json; None removes a key."""
    path = folder / "config.json"
    config = json.loads(path.read_text()) | changes
    path.write_text(json.dumps({k: v for k, v in config.items() if v is not None}))
