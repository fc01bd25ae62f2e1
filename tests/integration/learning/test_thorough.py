"""Fine-tuning on drawn pictures: a network of a project's own, saved, loaded and gated."""

from pathlib import Path

import pytest
import torch

from segmentation_backend.learning.example import LearningSet
from segmentation_backend.learning.fine_tuned import FineTunedModel, adapted
from segmentation_backend.learning.outcome import LearningError
from segmentation_backend.learning.project_model import load_project_model
from segmentation_backend.learning.quick import learn_quick
from segmentation_backend.learning.thorough import learn_thorough
from segmentation_backend.models.embedded import EmbeddedGarmentModel
from segmentation_backend.models.network import GarmentNetwork
from tests.support.drawn_labels import LABELS, draw_things, drawn_set


class Watcher:
    def __init__(self) -> None:
        self.steps: list[str] = []

    def step(self, text: str, done: int, total: int) -> None:
        self.steps.append(f"{text} {done}/{total}")

    def drop(self, identity: str, reason: str) -> None:
        pytest.fail(reason)


@pytest.fixture(scope="module")
def base() -> EmbeddedGarmentModel:
    return EmbeddedGarmentModel.load()


def test_a_fine_tuned_network_finds_new_labels_and_survives_a_restart(
    base: EmbeddedGarmentModel, tmp_path: Path
) -> None:
    watcher = Watcher()
    learned = learn_thorough(drawn_set(26), base, tmp_path / "cache", watcher, most_steps=40)
    assert learned.promoted, learned.reason
    assert learned.model.classes == LABELS
    assert "training 40/40" in watcher.steps
    learned.model.save(tmp_path / "model.safetensors")
    loaded = load_project_model(tmp_path / "model.safetensors", base)
    assert isinstance(loaded, FineTunedModel)
    image, mask = draw_things(1001)
    (before,), (after,) = learned.model.segment([image]), loaded.segment([image])
    assert [each.class_index for each in before] == [each.class_index for each in after]
    ball = next(each for each in after if LABELS[each.class_index] == "ball")
    true = mask == 1
    assert (ball.mask & true).sum() / (ball.mask | true).sum() > 0.5
    quick = learn_quick(drawn_set(26), loaded, tmp_path / "cache", Watcher())
    assert quick.figures.old == pytest.approx(learned.figures.new, abs=0.02)


def test_few_images_are_for_quick_learning(base: EmbeddedGarmentModel, tmp_path: Path) -> None:
    data = LearningSet(LABELS, drawn_set(26).examples[:20])
    with pytest.raises(LearningError, match="20 annotated images are too few"):
        learn_thorough(data, base, tmp_path, Watcher())


def test_labels_that_match_a_class_start_with_its_rows() -> None:
    shipped = GarmentNetwork(5).state_dict()
    start = GarmentNetwork(3)
    start.load_state_dict(adapted(shipped, [0, None, 4]))
    for new, old in ((0, 0), (2, 4)):
        rows = start.head.weight[new * 4 : new * 4 + 4]
        assert torch.equal(rows, shipped["head.weight"][old * 4 : old * 4 + 4])
        assert torch.equal(start.presence.weight[new], shipped["presence.weight"][old])
    assert bool((start.state_dict()["head.bias"][4:8] < shipped["head.bias"][:4]).all())
