"""Promptable network that ships with the project: no download, runs on a CPU.

The embedding is the reduced picture. A prompt takes two looks: first at the box, or for clicks at
the whole picture, which gives several hypotheses; then, for each, at the part of the picture around
it, with the hypothesis as input. The answer that the network's own judge rates best is returned. A
further click has the last mask as its only hypothesis.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ml_backend.errors import ModelError
from ml_backend.models.blocks import Weights, fast_dtype, load_network, read_weights
from ml_backend.models.efficientnet import as_input
from sam_backend.models.base import Box, Embedding, Layout, Mask, Point, Prompts
from sam_backend.models.colours import color_bins, color_evidence, known_chances
from sam_backend.models.contrast import with_contrast
from sam_backend.models.frames import Floats, Frame, Picture, bounds
from sam_backend.models.honest_clicks import heed, keep_direction, obey, tidy
from sam_backend.models.network import PROMPT_CHANNELS, PromptNetwork

WEIGHTS: Final = Path(__file__).with_name("embedded.safetensors")
LONE_CLICK_SIDE: Final = 256  # input side for one click alone: the object may be small
LARGEST: Final = 1024  # longer side of the reduced picture
MARGIN: Final = 1.3  # frame to box
WIDE_MARGIN: Final = 3.4  # frame to last mask: clicks say little of how far the object goes on
MARGINS: Final = (WIDE_MARGIN, WIDE_MARGIN, WIDE_MARGIN, 2.4, 1.8)  # after 0, 1, … 4 clicks
SPILL: Final = 0.02  # how far beyond a box its mask may reach, in sides of the box
GUESSES: Final = 4  # hypotheses of a click that are looked at again
BOX_GUESSES: Final = 2  # of a box
SAME: Final = 0.9  # IoU from which two hypotheses are one
NOTHING: Final = -12.0  # logit where the network did not look


class EmbeddedPromptableModel:
    """Holds the network and no image; thread-safe.

    Args:
        network: Network prepared for inference, in the type that ``fast_dtype`` returns.
        version: Version of the weights.
        side: Side of the network's square input in pixels.
        device: Device of the network: ``"cpu"`` or ``"cuda"``.
    """

    def __init__(
        self, network: PromptNetwork, version: str, side: int, device: str = "cpu"
    ) -> None:
        self._network = network
        self._side = side
        self.device = device
        self._dtype = fast_dtype(device)
        self.version = version

    @classmethod
    def load(cls, path: Path | None = None, device: str = "cpu") -> "EmbeddedPromptableModel":
        """Load the shipped weights, or those at ``path``.

        Raises:
            ModelError: The weights are missing, damaged or for another network.
        """
        weights = read_weights(path or WEIGHTS)
        network, _ = load_network(PromptNetwork, weights, device)
        return cls(network, f"embedded-4-{weights.digest}", _side(weights), device)

    @property
    def input_side(self) -> None:
        """None: the network zooms in on the part of the picture that a prompt is about."""

    def embed(self, image: npt.NDArray[np.uint8]) -> Embedding:
        """Reduce an (H, W, 3) uint8 RGB image to at most 1024 pixels a side."""
        height, width = image.shape[:2]
        rows, columns = _reduced(height, width)
        if (rows, columns) == (height, width):
            return Embedding(height, width, {"picture": torch.tensor(image)})
        picture = cv2.resize(image, (columns, rows), interpolation=cv2.INTER_AREA)
        return Embedding(height, width, {"picture": torch.from_numpy(picture)})

    def layout(self, height: int, width: int) -> Layout:
        """See ``PromptableModel.layout``."""
        return {"picture": ((*_reduced(height, width), 3), torch.uint8)}

    def segment(self, embedding: Embedding, prompts: Prompts, previous: Mask | None = None) -> Mask:
        """Return the mask of one object; see ``PromptableModel.segment``.

        Raises:
            ModelError: The embedding is from another model.
        """
        picture = _picture(embedding)
        scale = (picture.shape[1] / embedding.width, picture.shape[0] / embedding.height)
        reduced = prompts.scaled(*scale)
        box, points = reduced.box, reduced.points
        last = None if previous is None else _prior(previous, picture)
        guesses = self._guess(picture, box, points) if last is None else [last]
        guess, frame, answer, score = self._best(picture, box, points, guesses)
        size = (embedding.height, embedding.width)
        pixels = frame.scaled(1 / scale[0], 1 / scale[1]).paste(answer, size, NOTHING) > 0
        obey(pixels, prompts.points)
        if previous is not None and previous.pixels.shape == pixels.shape:
            keep_direction(pixels, previous.pixels, prompts.points)
            obey(pixels, prompts.points)
        # Clicks correct the first look better than the second, which is more certain of its errors.
        shape = (picture.shape[0], picture.shape[1])
        logits = guess if last is None else frame.paste(answer, shape, NOTHING)
        return Mask(pixels, score, logits.astype(np.float16))

    def _guess(self, picture: Picture, box: Box | None, points: Sequence[Point]) -> list[Floats]:
        """Return (H, W) logits of the first look's hypotheses, the likeliest first."""
        frame = _frame(picture, box, points if box is not None else (), None)
        logits, quality = self._ask(picture, [frame], box, points, None)
        order = [int(number) for number in np.argsort(-quality[0])]
        guesses: list[Floats] = []
        for number in distinct(logits[0], order)[: GUESSES if box is None else BOX_GUESSES]:
            answer = _honest(logits[0, number], frame, box, points)
            guesses.append(frame.paste(answer, (picture.shape[0], picture.shape[1]), NOTHING))
        return guesses

    def _best(
        self, picture: Picture, box: Box | None, points: Sequence[Point], guesses: list[Floats]
    ) -> tuple[Floats, Frame, Floats, float]:
        """Look again at each hypothesis, or at the last mask, and choose the best-rated answer.

        Edges and colors of the picture refine it where the network is uncertain.

        Returns:
            Hypothesis, its frame, (S, S) logits in the frame, and the expected IoU.
        """
        frames = [_frame(picture, box, points, guess) for guess in guesses]
        logits, quality = self._ask(picture, frames, box, points, guesses)
        best = int(quality[:, 0].argmax())
        frame = frames[best]
        answer = with_contrast(frame.cut(picture, logits.shape[-1]), logits[best, 0])
        score = float(1 / (1 + np.exp(-quality[best, 0])))
        return guesses[best], frame, _honest(answer, frame, box, points), score

    @torch.inference_mode()
    def _ask(
        self,
        picture: Picture,
        frames: Sequence[Frame],
        box: Box | None,
        points: Sequence[Point],
        priors: Sequence[Floats] | None,
    ) -> tuple[Floats, Floats]:
        """Run the network on several frames, each with a prior if there are any.

        Returns:
            (B, 4, S, S) logits of the hypotheses, and (B, 4) logits of their expected IoUs.
        """
        lone_click = box is None and len(points) == 1
        side = LONE_CLICK_SIDE if lone_click else self._side
        cuts = [frame.cut(picture, side) for frame in frames]
        maps = np.zeros((len(frames), PROMPT_CHANNELS, side, side), np.float32)
        for number, (frame, cut, prompt) in enumerate(zip(frames, cuts, maps, strict=True)):
            prompt[:3] = frame.draw_prompt(box, points, side)
            if priors is not None:
                prompt[3] = 1 / (1 + np.exp(-frame.cut(priors[number], side)))
            prompt[4] = color_evidence(color_bins(cut), known_chances(prompt))
        views = as_input(torch.from_numpy(np.stack(cuts)).to(self.device), self._dtype)
        batch = torch.from_numpy(maps).to(self.device, self._dtype)
        logits, quality = self._network(self._network.look(views), batch)
        return logits.float().cpu().numpy(), quality.float().cpu().numpy()


def _side(weights: Weights) -> int:
    try:
        return int(weights.metadata["side"])
    except (KeyError, ValueError) as error:
        raise ModelError(
            f"The weights have no valid metadata: {error!r}",
            "they come from another version of segstudio; reinstall it",
        ) from error


def _reduced(height: int, width: int) -> tuple[int, int]:
    """Return height and width of the reduced picture."""
    shrink = min(1.0, LARGEST / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def _picture(embedding: Embedding) -> Picture:
    picture = embedding.tensors.get("picture")
    if picture is None or picture.dtype != torch.uint8:
        raise ModelError("This embedding is from another model.", "embed the image again")
    return np.asarray(picture, np.uint8)


def _prior(previous: Mask, picture: Picture) -> Floats | None:
    """Return the previous mask's logits, unless they are empty or of another picture."""
    logits = previous.logits.astype(np.float32)
    return logits if logits.shape == picture.shape[:2] and (logits > 0).any() else None


def _frame(
    picture: Picture, box: Box | None, points: Sequence[Point], prior: Floats | None
) -> Frame:
    """Return a frame around all that is known of the object: box, positive clicks, last mask."""
    known = [box] if box is not None else []
    found = bounds(prior > 0) if prior is not None else None
    if found is not None:
        known.append(found)
    known += [Box(p.x, p.y, p.x, p.y) for p in points if p.positive]
    if not known:
        return Frame.around(Box(0, 0, picture.shape[1], picture.shape[0]), 1.0)
    whole = Box(
        min(b.left for b in known),
        min(b.top for b in known),
        max(b.right for b in known),
        max(b.bottom for b in known),
    )
    if box is not None:
        return Frame.around(whole, MARGIN)
    return Frame.around(whole, MARGINS[min(len(points), len(MARGINS) - 1)])


def distinct(logits: Floats, order: Sequence[int]) -> list[int]:
    """Return the indices of hypotheses without near duplicates of better ones.

    Args:
        logits: Logits (K, S, S).
        order: Indices of the hypotheses, the best first.
    """
    masks = logits > 0
    kept: list[int] = []
    for number in order:
        shared = [(masks[number] & masks[other]).sum() for other in kept]
        unions = [(masks[number] | masks[other]).sum() for other in kept]
        if all(both < SAME * either for both, either in zip(shared, unions, strict=True)):
            kept.append(number)
    return kept


def _honest(answer: Floats, frame: Frame, box: Box | None, points: Sequence[Point]) -> Floats:
    """Return an answer in ``frame`` that obeys its clicks and its box, without specks."""
    answer = answer.copy()
    inside = frame.place(points, answer.shape[0])
    heed(answer, inside)
    tidy(answer, inside)
    return _without_spill(answer, frame, box, points)


def _without_spill(
    answer: Floats, frame: Frame, box: Box | None, points: Sequence[Point]
) -> Floats:
    """Remove what lies clearly outside the box, unless a positive click is there."""
    if box is None:
        return answer
    across, down = SPILL * (box.right - box.left), SPILL * (box.bottom - box.top)
    wider = Box(box.left - across, box.top - down, box.right + across, box.bottom + down)
    reached = [p for p in points if p.positive]
    if any(
        not (wider.left <= p.x <= wider.right and wider.top <= p.y <= wider.bottom) for p in reached
    ):
        return answer
    inside = frame.draw_prompt(wider, (), answer.shape[0])[0]
    return np.where(inside > 0, answer, np.float32(NOTHING))
