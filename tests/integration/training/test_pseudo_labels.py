"""Labels that the shipped network gives to tagged photographs."""

from pathlib import Path

import numpy as np

from segmentation_backend.models.embedded import EmbeddedGarmentModel
from training.data import Folder
from training.garment_samples import DISPUTED, load_labelled, load_tagged
from training.pseudo_labels import least_shares, pseudo_label


def test_labels_are_among_the_tags_and_never_at_a_border(
    drawn_folder: Folder, tmp_path: Path
) -> None:
    tagged = load_tagged(drawn_folder.path.parent / "unlabelled")
    least = least_shares(load_labelled(drawn_folder, drawn_folder.photographs()[:4]))
    model = EmbeddedGarmentModel.load()
    for example in pseudo_label(model, tagged, least, tmp_path / "labels.npy"):
        known = example.labels < DISPUTED
        assert 0.1 < known.mean() < 1
        assert example.tags[np.unique(example.labels[known])].all()
        for first, second in (
            (example.labels[1:], example.labels[:-1]),
            (example.labels[:, 1:], example.labels[:, :-1]),
        ):
            both = (first < DISPUTED) & (second < DISPUTED)
            assert (first == second)[both].all()
