import pytest
import torch

from ml_backend.compute import prepare_torch
from ml_backend.errors import ModelError
from ml_backend.settings import BackendSettings


def test_pytorch_computes_with_the_threads_of_the_settings() -> None:
    before = torch.get_num_threads()
    try:
        prepare_torch(BackendSettings(threads=1))
        assert torch.get_num_threads() == 1
    finally:
        torch.set_num_threads(before)


def test_a_gpu_that_is_not_there_is_said_so() -> None:
    assert prepare_torch(BackendSettings(device="cpu")) == "cpu"
    if torch.cuda.is_available():
        assert prepare_torch(BackendSettings(device="auto")) == "cuda"
    else:
        assert prepare_torch(BackendSettings(device="auto")) == "cpu"
        with pytest.raises(ModelError, match="set DEVICE to auto or cpu"):
            prepare_torch(BackendSettings(device="cuda"))
