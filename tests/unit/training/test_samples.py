"""What the networks are shown: the same for the same seed, and truth that fits the picture."""

import cv2
import numpy as np
import numpy.typing as npt
import pytest

from sam_backend.models.base import Box
from sam_backend.models.frames import Frame, bounds
from synthetic.scenes import draw_scene
from training import augment, garment_samples, interactive
from training.clicks import centre_of, iou, next_click, random_inside
from training.collages import Collages, OpenPictures
from training.data import Folder
from training.grabcut import grab_cut
from training.objects import Found, Garments, Scenes, Things, load_annotated
from training.taxonomy import CLASSES

SOURCES = ["garments", "collages", "collages of open pictures", "scenes", "things"]


def disc(size: int = 60, x: int = 30, y: int = 30, radius: int = 15) -> npt.NDArray[np.bool_]:
    rows, columns = np.mgrid[:size, :size]
    return np.asarray(np.hypot(rows - y, columns - x) < radius)


def test_views_are_the_same_for_the_same_seed(drawn_folder: Folder) -> None:
    examples = garment_samples.load_labelled(drawn_folder, drawn_folder.photographs()[:4])
    tagged = garment_samples.load_tagged(drawn_folder.path.parent / "unlabelled")
    views = garment_samples.Views(examples, tagged, (96, 64), seed=3, drawn=0.2)
    for number in range(12):
        photo, labels, tags = views[number]
        again = views[number]
        assert np.array_equal(photo, again[0])
        assert np.array_equal(labels, again[1])
        assert np.array_equal(tags, again[2])
    assert not np.array_equal(views[0][0], views[1][0])


def test_a_garment_of_another_person_comes_with_its_label_and_its_tag(
    drawn_folder: Folder, monkeypatch: pytest.MonkeyPatch
) -> None:
    coat = CLASSES.index("coat")  # drawn people wear it, and none of those below
    monkeypatch.setattr(garment_samples, "PASTED", (coat,))
    monkeypatch.setattr(garment_samples, "ADORNED", 1.0)
    examples = garment_samples.load_labelled(drawn_folder, drawn_folder.photographs())
    without = [example for example in examples if not example.tags[coat]]
    views = garment_samples.Views(without, [], (96, 64), seed=3, drawn=0.0)
    assert not views.donors[coat]
    views.donors[coat] = [example for example in examples if example.tags[coat]]
    found = [views[number] for number in range(20)]
    assert any(tags[coat] for _, _, tags in found)
    assert all((labels == coat).any() == tags[coat] for _, labels, tags in found)


def test_tagged_photographs_have_no_labels_of_their_own(drawn_folder: Folder) -> None:
    tagged = garment_samples.load_tagged(drawn_folder.path.parent / "unlabelled")
    assert len(tagged) == 3
    assert all((example.labels == garment_samples.UNKNOWN).all() for example in tagged)


def test_a_view_moves_photograph_and_labels_alike() -> None:
    rng = np.random.default_rng(0)
    for _ in range(10):
        mask = disc(200, 120, 90, 50).astype(np.uint8)
        view = augment.random_view(rng, (200, 200), (128, 96))
        seen = augment.warp(np.repeat(mask[..., None] * np.uint8(255), 3, 2), view, (128, 96))
        labels = augment.warp_labels(mask, view, (128, 96))
        assert iou(labels > 0, seen[..., 0] > 127) > 0.9 or not labels.any()


@pytest.fixture(scope="module")
def open_pictures(tmp_path_factory: pytest.TempPathFactory) -> OpenPictures:
    """Read a red disc on nothing, a green meadow, and what is no use."""
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "stamps").mkdir()
    cut_out = np.zeros((60, 60, 4), np.uint8)
    cut_out[disc()] = (0, 0, 255, 255)
    cv2.imwrite(str(folder / "stamps" / "disc.png"), cut_out)
    cv2.imwrite(str(folder / "stamps" / "empty.png"), np.zeros((60, 60, 4), np.uint8))
    cv2.imwrite(str(folder / "meadow.png"), np.full((90, 1920, 3), (0, 255, 0), np.uint8))
    (folder / "broken.png").write_bytes(b"no picture")
    return OpenPictures.read(folder)


def test_open_pictures_are_things_if_transparent_and_else_scenery(
    open_pictures: OpenPictures,
) -> None:
    assert [len(files) for files in open_pictures.cutouts] == [1]
    (meadow,) = open_pictures.scenery
    assert meadow.shape == (45, 960, 3)
    assert (meadow == (0, 255, 0)).all()
    picture, mask = open_pictures.draw(np.random.default_rng(0))
    assert np.array_equal(mask, disc())
    assert (picture[mask] == (255, 0, 0)).all()


@pytest.fixture(scope="module")
def sources(drawn_folder: Folder, open_pictures: OpenPictures) -> dict[str, interactive.Source]:
    """Every kind of source of objects, from a few drawn people."""
    photographs = load_annotated(drawn_folder, drawn_folder.photographs()[:4])
    garments, scenes = Garments(photographs), Scenes()
    photos = [each.photo for each in photographs]
    things = [
        Found(each.photo, np.packbits(each.mask[None] == each.regions[0][0], axis=2))
        for each in photographs
    ]
    return {
        "garments": garments,
        "collages": Collages(photos, garments, scenes),
        "collages of open pictures": Collages(photos, garments, scenes, open_pictures),
        "scenes": scenes,
        "things": Things(things),
    }


@pytest.mark.parametrize("name", SOURCES)
def test_crops_are_the_same_for_the_same_seed_and_prompts_touch_the_object(
    sources: dict[str, interactive.Source], name: str
) -> None:
    crops = interactive.Crops([sources[name]], [1.0], 64, seed=5)
    for number in range(12):
        photo, truth, maps = crops[number]
        assert all(
            np.array_equal(a, b) for a, b in zip(crops[number], (photo, truth, maps), strict=True)
        )
        assert photo.shape == (64, 64, 3)
        assert maps.shape == (5, 64, 64)
        assert maps[:4].any()
        clicked = maps[1] > 0
        assert not clicked.any() or (clicked & (truth > 0)).any()


@pytest.mark.parametrize("name", SOURCES)
def test_objects_are_in_their_pictures(sources: dict[str, interactive.Source], name: str) -> None:
    rng = np.random.default_rng(0)
    for _ in range(8):
        picture, mask = sources[name].draw(rng)
        assert picture.dtype == np.uint8
        assert picture.shape[:2] == mask.shape
        assert mask.any()


def test_scenes_have_things_that_do_not_overlap() -> None:
    for seed in range(8):
        image, masks = draw_scene(seed, 96)
        assert image.shape[2] == 3
        assert np.max(sum(mask.astype(int) for mask in masks)) <= 1


def test_the_next_click_goes_where_most_is_wrong() -> None:
    truth, answer = disc(radius=20), disc(radius=20)
    answer[:28] = False
    click = next_click(truth, answer)
    assert click is not None
    assert click.positive
    assert (truth & ~answer)[int(click.y), int(click.x)]
    click = next_click(answer, truth)
    assert click is not None
    assert not click.positive
    assert next_click(truth, truth) is None


def test_a_hand_clicks_anywhere_in_the_mistake() -> None:
    truth, nothing = disc(radius=20), disc(radius=0)
    hand = np.random.default_rng(0)
    clicks = [next_click(truth, nothing, hand) for _ in range(20)]
    assert len(set(clicks)) > 10
    assert all(c is not None and c.positive and truth[int(c.y), int(c.x)] for c in clicks)


def test_clicks_are_inside() -> None:
    rng = np.random.default_rng(0)
    mask = disc() & ~disc(radius=8)
    for x, y in (centre_of(mask), *(random_inside(rng, mask) for _ in range(20))):
        assert mask[y, x]


def test_a_frame_puts_back_what_it_cut() -> None:
    mask = disc(200, 120, 90, 40)
    box = bounds(mask)
    assert box is not None
    frame = Frame.around(box, 1.4)
    cut = frame.cut((mask * np.float32(20) - 10).astype(np.float32), 128)
    assert iou(mask, frame.paste(cut, mask.shape, -10.0) > 0) > 0.97


@pytest.mark.parametrize("box", [Box(-50, -50, 20, 20), Box(190, 150, 400, 160), Box(5, 5, 5, 5)])
def test_a_frame_may_reach_beyond_the_picture(box: Box) -> None:
    frame = Frame.around(box, 1.4)
    picture = np.random.default_rng(0).integers(0, 255, (200, 220, 3), np.uint8)
    assert frame.cut(picture, 32).shape == (32, 32, 3)
    assert frame.paste(np.ones((32, 32), np.float32), (200, 220), -1.0).shape == (200, 220)


def test_grabcut_finds_a_plain_disc() -> None:
    truth = disc(120, 60, 60, 30)
    image = np.where(truth[..., None], (200, 40, 40), (30, 60, 160)).astype(np.uint8)
    image = image + np.random.default_rng(0).integers(0, 20, image.shape, np.uint8)
    box = bounds(truth)
    assert box is not None
    assert iou(truth, grab_cut(image, box)) > 0.95
