"""Recovery from out-of-memory errors of the GPU."""

from collections.abc import Iterator
from contextlib import contextmanager

import structlog
import torch

from ml_backend.errors import BusyError

log = structlog.get_logger(__name__)


def free_memory() -> None:
    """Give back what PyTorch keeps of a GPU's memory."""
    if torch.cuda.is_available():
        torch.cuda.empty_cache()


@contextmanager
def recovering_memory(height: int, width: int) -> Iterator[None]:
    """Free the GPU memory of a model that runs out of it on an image.

    Args:
        height: Image height in pixels.
        width: Image width in pixels.

    Raises:
        BusyError: GPU memory ran out; answered with 503, and the next request is served.
    """
    try:
        yield
    except torch.OutOfMemoryError:
        free_memory()
        log.warning("out_of_gpu_memory", height=height, width=width)
        raise BusyError(
            f"the model ran out of GPU memory on an image of {width} x {height} pixels",
            "choose a smaller model, lower WORKERS, set DEVICE=cpu, or stop other GPU programs",
        ) from None
