"""Find unlabeled things in photographs: parts that differ from everything around them.

Superpixels are merged by color and by the features of an ImageNet encoder into a tree (as in
selective search: Uijlings et al., 2013); the nodes that stay longest before they are merged stand
for things.
"""

import heapq
from collections.abc import Iterator, Sequence

import cv2
import numpy as np
import numpy.typing as npt
import torch

from ml_backend.models.efficientnet import EfficientNetLite, as_input
from sam_backend.models.frames import bounds
from training.clicks import Bools, iou
from training.data import Picture

LONGER = 320  # pixels; longer side of the picture that is searched
SPACING = 11  # pixels between superpixels
SMALLEST, LARGEST = 0.015, 0.5  # share of the picture
MOST = 5  # things of one picture
FILLED = 0.22  # least share of its box that a thing fills
CONTRAST = 14.0  # least mean difference of CIELAB colors across its edge
Floats = npt.NDArray[np.float32]


def find_things(picture: Picture, encoder: EfficientNetLite) -> list[Bools]:
    """Return at most ``MOST`` masks of parts that hold together, most distinct first.

    Args:
        picture: (H, W, 3) uint8 RGB.
        encoder: Encoder with ImageNet weights, in evaluation mode.

    Returns:
        (H, W) masks; two of them may contain each other, but are not nearly the same.
    """
    shrink = LONGER / max(picture.shape[:2])
    size = (round(picture.shape[1] * shrink), round(picture.shape[0] * shrink))
    small = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
    labels = _superpixels(small)
    count = int(labels.max()) + 1
    features = np.hstack(
        [_means(labels, count, channel) for channel in (_colors(small), *_deep(small, encoder))]
    )
    sizes = np.bincount(labels.ravel(), minlength=count)
    found: list[Bools] = []
    for members in _by_persistence(labels, features, sizes):
        mask = np.isin(labels, members)
        distinct = _thing_like(mask) and all(iou(mask, other) < 0.7 for other in found)
        if distinct and _contrast(small, mask) > CONTRAST:
            found.append(mask)
        if len(found) == MOST:
            break
    return [_enlarged(mask, picture.shape[:2]) for mask in found]


def _superpixels(picture: Picture) -> npt.NDArray[np.int32]:
    smooth = cv2.pyrMeanShiftFiltering(picture, 5, 12)
    height, width = picture.shape[:2]
    markers = np.zeros((height, width), np.int32)
    ys, xs = np.mgrid[SPACING // 2 : height : SPACING, SPACING // 2 : width : SPACING]
    markers[ys, xs] = np.arange(ys.size).reshape(ys.shape) + 1
    flooded = cv2.watershed(smooth, markers).astype(np.float32)
    for _ in range(4):  # lines between basins are -1: give them to a neighbor
        flooded = np.where(flooded < 1, cv2.dilate(flooded, np.ones((3, 3))), flooded)
    _, labels = np.unique(flooded, return_inverse=True)
    return np.asarray(labels.reshape(height, width), np.int32)


def _colors(picture: Picture) -> Floats:
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    return np.asarray(cv2.GaussianBlur(lab, (0, 0), 1.0) * (0.02, 0.047, 0.047), np.float32)


@torch.inference_mode()
def _deep(picture: Picture, encoder: EfficientNetLite) -> Iterator[Floats]:
    """Yield features at 1/8 and 1/16, enlarged to the picture, of comparable length."""
    height, width = (side // 32 * 32 for side in picture.shape[:2])
    fitted = cv2.resize(picture, (width, height))
    levels = encoder(as_input(torch.from_numpy(fitted)[None], torch.float32))
    for level, weight in ((2, 1.0), (3, 1.5)):
        values = levels[level][0].permute(1, 2, 0).numpy()
        values = (values - values.mean((0, 1))) / (values.std((0, 1)) + 1e-3)
        values = values * (weight / np.sqrt(values.shape[2]))
        size = (picture.shape[1], picture.shape[0])
        channels = [cv2.resize(values[..., c], size) for c in range(values.shape[2])]
        yield np.asarray(np.dstack(channels), np.float32)


def _means(labels: npt.NDArray[np.int32], count: int, values: Floats) -> Floats:
    flat, sizes = labels.ravel(), np.bincount(labels.ravel(), minlength=count)
    sums = [np.bincount(flat, values[..., c].ravel(), count) for c in range(values.shape[2])]
    return np.asarray(np.stack(sums, 1) / sizes[:, None], np.float32)


def _by_persistence(
    labels: npt.NDArray[np.int32], features: Floats, sizes: npt.NDArray[np.intp]
) -> list[npt.NDArray[np.intp]]:
    """Return the superpixels of each node of the merge tree, most persistent first."""
    count, area = len(sizes), labels.size
    means, weight = list(features), [float(size) for size in sizes]
    members = [np.array([number]) for number in range(count)]
    near = _neighbors(labels, count)
    born, died = [0.0] * count, [np.inf] * count

    def cost(a: int, b: int) -> float:
        smaller = min(weight[a], weight[b]) / area
        return float(np.square(means[a] - means[b]).sum()) * float(smaller**0.4)

    queue = [(cost(a, b), a, b) for a in range(count) for b in near[a] if a < b]
    heapq.heapify(queue)
    alive = set(range(count))
    while queue:
        height, a, b = heapq.heappop(queue)
        if a not in alive or b not in alive:
            continue
        new = len(means)
        total = weight[a] + weight[b]
        means.append((means[a] * weight[a] + means[b] * weight[b]) / total)
        weight.append(total)
        members.append(np.concatenate([members[a], members[b]]))
        born.append(max(height, born[a], born[b]))
        died[a] = died[b] = born[new]
        died.append(np.inf)
        near.append((near[a] | near[b]) - {a, b})
        alive -= {a, b}
        alive.add(new)
        for other in near[new] & alive:
            near[other].add(new)
            heapq.heappush(queue, (cost(new, other), new, other))
    shares = np.array(weight) / area
    lasting = np.log(np.array(died) / (np.array(born) + 1e-3))
    scores = np.where((shares > SMALLEST) & (shares < LARGEST), lasting * shares**0.4, 0)
    order = np.argsort(scores)[::-1]
    return [members[n] for n in order if 0 < scores[n] < np.inf]


def _neighbors(labels: npt.NDArray[np.int32], count: int) -> list[set[int]]:
    near: list[set[int]] = [set() for _ in range(count)]
    pairs = np.concatenate(
        [
            np.stack([labels[:, :-1].ravel(), labels[:, 1:].ravel()], 1),
            np.stack([labels[:-1].ravel(), labels[1:].ravel()], 1),
        ]
    )
    for a, b in np.unique(pairs[pairs[:, 0] != pairs[:, 1]], axis=0):
        near[a].add(int(b))
        near[b].add(int(a))
    return near


def _thing_like(mask: Bools) -> bool:
    """Return whether a mask fills its box and is not a border of the picture."""
    box = bounds(mask)
    if box is None:
        return False
    height, width = mask.shape
    sides = (box.left <= 0, box.top <= 0, box.right >= width, box.bottom >= height)
    filled = mask.sum() / ((box.right - box.left) * (box.bottom - box.top))
    return sum(sides) <= 2 and bool(filled >= FILLED)


def _contrast(picture: Picture, mask: Bools) -> float:
    """Return the mean difference of colors on the two sides of the edge, in CIELAB of 8 bits."""
    lab = cv2.cvtColor(picture, cv2.COLOR_RGB2LAB).astype(np.float32)
    inside = mask.astype(np.float32)
    sides = []
    for share in (inside, 1 - inside):
        weight = cv2.blur(share, (7, 7))[..., None] + 1e-3
        sides.append(cv2.blur(lab * share[..., None], (7, 7)) / weight)
    edge = cv2.dilate(inside, np.ones((3, 3))) > cv2.erode(inside, np.ones((3, 3)))
    return float(np.linalg.norm(sides[0] - sides[1], axis=2)[edge].mean())


def _enlarged(mask: Bools, size: Sequence[int]) -> Bools:
    soft = cv2.GaussianBlur(mask.astype(np.float32), (0, 0), 1.0)
    return np.asarray(cv2.resize(soft, (size[1], size[0]), interpolation=cv2.INTER_CUBIC) > 0.5)
