"""Ray that is not there, or does not come, is told in words."""

import os
import sys
from contextlib import ExitStack
from pathlib import Path

import pytest
import ray
from ray.exceptions import OutOfMemoryError

from segstudio.errors import ProcessError
from segstudio.predict import cluster, pipeline
from tests.support.command_line import Run, records
from tests.support.processes import free_port
from tests.support.ray_cluster import STARTS, TOO_BUSY
from tests.support.ray_pictures import fill
from tests.support.waiting import alive, descendants, eventually


def test_an_address_where_nobody_listens_is_told_with_what_to_do(run: Run, tmp_path: Path) -> None:
    fill(tmp_path / "pictures", 1)
    address = f"127.0.0.1:{free_port()}"
    result = run("predict", "pictures", "--out", "out", "--ray-address", address, "--json")
    assert result.exit_code == 1
    (told,) = records(result)
    assert told["error"]["type"] == "start"
    assert f"no Ray at {address}: [Errno 111] Connection refused" in told["error"]["message"]
    assert "ray start --head" in told["error"]["hint"]
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("address", ["nonsense", "127.0.0.1:port", "http://127.0.0.1:8265"])
def test_what_is_no_address_is_told(address: str) -> None:
    with pytest.raises(ProcessError, match=f"no Ray at {address}"), cluster.joined(address):
        pass


@pytest.mark.ray
@pytest.mark.timeout(900)  # a busy machine is given several starts
def test_without_an_address_a_ray_is_started_for_the_run_and_ended_with_it(
    environment: pytest.MonkeyPatch,
) -> None:
    with ExitStack() as stack:
        _join_own(stack)
        there = ray.get(ray.remote(lambda: os.getpid()).remote())
        assert there in descendants(os.getpid())
        assert cluster.plan_pool(0).size >= 1
    eventually(lambda: not alive(there), seconds=30)
    assert not ray.is_initialized()


def _join_own(stack: ExitStack) -> None:
    """Start one; again where the machine was too busy for it."""
    for _ in range(STARTS):
        try:
            stack.enter_context(cluster.joined(""))
        except ProcessError as error:
            told = str(error)
            assert TOO_BUSY in told
        else:
            return
    raise AssertionError(told)


def test_a_machine_that_is_too_busy_for_ray_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.init", _too_slow)
    with pytest.raises(ProcessError, match="timed out during startup") as caught:
        cluster.joined("").__enter__()
    assert "busy" in caught.value.hint


def _too_slow(*_args: object, **_options: object) -> None:
    """As ``ray._private.node`` does it 30 s after it started a raylet that is not up yet."""
    raise Exception("The current node timed out during startup.")  # noqa: TRY002


@pytest.mark.parametrize("cpus", [1, 2, 4, 16])
@pytest.mark.parametrize("gpus", [0, 1, 8])
@pytest.mark.parametrize("workers", [0, 1, 2, 4])
@pytest.mark.parametrize("models", [1, 2])
def test_models_share_the_processors_and_the_gpus(
    cpus: int, gpus: int, workers: int, models: int
) -> None:
    pool = cluster.share(cpus, gpus, workers, models)
    assert pool.size >= 1
    assert pool.threads * pool.size <= max(cpus, pool.size)
    assert models * pool.size * pool.gpus <= gpus
    assert (pool.gpus > 0) == (gpus > 0)


def test_models_that_all_live_on_one_processor_leave_room_for_the_other_stages() -> None:
    assert 10 * pipeline._MODEL_CPUS + pipeline._STAGE_CPUS <= 1


def test_what_ray_gives_up_on_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("ray.init", lambda *_args, **_options: None)
    with pytest.raises(ProcessError, match="Ray gave up: out of memory"), cluster.joined(""):
        raise OutOfMemoryError("out of memory\nand a story")  # type: ignore[no-untyped-call]


def test_a_machine_without_ray_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(Exception, match="make bulk"):
        cluster.joined("").__enter__()
