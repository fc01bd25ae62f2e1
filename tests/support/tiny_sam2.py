"""A folder as the hub has it for SAM 2.1, its network of the real architecture but small."""

import hashlib
import json
from pathlib import Path
from typing import Any

import torch
from transformers import Sam2VideoConfig, Sam2VideoModel

from ml_backend.models.checkpoints import Checkpoint, CheckpointFile

SIDE, CHANNELS = 128, 32
GRIDS = [[SIDE // 4] * 2, [SIDE // 8] * 2, [SIDE // 16] * 2]

PUBLISHED_CONFIG = Path(__file__).with_name("sam2.1_hiera_tiny_config.json")
"""``config.json`` of facebook/sam2.1-hiera-tiny; that is, of the video model."""

PREPROCESSOR = {
    "crop_size": None,
    "data_format": "channels_first",
    "default_to_square": True,
    "device": None,
    "disable_grouping": None,
    "do_center_crop": None,
    "do_convert_rgb": True,
    "do_normalize": True,
    "do_rescale": True,
    "do_resize": True,
    "image_mean": [0.485, 0.456, 0.406],
    "image_processor_type": "Sam2ImageProcessorFast",
    "image_std": [0.229, 0.224, 0.225],
    "input_data_format": None,
    "mask_size": {"height": 256, "width": 256},
    "processor_class": "Sam2VideoProcessor",
    "resample": 2,
    "rescale_factor": 0.00392156862745098,
    "return_tensors": None,
    "size": {"height": 1024, "width": 1024},
}
PROCESSOR = {"point_pad_value": -10, "processor_class": "Sam2VideoProcessor", "target_size": 1024}


def as_published(values: dict[str, Any]) -> bytes:
    """JSON in the hub's form."""
    return (json.dumps(values, indent=2, sort_keys=True) + "\n").encode()


def save(models_dir: Path, seed: int = 0) -> Checkpoint:
    """Write random weights and their config files, as on the hub but smaller."""
    folder = models_dir / f"tiny-{seed}"
    folder.mkdir()
    config = _small_config()
    torch.manual_seed(seed)
    network = Sam2VideoModel(Sam2VideoConfig(**config))
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(4)  # so that prompts matter more than rounding does
    network.save_pretrained(folder)
    (folder / "config.json").write_bytes(as_published(config))
    size = {"height": SIDE, "width": SIDE}
    (folder / "preprocessor_config.json").write_bytes(as_published(PREPROCESSOR | {"size": size}))
    (folder / "processor_config.json").write_bytes(as_published(PROCESSOR | {"target_size": SIDE}))
    names = "config.json", "preprocessor_config.json", "processor_config.json", "model.safetensors"
    files = tuple(_file(models_dir, folder / name) for name in names)
    return Checkpoint(f"tiny-{seed}", "SAM_MODEL", "none", files)


def _file(models_dir: Path, path: Path) -> CheckpointFile:
    data = path.read_bytes()
    place = str(path.relative_to(models_dir))
    return CheckpointFile("tiny", place, len(data), hashlib.sha256(data).hexdigest(), "http://x")


def _small_config() -> dict[str, Any]:
    config: dict[str, Any] = json.loads(PUBLISHED_CONFIG.read_bytes())
    widths = [8, 16, 32, 64]
    config["vision_config"] |= {
        "backbone_channel_list": widths[::-1],
        "backbone_feature_sizes": GRIDS,
        "fpn_hidden_size": CHANNELS,
    }
    config["vision_config"]["backbone_config"] |= {
        "hidden_size": widths[0],
        "embed_dim_per_stage": widths,
        "num_attention_heads_per_stage": [1, 1, 2, 2],
        "blocks_per_stage": [1, 1, 2, 1],
        "global_attention_blocks": [3],
        "window_size_per_stage": [8, 4, 4, 2],
        "image_size": [SIDE, SIDE],
    }
    config["prompt_encoder_config"] |= {"hidden_size": CHANNELS, "image_size": SIDE}
    config["mask_decoder_config"] |= {
        "hidden_size": CHANNELS,
        "mlp_dim": 64,
        "num_attention_heads": 4,
        "iou_head_hidden_dim": 32,
    }
    video = {
        "image_size": SIDE,
        "memory_attention_hidden_size": CHANNELS,
        "memory_attention_feed_forward_hidden_size": 64,
        "memory_attention_num_layers": 1,
        "memory_attention_rope_feat_sizes": [SIDE // 16, SIDE // 16],
        "memory_encoder_hidden_size": CHANNELS,
        "memory_encoder_output_channels": 16,
        "mask_downsampler_embed_dim": CHANNELS,
        "memory_fuser_embed_dim": CHANNELS,
        "memory_fuser_intermediate_dim": 64,
        "memory_fuser_num_layers": 1,
    }
    return config | video
