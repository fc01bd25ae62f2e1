"""A Segment Anything network of the real architecture, small and with random weights."""

import hashlib
from functools import partial
from pathlib import Path

import torch
from segment_anything import sam_model_registry  # type: ignore[import-untyped]
from segment_anything.modeling import (  # type: ignore[import-untyped]
    ImageEncoderViT,
    MaskDecoder,
    PromptEncoder,
    Sam,
    TwoWayTransformer,
)

from ml_backend.models.checkpoints import Checkpoint, CheckpointFile

SIDE, PATCH, CHANNELS = 128, 16, 64
GRID = (SIDE // PATCH, SIDE // PATCH)


def build() -> Sam:
    """As ``segment_anything.build_sam`` does, with smaller numbers."""
    return Sam(
        image_encoder=ImageEncoderViT(
            img_size=SIDE,
            patch_size=PATCH,
            embed_dim=48,
            depth=2,
            num_heads=4,
            out_chans=CHANNELS,
            norm_layer=partial(torch.nn.LayerNorm, eps=1e-6),
            use_rel_pos=True,
            window_size=4,
            global_attn_indexes=(1,),
        ),
        prompt_encoder=PromptEncoder(CHANNELS, GRID, (SIDE, SIDE), mask_in_chans=16),
        mask_decoder=MaskDecoder(
            num_multimask_outputs=3,
            transformer=TwoWayTransformer(2, CHANNELS, num_heads=4, mlp_dim=128),
            transformer_dim=CHANNELS,
            iou_head_hidden_dim=64,
        ),
    )


sam_model_registry["tiny"] = build


def save(folder: Path, seed: int = 0, name: str = "tiny") -> Checkpoint:
    """Write random weights in the upstream file format, for an architecture of this size."""
    torch.manual_seed(seed)
    sam = build()
    # Expected IoUs in the middle of 0..1, as those of trained weights.
    torch.nn.init.constant_(sam.mask_decoder.iou_prediction_head.layers[-1].bias, 0.5)
    path = folder / f"{name}.pth"
    torch.save(sam.state_dict(), path)
    return known(name, path)


def known(name: str, path: Path) -> Checkpoint:
    """A file that is there, as if it were published."""
    data = path.read_bytes()
    url = f"https://weights.example/{path.name}"
    sha256 = hashlib.sha256(data).hexdigest()
    file = CheckpointFile(name, path.name, len(data), sha256, url)
    return Checkpoint(name, "SAM_MODEL", "Apache-2.0", (file,))
