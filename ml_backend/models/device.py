"""Compute device and number of threads."""

import cv2
import torch
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]

from ml_backend.errors import ModelError
from ml_backend.serving.settings import BackendSettings


def prepare_torch(settings: BackendSettings) -> str:
    """Set the threads of PyTorch, OpenCV and NumPy, and choose PyTorch's device.

    Returns:
        ``cuda`` or ``cpu``; with ``DEVICE=auto``, the GPU if there is one.

    Raises:
        ModelError: ``DEVICE`` is ``cuda``, but there is no GPU.
    """
    torch.set_num_threads(settings.compute_threads)
    cv2.setNumThreads(settings.compute_threads)
    threadpool_limits(settings.compute_threads, user_api="blas")  # permanent: never exited
    return choose_device(settings)


def choose_device(settings: BackendSettings) -> str:
    """Return PyTorch's device, ``cuda`` or ``cpu``; with ``DEVICE=auto``, a GPU if there is one.

    Raises:
        ModelError: ``DEVICE`` is ``cuda``, but there is no GPU.
    """
    has_gpu = torch.cuda.is_available()
    if settings.device == "cuda" and not has_gpu:
        raise ModelError("DEVICE is cuda, but PyTorch finds no GPU", "set DEVICE to auto or cpu")
    return "cuda" if has_gpu and settings.device != "cpu" else "cpu"
