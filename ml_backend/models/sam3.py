"""SAM 3 (Carion et al., 2025) through transformers: finds what phrases name, or boxes show.

Weights: https://huggingface.co/facebook/sam3 (SAM License; gated).
"""

import hashlib
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final, Self

import numpy as np
import numpy.typing as npt
import structlog
import torch
from torch import Tensor
from transformers import AutoConfig, Sam3Model, Sam3Processor
from transformers.modeling_outputs import BaseModelOutputWithPooling
from transformers.models.sam3.modeling_sam3 import Sam3VisionEncoderOutput

from ml_backend.embedding_store.base import Store, compute_once
from ml_backend.embedding_store.codec import TensorCodec, Tensors
from ml_backend.geometry import Box
from ml_backend.instances import Instance
from ml_backend.lru import LruCache
from ml_backend.models.memory import free_memory
from ml_backend.models.pretrained import read_pretrained

log = structlog.get_logger(__name__)

TEXT_BYTES: Final = 16 << 20
"""Phrases whose features are cached: 33 KB each with the published network."""

BATCH: Final = {"cuda": 32}
"""Phrases that are looked for at once; elsewhere one, which gives the library's own digits."""

MOST_TOKENS: Final = 32
"""Of a phrase, as its processor has it."""

LIKE_THE_BOX: Final = "visual"
"""What the library asks for where boxes alone show what to find."""


@dataclass(frozen=True)
class Query:
    """What to find.

    Attributes:
        phrase: Noun phrase.
        boxes: Examples of it in pixels of the picture.
    """

    phrase: str = LIKE_THE_BOX
    boxes: tuple[Box, ...] = ()


@dataclass(frozen=True)
class Found:
    """What a query found.

    Attributes:
        presence: Confidence that there is such a thing at all, 0..1.
        instances: Instances above the library's threshold; they may overlap.
    """

    presence: float
    instances: list[Instance]


@dataclass(frozen=True, eq=False)
class ConceptNetwork:
    """Answers as transformers' own model and processor do, but holds no picture.

    Attributes:
        network: Network on its device, in float32, for answers identical to the library's.
        processor: Processor from the same folder.
        version: Version of the weights.
        texts: Cache of the features of phrases.
    """

    network: Any
    processor: Any
    version: str
    texts: Store[Tensors] = field(default_factory=lambda: LruCache[str, Tensors](TEXT_BYTES))

    @classmethod
    def load(cls, folder: Path, version: str, device: str) -> Self:
        """Load a folder in transformers' format, the image model's or the video model's.

        Raises:
            ModelError: It is damaged.
        """
        network: Any = read_pretrained(Sam3Model, folder, _config(folder))
        processor = Sam3Processor.from_pretrained(folder, local_files_only=True)  # nosec B615
        return cls(network.to(device), processor, version)

    @property
    def image_codec(self) -> TensorCodec:
        """Codec of ``features``."""
        shapes = _shapes(self.network.config.vision_config)
        layout = {f"level_{n}": (shape, torch.float32) for n, shape in enumerate(shapes)}
        return TensorCodec(layout, self.network.device.type)

    @property
    def text_codec(self) -> TensorCodec:
        """Codec of the features of a phrase."""
        words = (1, MOST_TOKENS, self.network.text_projection.out_features)
        layout = {"words": (words, torch.float32), "attention": (words[:2], torch.int64)}
        return TensorCodec(layout, self.network.device.type)

    @torch.inference_mode()
    def features(self, image: npt.NDArray[np.uint8]) -> Tensors:
        """Do the work that is done once for each picture, (H, W, 3) uint8 RGB.

        Returns:
            (C, h, w) each; the finest is ``level_0``.
        """
        inputs = self.processor(images=np.require(image, requirements="W"), return_tensors="pt")
        pixels = inputs["pixel_values"].to(self.network.device)
        vision = self.network.get_vision_features(pixel_values=pixels)
        # The network leaves the coarsest level out.
        levels = vision.fpn_hidden_states[:-1]
        return Tensors({f"level_{n}": level[0] for n, level in enumerate(levels)})

    @torch.inference_mode()
    def find(
        self,
        features: Tensors,
        queries: Sequence[Query],
        size: tuple[int, int],
        batch: int | None = None,
    ) -> Iterator[Found]:
        """Yield what each query finds; fewer at once where memory runs out.

        Args:
            features: Features from ``features``, possibly as float16.
            queries: Queries of one picture; an instance's class is its query's number, from 1.
            size: (H, W) of the picture in pixels.
            batch: Queries to look for at once; None: as many as the device is good for.

        Raises:
            torch.OutOfMemoryError: Not even one fits.
        """
        count = batch or BATCH.get(self.network.device.type, 1)
        vision = self._vision(features)
        first = 0
        while first < len(queries):
            asked = _alike(queries[first : first + count])
            outputs = self._outputs(vision, asked, size, may_fail=len(asked) > 1)
            if outputs is None:
                count = len(asked) // 2
                free_memory()
                log.warning("smaller_batch", phrases=count)
                continue
            for number in range(len(asked)):
                yield self._found(outputs, number, first + number + 1, size)
            first += len(asked)

    def _outputs(
        self,
        vision: Sam3VisionEncoderOutput,
        queries: Sequence[Query],
        size: tuple[int, int],
        may_fail: bool,
    ) -> Any:
        """Answer queries at once; None where memory runs out, if that may be."""
        try:
            texts = [self._text(query.phrase).by_name for query in queries]
            return self.network(
                vision_embeds=_repeated(vision, len(queries)),
                # Passed on as an object with this field: ``Sam3Model`` reads it from there.
                text_embeds=BaseModelOutputWithPooling(
                    pooler_output=torch.cat([text["words"] for text in texts])
                ),
                attention_mask=torch.cat([text["attention"] for text in texts]),
                **self._boxes(queries, size),
            )
        except torch.OutOfMemoryError:
            if not may_fail:
                raise
            return None

    def _found(self, outputs: Any, number: int, class_index: int, size: tuple[int, int]) -> Found:
        """Return the library's instances of one query, the presence gate included."""
        names = ("pred_logits", "pred_boxes", "pred_masks", "presence_logits")
        one = type(outputs)(**{name: outputs[name][number : number + 1] for name in names})
        (found,) = self.processor.post_process_instance_segmentation(one, target_sizes=[size])
        shown = [mask.cpu().numpy().astype(np.bool_) for mask in found["masks"]]
        instances = [
            Instance.of(mask, class_index, float(score))
            for score, mask in zip(found["scores"], shown, strict=True)
            if mask.any()
        ]
        return Found(float(one.presence_logits.sigmoid().max()), instances)

    def _vision(self, features: Tensors) -> Sam3VisionEncoderOutput:
        """Return the features as the network takes them."""
        place = self.network.vision_encoder.neck.position_encoding
        levels = [
            features.by_name[f"level_{number}"][None].to(self.network.device, torch.float32)
            for number in range(len(features.by_name))
        ]
        places = [place(level.shape, level.device, level.dtype) for level in levels]
        # The last level is left out, whatever it is.
        return Sam3VisionEncoderOutput(
            fpn_hidden_states=(*levels, levels[-1]), fpn_position_encoding=(*places, places[-1])
        )

    def _text(self, phrase: str) -> Tensors:
        """Return the features of a phrase, (1, words, C), and its attention mask."""
        key = f"{self.version}/text/{hashlib.sha256(phrase.encode()).hexdigest()}"
        return compute_once(self.texts, key, lambda: self._encode(phrase))

    def _encode(self, phrase: str) -> Tensors:
        encoded = self.processor(text=phrase, return_tensors="pt").to(self.network.device)
        ids, attention = (_short(encoded[name]) for name in ("input_ids", "attention_mask"))
        text = self.network.get_text_features(input_ids=ids, attention_mask=attention)
        return Tensors({"words": text.pooler_output, "attention": attention})

    def _boxes(self, queries: Sequence[Query], size: tuple[int, int]) -> dict[str, Tensor]:
        """Return the boxes of a query that shows examples, as the network takes them."""
        (query, *_) = queries
        if not query.boxes:
            return {}
        boxes = [[[box.left, box.top, box.right, box.bottom] for box in query.boxes]]
        inputs = self.processor(original_sizes=[list(size)], input_boxes=boxes, return_tensors="pt")
        names = ("input_boxes", "input_boxes_labels")
        return {name: inputs[name].to(self.network.device) for name in names}


def _repeated(vision: Sam3VisionEncoderOutput, count: int) -> Sam3VisionEncoderOutput:
    """Return the features of a picture for several queries, without copying them."""
    return Sam3VisionEncoderOutput(
        fpn_hidden_states=tuple(
            level.expand(count, -1, -1, -1) for level in vision.fpn_hidden_states
        ),
        fpn_position_encoding=tuple(
            place.expand(count, -1, -1, -1) for place in vision.fpn_position_encoding
        ),
    )


def _short(tokens: Tensor) -> Tensor:
    """Cut the middle of a text that is too long for the network; its last token ends it."""
    return torch.cat([tokens[:, : MOST_TOKENS - 1], tokens[:, -1:]], 1)[:, -MOST_TOKENS:]


def _alike(queries: Sequence[Query]) -> Sequence[Query]:
    """Return the first queries that can be answered at once: one with boxes is alone."""
    with_boxes = [number for number, query in enumerate(queries) if query.boxes]
    return queries[: max(1, with_boxes[0])] if with_boxes else queries


def feature_shapes(folder: Path) -> list[tuple[int, ...]]:
    """Return the shapes of a folder's features, known without its weights."""
    return _shapes(_config(folder).vision_config)


def _shapes(vision: Any) -> list[tuple[int, ...]]:
    return [(vision.fpn_hidden_size, *size) for size in vision.backbone_feature_sizes]


def _config(folder: Path) -> Any:
    # A checked folder, no name on a hub.
    config: Any = AutoConfig.from_pretrained(folder, local_files_only=True)  # nosec B615
    return getattr(config, "detector_config", None) or config


def is_sam3(folder: Path) -> bool:
    """Return whether a folder's config.json is that of SAM 3's image or video model."""
    try:
        kind = json.loads((folder / "config.json").read_text()).get("model_type")
    except (OSError, ValueError):
        return False
    return kind in ("sam3", "sam3_video")
