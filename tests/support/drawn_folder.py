"""A small data set of drawn people, in the layout that training reads."""

import json

import cv2
import numpy as np
import pytest

from synthetic.people import draw_figure
from training.data import Folder

NAMES = ("null", "hair", "skin", "dress", "shirt", "t-shirt", "pants", "skirt", "coat", "shoes")
OWNERS = {"jersey shirt": "t-shirt", "footwear": "shoes"}


@pytest.fixture(scope="session")
def drawn_folder(tmp_path_factory: pytest.TempPathFactory) -> Folder:
    """Twelve people with masks, and three with tags next to them."""
    root = tmp_path_factory.mktemp("data")
    labelled, tagged = root / "labelled", root / "unlabelled"
    for folder in (labelled / "photos", labelled / "masks", tagged / "photos"):
        folder.mkdir(parents=True)
    (root / "labels.json").write_text(json.dumps(NAMES))
    for seed in range(12):
        figure = draw_figure(seed, 240, 160)
        mask = np.zeros((240, 160), np.uint8)
        for label, pixels in (*figure.masks.items(), *figure.body.items()):
            name = OWNERS.get(label, label)
            mask[pixels] = NAMES.index(name) if name in NAMES else 0
        cv2.imwrite(str(labelled / "photos" / f"{seed:04}.jpg"), figure.image[..., ::-1])
        cv2.imwrite(str(labelled / "masks" / f"{seed:04}.png"), mask)
    tags = {}
    for seed in range(20, 23):
        figure = draw_figure(seed, 240, 160)
        cv2.imwrite(str(tagged / "photos" / f"{seed:04}.jpg"), figure.image[..., ::-1])
        tags[f"{seed:04}"] = ["null", "skin", "hair", "dress", "shoes"]
    (tagged / "tags.json").write_text(json.dumps(tags))
    return Folder.open(labelled)
