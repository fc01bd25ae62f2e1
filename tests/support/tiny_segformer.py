"""A folder as the hub has it for segformer_b2_clothes, its network of the real kind but small."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from transformers import SegformerConfig, SegformerForSemanticSegmentation

from ml_backend.models.checkpoints import Checkpoint, CheckpointFile

SIDE = 128

CLASSES = (
    *("Background", "Hat", "Hair", "Sunglasses", "Upper-clothes", "Skirt", "Pants", "Dress"),
    *("Belt", "Left-shoe", "Right-shoe", "Face", "Left-leg", "Right-leg", "Left-arm"),
    *("Right-arm", "Bag", "Scarf"),
)
CONFIG = {
    "_name_or_path": "nvidia/mit-b2",
    "architectures": ["SegformerForSemanticSegmentation"],
    "attention_probs_dropout_prob": 0.0,
    "classifier_dropout_prob": 0.1,
    "decoder_hidden_size": 768,
    "depths": [3, 4, 6, 3],
    "downsampling_rates": [1, 4, 8, 16],
    "drop_path_rate": 0.1,
    "hidden_act": "gelu",
    "hidden_dropout_prob": 0.0,
    "hidden_sizes": [64, 128, 320, 512],
    "id2label": dict(enumerate(CLASSES)),
    "image_size": 224,
    "initializer_range": 0.02,
    "label2id": {name: index for index, name in enumerate(CLASSES)},
    "layer_norm_eps": 1e-06,
    "mlp_ratios": [4, 4, 4, 4],
    "model_type": "segformer",
    "num_attention_heads": [1, 2, 5, 8],
    "num_channels": 3,
    "num_encoder_blocks": 4,
    "patch_sizes": [7, 3, 3, 3],
    "reshape_last_stage": True,
    "semantic_loss_ignore_index": 255,
    "sr_ratios": [8, 4, 2, 1],
    "strides": [4, 2, 2, 2],
    "torch_dtype": "float32",
    "transformers_version": "4.24.0",
}
SMALLER = {
    "decoder_hidden_size": 32,
    "depths": [1, 1, 1, 1],
    "hidden_sizes": [8, 16, 20, 32],
    "initializer_range": 0.2,  # so that answers differ by more than rounding does
}
PREPROCESSOR = {
    "do_normalize": True,
    "do_resize": True,
    "feature_extractor_type": "SegformerFeatureExtractor",
    "image_mean": [0.485, 0.456, 0.406],
    "image_std": [0.229, 0.224, 0.225],
    "reduce_labels": False,
    "resample": 2,
    "size": 512,
}


def published() -> dict[str, bytes]:
    """Return the config files of the weights, as on the hub."""
    return {
        "config.json": _json(CONFIG) + b"\n",
        "preprocessor_config.json": _json(PREPROCESSOR),
    }


def save(models_dir: Path, seed: int = 0) -> Checkpoint:
    """Write random weights and their config files, as on the hub but smaller."""
    folder = models_dir / f"tiny-{seed}"
    folder.mkdir()
    torch.manual_seed(seed)
    network = SegformerForSemanticSegmentation(SegformerConfig.from_dict(CONFIG | SMALLER))
    network.save_pretrained(folder)
    (folder / "config.json").write_bytes(_json(CONFIG | SMALLER))
    (folder / "preprocessor_config.json").write_bytes(_json(PREPROCESSOR | {"size": SIDE}))
    names = "config.json", "preprocessor_config.json", "model.safetensors"
    files = tuple(_file(models_dir, folder / name) for name in names)
    return Checkpoint(folder.name, "SEGMENTATION_MODEL", "none", files)


def _json(values: dict[str, Any]) -> bytes:
    return json.dumps(values, indent=2, sort_keys=True).encode()


def _file(models_dir: Path, path: Path) -> CheckpointFile:
    data = path.read_bytes()
    place = str(path.relative_to(models_dir))
    return CheckpointFile("tiny", place, len(data), hashlib.sha256(data).hexdigest(), "http://x")
