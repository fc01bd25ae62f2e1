"""Draw the pictures of the model cards: ``python -m training.cards``.

Drawn people only: no photograph of the data set may be published.
"""

import argparse
from pathlib import Path

import cv2
import numpy as np

from sam_backend.models.base import Point, Prompts
from sam_backend.models.embedded import EmbeddedPromptableModel
from sam_backend.models.frames import bounds
from segmentation_backend.models.embedded import EmbeddedGarmentModel
from synthetic.people import Figure, draw_figure
from training.clicks import Bools, centre_of
from training.data import Picture
from training.garment_evaluation import PALETTE
from training.taxonomy import CLASSES

SIZE = (360, 240)
SEEDS = (9001, 9004, 9006, 9011)


def garments_picture(model: EmbeddedGarmentModel) -> Picture:
    """Draw rows of drawing, truth and answer."""
    columns = []
    for figure in (draw_figure(seed, *SIZE) for seed in SEEDS):
        truth = np.zeros(SIZE, np.uint8)
        for name, mask in (*figure.masks.items(), *figure.body.items()):
            truth[mask] = CLASSES.index(name)
        answer = model.classify([figure.image])[0].indices
        columns.append(np.vstack([figure.image, PALETTE[truth], PALETTE[answer]]))
    return np.hstack(columns)


def prompts_picture(model: EmbeddedPromptableModel) -> Picture:
    """Draw the answer to a box above, the answer to a click below."""
    columns = []
    for figure in (draw_figure(seed, *SIZE) for seed in SEEDS):
        truth, embedding = _largest(figure), model.embed(figure.image)
        box = bounds(truth)
        boxed = _outlined(figure.image, model.segment(embedding, Prompts(box)).pixels)
        if box is not None:
            corners = np.array((box.left, box.top, box.right, box.bottom), np.int32).tolist()
            cv2.rectangle(boxed, corners[:2], corners[2:], (255, 220, 0), 2)
        x, y = centre_of(truth)
        prompts = Prompts(points=(Point(x + 0.5, y + 0.5),))
        clicked = _outlined(figure.image, model.segment(embedding, prompts).pixels)
        cv2.circle(clicked, (x, y), 5, (255, 220, 0), cv2.FILLED)
        columns.append(np.vstack([boxed, clicked]))
    return np.hstack(columns)


def _largest(figure: Figure) -> Bools:
    return max(figure.masks.values(), key=np.count_nonzero)


def _outlined(image: Picture, mask: Bools) -> Picture:
    drawn = image.copy()
    drawn[~mask] //= 3
    edges, _ = cv2.findContours(mask.astype(np.uint8), cv2.RETR_CCOMP, cv2.CHAIN_APPROX_NONE)
    cv2.drawContours(drawn, edges, -1, (255, 255, 255), 1)
    return drawn


def main() -> None:
    """Draw both pictures with the shipped weights."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("docs/models"))
    out = parser.parse_args().out
    pictures = {
        "embedded-garments.png": garments_picture(EmbeddedGarmentModel.load()),
        "embedded-prompts.png": prompts_picture(EmbeddedPromptableModel.load()),
    }
    for name, picture in pictures.items():
        cv2.imwrite(str(out / name), picture[..., ::-1])


if __name__ == "__main__":
    main()
