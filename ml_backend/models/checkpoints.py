"""Weights of the big models: their files, addresses, licences and checksums.

Each file is identified by its SHA-256. Those of ``model.safetensors`` and ``.pth`` files are the
publishers', as several independent public projects pin them; the small JSON files were also
generated with transformers' own classes, and are identical byte for byte.
"""

import hashlib
from dataclasses import dataclass
from pathlib import Path

from ml_backend.errors import ModelError


@dataclass(frozen=True)
class CheckpointFile:
    """A published file.

    Attributes:
        model: Name of its model, as in ``SEGMENTATION_MODEL`` or ``SAM_MODEL``.
        path: Path below ``MODELS_DIR``.
        size: File size in bytes.
        sha256: SHA-256 of the content in hex.
        url: Address of the published file; its content never changes.
    """

    model: str
    path: str
    size: int
    sha256: str
    url: str

    def check(self, models_dir: Path) -> None:
        """Check that the file exists and is intact.

        Raises:
            ModelError: The file is missing, unreadable, damaged or another one.
        """
        path = models_dir / self.path
        hint = f'run "segstudio models pull {self.model}", or {self.by_hand(models_dir)}'
        try:
            size = path.stat().st_size
        except OSError as error:
            raise ModelError(f"cannot read {path}: {error.strerror}", hint) from error
        if size != self.size:
            what = f"it has {size:,} bytes, not {self.size:,}"
            raise ModelError(f"{path} is damaged or another file: {what}", hint)
        check_sha256(path, self.sha256, hint)

    def by_hand(self, models_dir: Path) -> str:
        """Return how to place the file without a network."""
        path = models_dir / self.path
        return f"place {path.name} (sha256 {self.sha256}) in {path.parent}, from {self.url}"


@dataclass(frozen=True)
class Checkpoint:
    """All files of one model.

    Attributes:
        name: Model name, as in ``SEGMENTATION_MODEL`` or ``SAM_MODEL``.
        setting: Name of that setting.
        licence: Licence of the weights.
        files: Files of the model; the last is the large one, whose hash names the model version.
        classes: Number of classes; 0 if the model names none, or they are not known.
    """

    name: str
    setting: str
    licence: str
    files: tuple[CheckpointFile, ...]
    classes: int = 0

    @property
    def size(self) -> int:
        """Size of all files in bytes."""
        return sum(file.size for file in self.files)

    @property
    def version(self) -> str:
        """Model version: name and hash of the weights."""
        return f"{self.name}-{self.files[-1].sha256[:8]}"

    def missing(self, models_dir: Path) -> tuple[CheckpointFile, ...]:
        """Return the files that do not exist, without checking the others."""
        return tuple(file for file in self.files if not (models_dir / file.path).exists())

    def check(self, models_dir: Path) -> Path:
        """Check that every file exists and is intact.

        Returns:
            Folder of the files.

        Raises:
            ModelError: A file is missing or damaged.
        """
        for file in self.files:
            file.check(models_dir)
        return (models_dir / self.files[-1].path).parent


def check_sha256(path: Path, expected: str, hint: str) -> None:
    """Check a file's SHA-256.

    Raises:
        ModelError: The hash differs or the file cannot be read; with ``hint``.
    """
    try:
        with path.open("rb") as file:
            actual = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise ModelError(f"cannot read {path}: {error.strerror}", hint) from error
    if actual != expected:
        raise ModelError(f"{path} is damaged or another file: its sha256 is {actual}", hint)


def _from_hub(
    model: str, repository: str, revision: str, *files: tuple[str, int, str]
) -> tuple[CheckpointFile, ...]:
    """Return files of one fixed revision of a Hugging Face hub repository."""
    base = f"https://huggingface.co/{repository}/resolve/{revision}"
    folder = repository.rpartition("/")[2]
    return tuple(
        CheckpointFile(model, f"{folder}/{name}", size, sha256, f"{base}/{name}")
        for name, size, sha256 in files
    )


def _sam2(
    name: str, repository: str, revision: str, config: tuple[int, str], weights: tuple[int, str]
) -> Checkpoint:
    files = _from_hub(
        name,
        repository,
        revision,
        ("config.json", *config),
        (
            "preprocessor_config.json",
            683,
            "6ebf229ee259368ce4a8d4f2fe893a72b053023710853e257253939e601f583d",
        ),
        (
            "processor_config.json",
            95,
            "f8a68e865cfad115c1c2763f3d93eca7b1c622da06da2a9273eb437fb2389b6d",
        ),
        ("model.safetensors", *weights),
    )
    return Checkpoint(name, "SAM_MODEL", "Apache-2.0", files)


def _sam(name: str, file: str, size: int, sha256: str) -> Checkpoint:
    url = f"https://dl.fbaipublicfiles.com/segment_anything/{file}"
    return Checkpoint(
        name, "SAM_MODEL", "Apache-2.0", (CheckpointFile(name, file, size, sha256, url),)
    )


SAM2_WEIGHTS = (
    _sam2(
        "sam2.1_large",
        "facebook/sam2.1-hiera-large",
        "665f8e2ad61cf5f53d65644ff27c8ee525124610",
        (5705, "00446988cf4d617118d2d347eabe2c46aebed744628facdd540508be30b69ec3"),
        (897_897_416, "dc407dce21301fd94abb395c5099b4f2c455fdc8a8f261ac3d0ea6d4cd197230"),
    ),
    _sam2(
        "sam2.1_base_plus",
        "facebook/sam2.1-hiera-base-plus",
        "b7320756a13354e7530a63935656d35b2f91a290",
        (5705, "8e24a93b6a40d4dad86eaec383ce7b4044f37ec6360136460f5ff2ce55f87390"),
        (323_476_296, "2012733a0de5d03efd1bba550a2847c4551be9ef2e0d497c83074df66189f780"),
    ),
    _sam2(
        "sam2.1_small",
        "facebook/sam2.1-hiera-small",
        "ee5bba1d82bb8749febdf90f45e84b687142ba03",
        (5698, "97ff9f65b76d107acda4247885f0a5555d0048850ae3c5f97183df289aaecde9"),
        (184_305_280, "0a4067b11ce1e23d5229203f11c718a823060d15a4b23fa2372a7d4b77cbbc60"),
    ),
    _sam2(
        "sam2.1_tiny",
        "facebook/sam2.1-hiera-tiny",
        "de431c4043854a71d8101e17995dfe596bf101a5",
        (5695, "860aff9751b139d83a4ad7df1e5535416fded533e0ead02625edbefcb9953cce"),
        (155_908_064, "48c14467e5cf9e51870511feb72c89688e82dd74523142c0538b663e193ac2a7"),
    ),
)
"""SAM 2.1 on the hub, best first."""

SAM_WEIGHTS = (
    _sam(
        "vit_h",
        "sam_vit_h_4b8939.pth",
        2_564_550_879,
        "a7bf3b02f3ebf1267aba913ff637d9a2d5c33d3173bb679e46d9f338c26f262e",
    ),
    _sam(
        "vit_l",
        "sam_vit_l_0b3195.pth",
        1_249_524_607,
        "3adcc4315b642a4d2101128f611684e8734c41232a17c648ed1693702a49a622",
    ),
    _sam(
        "vit_b",
        "sam_vit_b_01ec64.pth",
        375_042_383,
        "ec2df62732614e57411cdcf32a23ffdf28910380d03139ee0f4fcbe91eb8c912",
    ),
)
"""The first Segment Anything, best first."""

SEGMENTATION_WEIGHTS = (
    Checkpoint(
        "segformer",
        "SEGMENTATION_MODEL",
        "NVIDIA Source Code License for SegFormer (not for commercial use)",
        _from_hub(
            "segformer",
            "mattmdjaga/segformer_b2_clothes",
            "584abc1e1d260e23c0fc627c5217a09b2b461046",
            (
                "config.json",
                1727,
                "4b5127ca00fe61187b6cc6c232c9e19326ed228683f8f5c221790be9cc196a6e",
            ),
            (
                "preprocessor_config.json",
                271,
                "a608e3a47dcfba8dc052a766babb4b6c963285ab4f176bc6c1eb2b257fd3ad93",
            ),
            (
                "model.safetensors",
                109_493_236,
                "8f86fd90c567afd4370b3cc3a7e81ed767a632b2832a738331af660acc0c4c68",
            ),
        ),
        classes=18,
    ),
)

CHECKPOINTS = (*SEGMENTATION_WEIGHTS, *SAM2_WEIGHTS, *SAM_WEIGHTS)
