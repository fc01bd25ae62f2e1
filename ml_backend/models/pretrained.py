"""Networks of transformers: loaded from local folders, strictly and offline; their inputs."""

from pathlib import Path
from typing import Any, TypeVar, cast

import numpy as np
import numpy.typing as npt
from safetensors import SafetensorError
from transformers import PreTrainedConfig, PreTrainedModel
from transformers.utils import logging

from ml_backend.errors import ModelError

Network = TypeVar("Network", bound=PreTrainedModel)


def read_pretrained(kind: type[Network], folder: Path, config: PreTrainedConfig) -> Network:
    """Read a network from ``model.safetensors``, in float32 and ready for inference.

    Args:
        kind: Class of the network.
        folder: Folder with the weights; additional weights of a larger model are ignored.
        config: Configuration of the network.

    Raises:
        ModelError: Weights are missing or have another shape; transformers itself would go on with
            random ones.
    """
    logging.disable_progress_bar()
    if not any(folder.glob("*.safetensors")):
        raise ModelError(
            f"{folder} has no model.safetensors; other formats can run code and are never read",
            "choose a revision with safetensors",
        )
    try:
        loaded: Any = kind.from_pretrained(
            folder,
            config=config,
            local_files_only=True,
            use_safetensors=True,
            ignore_mismatched_sizes=True,  # they are in the report
            output_loading_info=True,
        )
    except (OSError, SafetensorError) as error:
        raise ModelError(
            f"the weights in {folder} cannot be read: {error}", "delete them and pull them again"
        ) from error
    network, report = loaded
    wrong = [*report["missing_keys"], *report["mismatched_keys"]]
    if wrong:
        raise ModelError(
            f"the weights in {folder} do not fit transformers' {kind.__name__}: {wrong[0]}",
            "install the version of transformers that requirements/runtime.txt names",
        )
    return cast(Network, network.eval().requires_grad_(False))


def network_inputs(processor: Any, image: npt.NDArray[np.uint8]) -> Any:
    """Return the tensors that a processor makes of an (H, W, 3) uint8 RGB image, by name."""
    return processor(
        images=np.require(image, requirements="W"),  # PyTorch shares only writable memory
        input_data_format="channels_last",
        return_tensors="pt",
    )
