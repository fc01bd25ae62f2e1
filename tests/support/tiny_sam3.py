"""SAM 3 as published, small, with random weights and a tokenizer of letters."""

from pathlib import Path
from typing import Any

import torch
import transformers
from safetensors.torch import load_file, save_file

from tests.support import tiny_sams

hf: Any = transformers
"""Untyped: configs take more than their signatures say."""

SIDE = 128


def save(folder: Path, side: int = SIDE) -> Path:
    """Write a checkpoint with an input of ``side`` pixels, a multiple of 64; published: 1008."""
    torch.manual_seed(1)
    network = hf.Sam3Model(_config(side))
    _tell_words_apart(network)
    network.save_pretrained(folder)
    _processor(side).save_pretrained(folder)
    return folder


def save_video(folder: Path) -> Path:
    """Write a checkpoint of the video model, as ``facebook/sam3`` is: detector and tracker."""
    torch.manual_seed(1)
    tracker, _ = tiny_sams.FAMILIES["sam3_tracker"]()
    parts = ("vision_config", "prompt_encoder_config", "mask_decoder_config")
    memory = {f"memory_attention_{name}": 1 for name in ("downsample_rate", "num_layers")}
    memory |= {f"memory_encoder_{name}": 16 for name in ("hidden_size", "output_channels")}
    config = hf.Sam3VideoConfig(
        detector_config=_config().to_dict(),
        tracker_config={name: getattr(tracker.config, name).to_dict() for name in parts}
        | memory
        | {"image_size": SIDE, "memory_attention_hidden_size": 32},
    )
    network = hf.Sam3VideoModel(config)
    _tell_words_apart(network)
    network.save_pretrained(folder)
    # transformers 5.23 writes this prefix twice, which the published file has once.
    weights = load_file(folder / "model.safetensors")
    once = {name.replace("tracker_model." * 2, "tracker_model."): w for name, w in weights.items()}
    save_file(once, folder / "model.safetensors", {"format": "pt"})
    _processor().save_pretrained(folder)
    return folder


def _tell_words_apart(network: Any) -> None:
    with torch.no_grad():
        for name, weight in network.named_parameters():
            weight.mul_(2)  # so that words matter more than rounding does
            if "presence_head" in name and weight.ndim == 1:
                weight.add_(1)  # things are there
            if "dot_product_scoring" in name:
                weight.mul_(4)


def _processor(side: int = SIDE) -> Any:
    images = hf.Sam3ImageProcessor(size={"height": side, "width": side})
    return hf.Sam3Processor(images, _tokenizer())


def _config(side: int = SIDE) -> Any:
    grid = side // 16
    width = {"hidden_size": 32, "intermediate_size": 32, "num_attention_heads": 4}
    vision = {
        "backbone_config": {
            "model_type": "sam3_vit_model",
            **width,
            "num_hidden_layers": 2,
            "image_size": side,
            "patch_size": 16,
            "window_size": 4,
            "global_attn_indexes": [1],
            "pretrain_image_size": side,
        },
        "fpn_hidden_size": 32,
        "backbone_feature_sizes": [[grid * 4] * 2, [grid * 2] * 2, [grid] * 2],
    }
    text = {**width, "num_hidden_layers": 1, "vocab_size": 600, "max_position_embeddings": 32}
    text |= {"bos_token_id": 58, "eos_token_id": 59, "pad_token_id": 59}
    layers = {**width, "num_layers": 1}
    return hf.Sam3Config(
        vision_config=vision,
        text_config=text | {"projection_dim": 32},
        geometry_encoder_config=layers,
        detr_encoder_config=layers,
        detr_decoder_config=layers | {"num_queries": 6},
        mask_decoder_config={
            "hidden_size": 32,
            "num_attention_heads": 4,
            "num_upsampling_stages": 3,
        },
    )


def _tokenizer() -> Any:
    letters = "abcdefghijklmnopqrstuvwxyz'- "
    ends = [f"{letter}</w>" for letter in letters]
    words = [*letters, *ends, "<|startoftext|>", "<|endoftext|>"]
    vocabulary = {word: number for number, word in enumerate(words)}
    return hf.CLIPTokenizer(vocab=vocabulary, merges=[], model_max_length=32)
