"""What a project is answered with before it has learned something, and afterwards."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest

from ml_backend.errors import LabelConfigError
from ml_backend.images import ImageSettings, ImageSource
from segmentation_backend.classes import NOT_LEARNED_YET
from segmentation_backend.learning.serving import LearnedModels
from segmentation_backend.learning.store import (
    CARD,
    LearnedVersion,
    ProjectKey,
    ProjectStore,
    write_json,
)
from segmentation_backend.models.base import Instance
from segmentation_backend.predictor import SegmentationPredictor
from segmentation_backend.settings import RegionSettings
from tests.support.learned import saving
from tests.unit.segmentation_backend.test_predictor import (
    ByColour,
    config,
    picture,
    predict,
    task,
)

PROJECT = ProjectKey(3, 1000)
OWN = config("BrushLabels", "sail kite")


class Learned:
    """Red is a sail."""

    version = "whatever"
    classes = ("background", "sail", "dress")

    def segment(self, images: Sequence[np.ndarray]) -> list[list[Instance]]:
        return [[Instance.of(image[..., 0] > 100, 1, 0.7)] for image in images]


class Bench:
    """A predictor of a process that may learn."""

    def __init__(self, folder: Path, learns: bool) -> None:
        self.root = folder / "learned"
        images = ImageSource(ImageSettings(image_cache_dir=folder / "images"))
        learned = LearnedModels(self.root, lambda _: Learned(), 8, lambda _: None)
        self.predictor = SegmentationPredictor(
            ByColour(),
            images,
            RegionSettings(min_region_fraction=0.001),
            learned=learned,
            learns=learns,
        )

    def learn(self) -> LearnedVersion:
        def describe(version: LearnedVersion) -> None:
            write_json(version.folder / CARD, {"classes": Learned.classes})

        store = ProjectStore(self.root, PROJECT)
        return store.add(saving("model"), describe)


def test_labels_that_nothing_knows_are_accepted_with_a_remark_where_they_can_be_learned(
    tmp_path: Path,
) -> None:
    bench = Bench(tmp_path, learns=True)
    assert bench.predictor.check(OWN) == NOT_LEARNED_YET
    assert bench.predictor.check(config("BrushLabels")) == ""
    assert (
        predict(bench.predictor, task(picture()), task(picture()), label_config=OWN) == [None] * 2
    )
    with pytest.raises(LabelConfigError, match="no BrushLabels"):
        bench.predictor.check(config("Choices"))


def test_they_are_refused_where_nothing_is_learned(tmp_path: Path) -> None:
    with pytest.raises(LabelConfigError, match="no label of 'c' is known to the model"):
        Bench(tmp_path, learns=False).predictor.check(OWN)


@pytest.mark.parametrize("learns", [True, False])
def test_a_project_gets_its_own_models_masks_and_version_and_others_do_not(
    tmp_path: Path, learns: bool
) -> None:
    bench = Bench(tmp_path, learns)
    version = bench.learn()
    served = bench.predictor.for_project(str(PROJECT))
    assert served.model_version == version.name
    assert served.classes == Learned.classes
    assert served.check(OWN) == ""
    (answer,) = predict(served, task(picture()), label_config=OWN)
    assert answer.model_version == version.name
    assert [(r.value["brushlabels"], r.score) for r in answer.result] == [(["sail"], 0.7)]
    assert bench.predictor.for_project("4.1000") is bench.predictor


def test_learned_labels_reach_no_label_by_synonyms(tmp_path: Path) -> None:
    bench = Bench(tmp_path, learns=True)
    bench.learn()
    served = bench.predictor.for_project(str(PROJECT))
    assert served.check(config("BrushLabels", "dresses")) == NOT_LEARNED_YET
    assert bench.predictor.check(config("BrushLabels", "dresses")) == ""
