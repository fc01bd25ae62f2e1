"""The three programs, run for a few steps on drawn people."""

import csv
import json
import shutil
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import cv2
import numpy as np
import pytest
import torch

from ml_backend.models.blocks import read_weights
from ml_backend.models.efficientnet import EfficientNetLite
from ml_backend.models.imagenet import load_imagenet
from sam_backend.models import embedded
from sam_backend.models.embedded import EmbeddedPromptableModel
from sam_backend.models.network import PromptNetwork
from segmentation_backend.models import embedded as garments
from segmentation_backend.models.embedded import EmbeddedGarmentModel
from segmentation_backend.models.network import GarmentNetwork
from training import (
    average,
    calibration,
    evaluate,
    interactive,
    metrics,
    prompt_evaluation,
    segmentation,
)
from training.chapters import CHAPTERS
from training.data import DataError, Folder
from training.intervals import bootstrap_intervals
from training.loop import Options, Run
from training.taxonomy import CLASSES


@pytest.fixture
def options(tmp_path: Path) -> Options:
    return Options(tmp_path / "run", samples=48, seed=1, device="cpu", rate=1e-3)


def part_of(folder: Folder, path: Path, count: int) -> Path:
    """The first photographs of a folder, in one of their own."""
    (path / "photos").mkdir(parents=True)
    (path / "masks").mkdir()
    for photograph in folder.photographs()[:count]:
        mask = folder.path / "masks" / f"{photograph.stem}.png"
        shutil.copy(photograph, path / "photos")
        shutil.copy(mask, path / "masks")
    (path / "labels.json").write_text(json.dumps(folder.names))
    return path


def test_segmentation_trains_labels_the_tagged_and_exports(
    drawn_folder: Folder, options: Options
) -> None:
    tagged = drawn_folder.path.parent / "unlabelled"
    run = segmentation.train(options, drawn_folder, tagged, workers=1)
    assert run.seen == 48
    path = segmentation.export_calibrated(run, drawn_folder)
    assert EmbeddedGarmentModel.load(path).classes == CLASSES
    with (options.run / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert {"samples", "loss", "clothes_iou", "group_iou"} <= rows[-1].keys()
    assert (options.run / "log.png").exists()
    assert list(options.run.glob("pseudo-labels-*.npy"))


def test_interactive_trains_from_imagenet_and_is_resumed(
    drawn_folder: Folder, options: Options
) -> None:
    tagged = drawn_folder.path.parent / "unlabelled"
    theirs = EfficientNetLite("lite0")
    load_imagenet(theirs, "lite0")
    begun = interactive.train(replace(options, samples=0), drawn_folder, tagged, workers=0)
    mine = begun.network.encoder.state_dict()
    assert all(torch.equal(mine[n], t) for n, t in theirs.state_dict().items())

    first = interactive.train(replace(options, samples=16), drawn_folder, tagged, workers=0)
    found = (options.run / "things.npz").stat().st_mtime_ns
    resumed = interactive.train(replace(options, samples=32), drawn_folder, tagged, workers=0)
    assert (first.seen, resumed.seen) == (16, 32)
    assert (options.run / "things.npz").stat().st_mtime_ns == found
    rows = (options.run / "log.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows] == ["samples", "16", "32"]
    again = Run(PromptNetwork(), replace(options, only_export=True))
    assert torch.equal(again.average.head.weight, resumed.average.head.weight)
    trained = resumed.network.encoder.state_dict()
    changed = {n.split(".")[0:2][-1] for n, t in trained.items() if not torch.equal(mine[n], t)}
    assert {"2", "6"} <= changed  # stages that see the prompt
    assert not {"conv", "norm", "0", "1"} & changed  # what sees the picture alone is frozen


def test_interactive_needs_no_unlabeled_photographs(
    drawn_folder: Folder, options: Options, tmp_path: Path
) -> None:
    run = interactive.train(
        replace(options, samples=16), drawn_folder, tmp_path / "nothing", workers=0
    )
    assert run.seen == 16


def test_interactive_trains_on_from_weights_as_its_command_says(
    drawn_folder: Folder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    pictures = tmp_path / "pictures" / "stamps"
    pictures.mkdir(parents=True)
    cut_out = np.zeros((60, 60, 4), np.uint8)
    cut_out[20:40, 20:40] = (0, 0, 255, 255)
    cv2.imwrite(str(pictures / "square.png"), cut_out)
    command = ["interactive", "--data", str(drawn_folder.path), "--run", str(tmp_path / "run")]
    command += ["--pictures", str(pictures.parent), "--unlabeled", str(tmp_path / "nothing")]
    command += ["--samples", "16", "--workers", "1", "--start", str(embedded.WEIGHTS)]
    monkeypatch.setattr(sys, "argv", command)
    interactive.main()
    trained = read_weights(tmp_path / "run" / "embedded.safetensors").tensors
    for name, before in read_weights(embedded.WEIGHTS).tensors.items():
        if before.ndim > 1:  # no statistics of batches
            assert torch.allclose(trained[name], before, atol=1e-2)  # one step at a low rate
    assert EmbeddedPromptableModel.load(tmp_path / "run" / "embedded.safetensors")

    run, mean = str(tmp_path / "run"), str(tmp_path / "mean")
    monkeypatch.setattr(sys, "argv", ["average", run, run, "--run", mean])
    average.main()
    command = ["interactive", "--data", str(drawn_folder.path), "--run", mean, "--export"]
    monkeypatch.setattr(sys, "argv", command)
    interactive.main()
    assert EmbeddedPromptableModel.load(tmp_path / "mean" / "embedded.safetensors")


def test_the_mean_of_runs_that_train_on_from_weights_is_exported_as_the_commands_say(
    drawn_folder: Folder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    one, two, mean = (tmp_path / name for name in ("one", "two", "mean"))

    def run(program: Callable[[], None], *arguments: str) -> None:
        monkeypatch.setattr(sys, "argv", ["program", *arguments])
        program()

    common = ["--data", str(drawn_folder.path), "--tagged", str(tmp_path / "nothing")]
    further = [*common, "--start", str(garments.WEIGHTS), "--samples", "16", "--workers", "0"]
    run(segmentation.main, *further, "--run", str(one))
    run(segmentation.main, *further, "--run", str(two), "--seed", "2")
    run(average.main, str(one), str(two), "--run", str(mean))
    run(segmentation.main, *common, "--run", str(mean), "--export")
    ours, *theirs = (
        read_weights(folder / "embedded.safetensors").tensors for folder in (mean, one, two)
    )
    for name, before in read_weights(garments.WEIGHTS).tensors.items():
        if before.ndim > 1:
            middle = (theirs[0][name].float() + theirs[1][name].float()) / 2
            assert torch.allclose(ours[name].float(), middle, atol=1e-3)
            assert torch.allclose(ours[name].float(), before.float(), atol=1e-2)  # one step
    assert EmbeddedGarmentModel.load(mean / "embedded.safetensors").classes == CLASSES


def test_a_stopped_segmentation_goes_on_with_what_it_had(
    drawn_folder: Folder, options: Options
) -> None:
    tagged = drawn_folder.path.parent / "unlabelled"
    options = replace(options, samples=32)
    first = segmentation.train(options, drawn_folder, tagged, workers=0)
    labelled = {path: path.read_bytes() for path in options.run.glob("pseudo-labels-*.npy")}
    again = Run(GarmentNetwork(len(CLASSES)), options)
    for name in ("network", "average"):
        states = [getattr(run, name).state_dict() for run in (first, again)]
        assert all(torch.equal(value, states[1][key]) for key, value in states[0].items())
    moments = [run.optimizer.state_dict()["state"] for run in (first, again)]
    assert moments[0]
    assert all(
        torch.equal(moments[0][key]["exp_avg"], moments[1][key]["exp_avg"]) for key in moments[0]
    )
    further = segmentation.train(replace(options, samples=48), drawn_folder, tagged, workers=0)
    assert (first.seen, further.seen) == (32, 48)
    assert labelled
    assert all(path.read_bytes() == before for path, before in labelled.items())


def test_labelling_that_was_killed_is_done_again(drawn_folder: Folder, options: Options) -> None:
    options.run.mkdir()
    labels = options.run / f"pseudo-labels-{len(CHAPTERS) - 1}.npy"
    labels.with_suffix(".partial.npy").write_bytes(b"half of")
    tagged = drawn_folder.path.parent / "unlabelled"
    segmentation.train(replace(options, samples=32), drawn_folder, tagged, workers=0)
    assert np.load(labels).shape[0] == 3


def test_a_run_that_is_not_there_cannot_be_exported(options: Options) -> None:
    with pytest.raises(DataError, match="nothing to export"):
        Run(PromptNetwork(), replace(options, only_export=True))


def test_evaluate_prints_and_saves_tables_and_contact_sheets(
    drawn_folder: Folder,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    few = part_of(drawn_folder, tmp_path / "few", 3)
    monkeypatch.setattr(prompt_evaluation, "UNSEEN_SCENES", range(9000, 9002))
    command = ["evaluate", "--data", str(few), "--out", str(tmp_path / "out")]
    monkeypatch.setattr(sys, "argv", command)
    evaluate.main()
    printed = capsys.readouterr().out
    assert "clothes_iou" in printed
    assert printed.count("GrabCut") == 2
    saved = {path.name for path in (tmp_path / "out").iterdir()}
    assert saved == {"tables.txt", "segmentation.png", "interactive.png"}


def test_every_photograph_is_in_one_part_and_the_whole_is_measured_if_asked(
    drawn_folder: Folder,
) -> None:
    photographs = drawn_folder.photographs()
    parts = evaluate.parts_of(drawn_folder, whole=False)
    assert parts["test"] == [photographs[4]]
    assert parts["validation"] == [photographs[9]]
    assert sorted(path for part in parts.values() for path in part) == photographs
    assert evaluate.parts_of(drawn_folder, whole=True) == {"all": photographs}


def test_an_interval_holds_the_figure_and_is_narrower_with_more_photographs() -> None:
    rng = np.random.default_rng(0)
    pants, classes = CLASSES.index("pants"), len(CLASSES)
    counts = np.zeros((80, classes, classes), np.int64)
    counts[:, pants, pants] = rng.integers(0, 1000, 80)
    counts[:, pants, 0] = rng.integers(0, 1000, 80)
    few, many = (
        bootstrap_intervals(part, lambda total: metrics.scores(total.astype(np.int64)))[
            "clothes_iou"
        ]
        for part in (counts[:20], counts)
    )
    assert few[0] < metrics.scores(counts[:20].sum(0))["clothes_iou"] < few[1]
    assert many[0] < metrics.scores(counts.sum(0))["clothes_iou"] < many[1]
    assert many[1] - many[0] < few[1] - few[0] < 0.4


def test_embedded_weights_load_through_the_public_names() -> None:
    assert EmbeddedPromptableModel.load().version != EmbeddedGarmentModel.load().version


def test_calibration_brings_scores_to_what_they_foretell() -> None:
    pairs = [(0.9, 0.5), (0.8, 0.4), (0.95, 0.6), (0.5, 0.2), (0.3, 0.1)] * 10
    slope, offset = calibration.fit(pairs)
    scores, ious = torch.tensor(pairs).T
    after = torch.sigmoid(slope * torch.logit(scores) + offset)
    assert (after - ious).abs().mean() < 0.05


def test_the_figures_count_groups_and_labels_apart() -> None:
    coat, jacket, pants = (CLASSES.index(name) for name in ("coat", "jacket", "pants"))
    counts = metrics.confusion(
        np.array([[coat, coat, pants, 0]], "uint8"),
        np.array([[jacket, coat, pants, 0]], "uint8"),
    )
    found = metrics.scores(counts)
    assert found["clothes_iou"] == 1
    assert found["group_accuracy"] == 1
    assert found["label_accuracy"] == pytest.approx(2 / 3)
    assert found["group_iou"] == 1
