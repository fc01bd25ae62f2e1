"""Where PyTorch computes, and with how many threads."""

import cv2
import torch

from ml_backend.errors import ModelError
from ml_backend.settings import BackendSettings


def prepare_torch(settings: BackendSettings) -> str:
    """Set PyTorch's and OpenCV's threads, and choose PyTorch's device.

    Returns:
        ``cuda`` or ``cpu``; with ``DEVICE=auto`` the GPU where there is one.

    Raises:
        ModelError: ``cuda`` is wanted, and there is none.
    """
    torch.set_num_threads(settings.compute_threads)
    cv2.setNumThreads(settings.compute_threads)
    has_gpu = torch.cuda.is_available()
    if settings.device == "cuda" and not has_gpu:
        raise ModelError("DEVICE is cuda, but PyTorch finds no GPU", "set DEVICE to auto or cpu")
    return "cuda" if has_gpu and settings.device != "cpu" else "cpu"
