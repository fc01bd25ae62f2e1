"""EdgeTAM, HQ-SAM and SAM 3's tracker as published, small, with random weights."""

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import torch
import transformers

hf: Any = transformers
"""Untyped: configs take more than their signatures say."""

SIDE = 128
SQUARE = {"height": SIDE, "width": SIDE}
_DECODER = {
    "hidden_size": 32,
    "mlp_dim": 32,
    "num_attention_heads": 4,
    "iou_head_hidden_dim": 32,
    "num_hidden_layers": 2,
}


def _edgetam() -> tuple[Any, Any]:
    vision = {
        "backbone_config": {
            "model_type": "timm_wrapper",
            "architecture": "test_resnet",
            "do_pooling": False,
            "num_classes": 2,
            "label_names": ["one", "two"],
            "model_args": {"features_only": True, "out_indices": [1, 2, 3, 4]},
        },
        "backbone_channel_list": [96, 192, 48, 32],
        "backbone_feature_sizes": [[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2],
        "fpn_hidden_size": 32,
    }
    prompts = {"hidden_size": 32, "image_size": SIDE}
    config = hf.EdgeTamConfig(
        vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=_DECODER
    )
    processor = hf.Sam2Processor(hf.Sam2ImageProcessor(size=SQUARE), target_size=SIDE)
    return hf.EdgeTamModel(config), processor


def _sam3_tracker() -> tuple[Any, Any]:
    side = SIDE // 16
    vision = {
        "backbone_config": {
            "model_type": "sam3_vit_model",
            "hidden_size": 32,
            "intermediate_size": 32,
            "num_hidden_layers": 2,
            "num_attention_heads": 2,
            "image_size": SIDE,
            "patch_size": 16,
            "window_size": 4,
            "global_attn_indexes": [1],
            "pretrain_image_size": SIDE,
        },
        "fpn_hidden_size": 32,
        "backbone_feature_sizes": [[side * 4] * 2, [side * 2] * 2, [side] * 2],
    }
    prompts = {"hidden_size": 32, "image_size": SIDE, "patch_size": 16}
    config = hf.Sam3TrackerConfig(
        vision_config=vision, prompt_encoder_config=prompts, mask_decoder_config=_DECODER
    )
    processor = hf.Sam3TrackerProcessor(hf.Sam3ImageProcessor(size=SQUARE), target_size=SIDE)
    return hf.Sam3TrackerModel(config), processor


def _sam_hq() -> tuple[Any, Any]:
    vision = {
        "hidden_size": 32,
        "output_channels": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 2,
        "image_size": SIDE,
        "patch_size": 16,
        "global_attn_indexes": [0, 1],
        "window_size": 4,
        "num_pos_feats": 16,
        "mlp_dim": 32,
    }
    prompts = {"hidden_size": 32, "image_size": SIDE, "patch_size": 16, "mask_input_channels": 4}
    config = hf.SamHQConfig(
        vision_config=vision,
        prompt_encoder_config=prompts,
        mask_decoder_config=_DECODER | {"vit_dim": 32},
    )
    images = hf.SamImageProcessor(size={"longest_edge": SIDE}, pad_size=SQUARE)
    return hf.SamHQModel(config), hf.SamHQProcessor(images)


FAMILIES: Mapping[str, Callable[[], tuple[Any, Any]]] = {
    "edgetam": _edgetam,
    "sam3_tracker": _sam3_tracker,
    "sam_hq": _sam_hq,
}


def save(family: str, folder: Path) -> Path:
    """Write a checkpoint."""
    torch.manual_seed(1)
    network, processor = FAMILIES[family]()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(2)  # so that prompts matter more than rounding does
    network.save_pretrained(folder)
    processor.save_pretrained(folder)
    return folder


def processor_of(folder: Path) -> Any:
    """Return the library's own processor of a checkpoint."""
    kinds: dict[str, Any] = {
        "edgetam": hf.Sam2Processor,
        "sam3_tracker": hf.Sam3TrackerProcessor,
        "sam_hq": hf.SamHQProcessor,
    }
    return kinds[folder.name].from_pretrained(folder)
