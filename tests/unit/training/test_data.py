"""What is read from a folder of photographs and masks, and what it means."""

import sys
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest

from training import evaluate, interactive, segmentation
from training.data import DataError, Folder, partition, read_photo
from training.loop import run_program
from training.taxonomy import (
    CLASSES,
    GARMENT_GROUPS,
    GROUP_OF_CLASS,
    GROUPS,
    LABEL_OF_NAME,
    class_of_name,
)

# The names of Clothing Co-Parsing in the order of its labels.json.
CCP_LINES = (
    "null accessories bag belt blazer blouse bodysuit boots bra bracelet cape cardigan clogs coat",
    "dress earrings flats glasses gloves hair hat heels hoodie intimate jacket jeans jumper",
    "leggings loafers necklace panties pants pumps purse ring romper sandals scarf shirt shoes",
    "shorts skin skirt sneakers socks stockings suit sunglasses sweater sweatshirt swimwear",
    "t-shirt tie tights top vest wallet watch wedges",
)
CCP_NAMES = [name for line in CCP_LINES for name in line.split()]


def test_every_name_of_the_data_set_has_a_class() -> None:
    assert len(CCP_NAMES) == 59
    assert set(LABEL_OF_NAME) == set(CCP_NAMES)
    assert set(LABEL_OF_NAME.values()) == set(CLASSES)


@pytest.mark.parametrize(
    ("name", "label"),
    [
        ("blazer", "jacket"),
        ("jeans", "pants"),
        ("t-shirt", "jersey shirt"),
        ("suit", "tailleur"),
        ("romper", "jumpsuit"),
        ("sneakers", "footwear"),
        ("sunglasses", "other accessories"),
        ("purse", "bag-belt"),
        ("a name from elsewhere", "background"),
    ],
)
def test_names_reach_the_labels_of_the_project(name: str, label: str) -> None:
    assert CLASSES[class_of_name(name)] == label


def test_every_class_is_in_one_group() -> None:
    assert sorted(name for members in GROUPS.values() for name in members) == sorted(CLASSES)
    assert len(GROUP_OF_CLASS) == len(CLASSES)
    assert len(GARMENT_GROUPS) == 9


def test_masks_become_classes(drawn_folder: Folder) -> None:
    photograph = drawn_folder.photographs()[0]
    labels = drawn_folder.class_table[drawn_folder.mask_of(photograph)]
    assert labels.shape == read_photo(photograph).shape[:2]
    assert {"skin", "hair"} <= {CLASSES[value] for value in np.unique(labels)}


def test_tags_become_flags(drawn_folder: Folder) -> None:
    flags = Folder(drawn_folder.path.parent / "unlabelled", ()).tags()["0020"]
    assert {CLASSES[i] for i in np.flatnonzero(flags)} == {
        *("background", "skin", "hair", "dress", "footwear")
    }


def test_validation_photographs_are_never_trained_on() -> None:
    photographs = [Path(f"{number:04}.jpg") for number in range(100)]
    parts = partition(photographs)
    assert [len(parts.training), len(parts.validation), len(parts.test)] == [80, 10, 10]
    assert sorted(parts.training + parts.validation + parts.test) == photographs


def test_a_folder_without_photographs_is_named(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    with pytest.raises(DataError, match=r"has no photographs .*photos/NNNN\.jpg"):
        Folder.open(tmp_path)


def test_a_folder_without_names_is_named(tmp_path: Path) -> None:
    (tmp_path / "photos").mkdir()
    (tmp_path / "photos" / "0001.jpg").touch()
    with pytest.raises(DataError, match=r"no labels\.json"):
        Folder.open(tmp_path)


def test_pictures_that_cannot_be_read_are_named(drawn_folder: Folder, tmp_path: Path) -> None:
    photograph = drawn_folder.photographs()[0]
    with pytest.raises(DataError, match=r"9999\.png is missing or damaged"):
        drawn_folder.mask_of(photograph.with_stem("9999"))
    (tmp_path / "0001.jpg").write_bytes(b"no picture")
    with pytest.raises(DataError, match=r"0001\.jpg is missing or damaged"):
        read_photo(tmp_path / "0001.jpg")
    with pytest.raises(DataError, match=r"holds the index \d+, and labels\.json has 2 names"):
        Folder(drawn_folder.path, drawn_folder.names[:2]).mask_of(photograph)


@pytest.mark.parametrize("program", [segmentation, interactive, evaluate])
def test_a_wrong_folder_ends_a_program_with_one_line(
    program: ModuleType, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "argv", ["program", "--data", str(tmp_path)])
    with pytest.raises(SystemExit, match=f"^error: {tmp_path} has no photographs"):
        run_program(program.main)
