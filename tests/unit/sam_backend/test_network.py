"""What the promptable network and its helpers do with a prompt, before any training."""

import numpy as np
import pytest
import torch

from sam_backend.models.colours import color_bins, color_evidence, known_chances
from sam_backend.models.contrast import with_contrast
from sam_backend.models.network import (
    HYPOTHESES,
    PROMPT_CHANNELS,
    PromptNetwork,
    is_vague,
    likeliest,
)
from training.clicks import iou

SIDE = 64


@pytest.fixture(scope="module")
def network() -> PromptNetwork:
    torch.manual_seed(0)
    return PromptNetwork().eval()


def prompt(box: bool = False, click: bool = False, last: bool = False) -> torch.Tensor:
    maps = torch.zeros(1, PROMPT_CHANNELS, SIDE, SIDE)
    maps[0, 0, 10:40, 10:40] = float(box)
    maps[0, 1, 20:23, 20:23] = float(click)
    maps[0, 3, 15:30, 15:30] = float(last)
    return maps


def test_every_hypothesis_is_a_mask_with_a_judgment(network: PromptNetwork) -> None:
    seen = network.look(torch.zeros(2, 3, SIDE, SIDE))
    logits, quality = network(seen, torch.cat([prompt(box=True), prompt(click=True)]))
    assert logits.shape == (2, HYPOTHESES, SIDE, SIDE)
    assert quality.shape == (2, HYPOTHESES)


def test_a_mask_is_judged_alike_whatever_else_is_judged(network: PromptNetwork) -> None:
    answer = network.find(network.look(torch.zeros(1, 3, SIDE, SIDE)), prompt(box=True))
    masks = torch.rand(1, 3, SIDE, SIDE)
    together = network.judge(answer.coarse, answer.fine, masks)
    alone = torch.cat(
        [network.judge(answer.coarse, answer.fine, masks[:, n : n + 1]) for n in range(3)], 1
    )
    assert torch.allclose(together, alone, atol=1e-5)
    assert together.std() > 0


def test_only_what_comes_without_a_last_mask_is_vague() -> None:
    prompts = [prompt(click=True), prompt(box=True, click=True), prompt(click=True, last=True)]
    batch = torch.cat(prompts)
    assert is_vague(batch).tolist() == [True, True, False]
    logits = torch.arange(3 * HYPOTHESES).reshape(3, HYPOTHESES, 1, 1).float()
    quality = torch.tensor([[0.0, 1, 3, 2]] * 3)
    chosen, judged = likeliest(logits, quality, batch)
    assert chosen.flatten().tolist() == [2, HYPOTHESES + 2, 2 * HYPOTHESES]
    assert judged.tolist() == [3, 3, 0]


def scene() -> tuple[np.ndarray, np.ndarray]:
    """A red disc with a thin arm on blue, with noise; (S, S, 3) and (S, S) bool."""
    rows, columns = np.mgrid[:192, :192]
    truth = (np.hypot(rows - 90, columns - 90) < 45) | ((abs(rows - 90) < 6) & (columns > 90))
    truth &= columns < 170
    colors = np.where(truth[..., None], (180, 60, 50), (60, 80, 170))
    noise = np.random.default_rng(0).normal(0, 8, colors.shape)
    return np.clip(colors + noise, 0, 255).astype(np.uint8), truth


def test_colors_tell_the_object_from_a_box_alone() -> None:
    picture, truth = scene()
    maps = np.zeros((4, 192, 192), np.float32)
    maps[0, 40:140, 40:172] = 1
    evidence = color_evidence(color_bins(picture), known_chances(maps))
    assert evidence[truth].mean() > 0.2
    assert evidence[~truth].mean() < -0.3
    assert np.abs(evidence).max() <= 1
    maps[2, 80:100, 80:100] = 1  # a negative click on the object
    again = color_evidence(color_bins(picture), known_chances(maps))
    assert again[truth].mean() < evidence[truth].mean()


def test_a_last_mask_says_more_than_a_box_and_clicks_more_than_both() -> None:
    maps = np.zeros((4, 8, 8), np.float32)
    maps[0, 2:6, 2:6], maps[1, 0, 0], maps[2, 3, 3] = 1, 1, 1
    assert known_chances(maps)[2, 2] == pytest.approx(0.7)
    maps[3] = 0.2
    chances = known_chances(maps)
    assert chances[2, 2] == pytest.approx(0.2)
    assert (chances[0, 0], chances[3, 3]) == (1, 0)


def test_contrast_corrects_what_the_network_is_unsure_of_and_nothing_else() -> None:
    picture, truth = scene()
    sure = np.where(truth, 6, -6).astype(np.float32)
    unsure = sure.copy()
    unsure[:, 120:], unsure[20:30, 20:30] = -1, 6  # the arm was missed; a wrong part is sure
    after = with_contrast(picture, unsure)
    assert iou(truth[:, 124:], after[:, 124:] > 0) > 0.85
    assert (after[22:28, 22:28] > 0).all()
    assert np.array_equal(after, with_contrast(picture, unsure))


def test_contrast_leaves_an_answer_without_object_alone() -> None:
    picture, _ = scene()
    nothing = np.full((192, 192), -5, np.float32)
    assert np.array_equal(with_contrast(picture, nothing), nothing)
