"""Things in photographs that nobody labeled, found with the published encoder."""

import numpy as np
import numpy.typing as npt

from ml_backend.models.efficientnet import EfficientNetLite
from ml_backend.models.imagenet import load_imagenet
from training.clicks import iou
from training.pseudo_objects import find_things


def disc(size: int = 60, x: int = 30, y: int = 30, radius: int = 15) -> npt.NDArray[np.bool_]:
    rows, columns = np.mgrid[:size, :size]
    return np.asarray(np.hypot(rows - y, columns - x) < radius)


def test_things_are_found_where_nobody_labeled_any() -> None:
    encoder = EfficientNetLite("lite0").eval()
    load_imagenet(encoder, "lite0")
    rng = np.random.default_rng(1)
    photo = rng.integers(90, 110, (240, 320, 3)).astype(np.uint8)
    truth = disc(320, 150, 120, 50)[:240]
    photo[truth] = photo[truth] // 3 + np.array((150, 20, 10), np.uint8)
    found = find_things(photo, encoder)
    assert found
    assert max(iou(truth, mask) for mask in found) > 0.85
    assert len(found) <= 5
