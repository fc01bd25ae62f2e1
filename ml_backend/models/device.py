"""Where is computed, and with how many threads."""

import cv2
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ml_backend.errors import ModelError
from ml_backend.serving.settings import BackendSettings


def prepare_torch(settings: BackendSettings) -> str:
    """Set the threads of PyTorch, OpenCV and NumPy, and choose PyTorch's device.

    Returns:
        ``cuda`` or ``cpu``; with ``DEVICE=auto`` the GPU where there is one.

    Raises:
        ModelError: ``cuda`` is wanted, and there is none.
    """
    torch.set_num_threads(settings.compute_threads)
    cv2.setNumThreads(settings.compute_threads)
    threadpool_limits(settings.compute_threads, user_api="blas")  # for good: nobody leaves it
    return choose_device(settings)


def choose_device(settings: BackendSettings) -> str:
    """Choose PyTorch's device, ``cuda`` or ``cpu``; with ``DEVICE=auto`` a GPU if there is one.

    Raises:
        ModelError: ``cuda`` is wanted, and there is none.
    """
    has_gpu = torch.cuda.is_available()
    if settings.device == "cuda" and not has_gpu:
        raise ModelError("DEVICE is cuda, but PyTorch finds no GPU", "set DEVICE to auto or cpu")
    return "cuda" if has_gpu and settings.device != "cpu" else "cpu"
