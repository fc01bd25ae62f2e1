"""The promptable network that ships with the project: no download, runs on a CPU.

The embedding is the picture itself, reduced. A prompt is looked at twice: first the box, or for
clicks the whole picture, which gives several guesses of what is meant; then, for each guess, the
part of the picture that it is about, with the guess in view. The answer that the network's own
judge likes best is given. A further click has the last mask for its only guess.
"""

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ml_backend.errors import ModelError
from ml_backend.models.blocks import Weights, fast_dtype, prepare, read_weights
from ml_backend.models.efficientnet import as_input
from sam_backend.models.base import Box, Embedding, Layout, Mask, Point, Prompts
from sam_backend.models.colours import color_bins, color_evidence, known_chances
from sam_backend.models.contrast import with_contrast
from sam_backend.models.frames import Floats, Frame, Picture, bounds
from sam_backend.models.honest_clicks import heed, keep_direction, obey, tidy
from sam_backend.models.network import PROMPT_CHANNELS, PromptNetwork

WEIGHTS: Final = Path(__file__).with_name("embedded.safetensors")
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
    """Holds the network and nothing of any image; threads may share it.

    Args:
        network: Ready to answer, in the type that ``fast_dtype`` names for ``device``.
        version: Of the weights.
        side: Of the network's square input, in pixels.
        device: "cpu" or "cuda".
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
        """Read the shipped weights, or those at ``path``.

        Raises:
            ModelError: They are missing, damaged or of another network.
        """
        weights = read_weights(path or WEIGHTS)
        network = PromptNetwork()
        prepare(network, weights, device)
        return cls(network, f"embedded-3-{weights.digest}", _side(weights), device)

    @property
    def input_side(self) -> None:
        """None: the network looks at the part of the picture that a prompt is about."""

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
        """Find one object; see ``PromptableModel.segment``.

        Raises:
            ModelError: The embedding is not of this model.
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
        # Clicks correct the first look better than the second, which is surer of its mistakes.
        shape = (picture.shape[0], picture.shape[1])
        logits = guess if last is None else frame.paste(answer, shape, NOTHING)
        return Mask(pixels, score, logits.astype(np.float16))

    def _guess(self, picture: Picture, box: Box | None, points: Sequence[Point]) -> list[Floats]:
        """Return (H, W) logits of what may be meant, likeliest first: the first look."""
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
        """Look again at each guess, or last mask, and choose the answer that the judge likes best.

        Edges and colors of the picture move it where the network is not sure.

        Returns:
            The guess, the frame it was looked at in, (S, S) logits in it, and the expected IoU.
        """
        frames = [_frame(picture, box, points, guess) for guess in guesses]
        logits, quality = self._ask(picture, frames, box, points, guesses)
        best = int(quality[:, 0].argmax())
        frame = frames[best]
        answer = with_contrast(frame.cut(picture, self._side), logits[best, 0])
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
        """Ask the network about several frames, each with a prior if there are any.

        Returns:
            (B, 4, S, S) logits of the hypotheses, and (B, 4) logits of their expected IoUs.
        """
        cuts = [frame.cut(picture, self._side) for frame in frames]
        maps = np.zeros((len(frames), PROMPT_CHANNELS, self._side, self._side), np.float32)
        for number, (frame, cut, prompt) in enumerate(zip(frames, cuts, maps, strict=True)):
            prompt[:3] = frame.draw_prompt(box, points, self._side)
            if priors is not None:
                prompt[3] = 1 / (1 + np.exp(-frame.cut(priors[number], self._side)))
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
            f"The weights do not say how to use them: {error!r}",
            "they were made by another version of segstudio; reinstall it",
        ) from error


def _reduced(height: int, width: int) -> tuple[int, int]:
    """Height and width of the reduced picture."""
    shrink = min(1.0, LARGEST / max(height, width))
    return max(1, round(height * shrink)), max(1, round(width * shrink))


def _picture(embedding: Embedding) -> Picture:
    picture = embedding.tensors.get("picture")
    if picture is None or picture.dtype != torch.uint8:
        raise ModelError("This embedding was made by another model.", "embed the image anew")
    return np.asarray(picture, np.uint8)


def _prior(previous: Mask, picture: Picture) -> Floats | None:
    """The previous mask's logits, unless they are empty or of another picture."""
    logits = previous.logits.astype(np.float32)
    return logits if logits.shape == picture.shape[:2] and (logits > 0).any() else None


def _frame(
    picture: Picture, box: Box | None, points: Sequence[Point], prior: Floats | None
) -> Frame:
    """Around all that is known of the object: its box, its positive clicks, its last mask."""
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
    """Return the numbers of those hypotheses that are not nearly another one before them.

    Args:
        logits: (K, S, S).
        order: Their numbers, best first.
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
    """Forget what lies clearly outside the box, unless a positive click is there."""
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
