"""Threads and the device, as the settings ask for them."""

from collections.abc import Iterator

import cv2
import pytest
import torch
from threadpoolctl import threadpool_info, threadpool_limits  # type: ignore[import-untyped]

from ml_backend.errors import ModelError
from ml_backend.models.device import prepare_torch
from ml_backend.serving.settings import BackendSettings


@pytest.fixture
def two_threads() -> Iterator[None]:
    """At first everywhere; what was there before is there afterwards."""
    before = torch.get_num_threads(), cv2.getNumThreads()
    torch.set_num_threads(2)
    cv2.setNumThreads(2)
    with threadpool_limits(2, user_api="blas"):
        yield
    torch.set_num_threads(before[0])
    cv2.setNumThreads(before[1])


def blas_threads() -> set[int]:
    return {each["num_threads"] for each in threadpool_info() if each["user_api"] == "blas"}


@pytest.mark.usefixtures("two_threads")
def test_all_libraries_compute_with_the_threads_of_the_settings() -> None:
    assert blas_threads() == {2}
    prepare_torch(BackendSettings(threads=1))
    assert torch.get_num_threads() == 1
    assert cv2.getNumThreads() == 1
    assert blas_threads() == {1}


def test_a_gpu_that_is_not_there_is_said_so() -> None:
    assert prepare_torch(BackendSettings(device="cpu")) == "cpu"
    if torch.cuda.is_available():
        assert prepare_torch(BackendSettings(device="auto")) == "cuda"
    else:
        assert prepare_torch(BackendSettings(device="auto")) == "cpu"
        with pytest.raises(ModelError, match="set DEVICE to auto or cpu"):
            prepare_torch(BackendSettings(device="cuda"))
