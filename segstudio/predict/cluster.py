"""Ray cluster for a run: started here, or an existing one."""

import logging
import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from urllib.parse import urlsplit

from ml_backend.extras import explain_missing_extras
from segstudio.errors import ProcessError

_OBJECT_STORE_BYTES = 512 << 20
_CORES = 2
"""Cores of a group: one thread for the model, because more mostly wait for each other (measured
on a busy machine: 19 images/s with one, 11 with two), and a core for the other stages."""

_PORT_CHECK_SECONDS = 10
_START = (
    "a very busy machine is too slow for Ray: run it again when there is less to do, or start one "
    "with `ray start --head` and give its address with --ray-address"
)
_REACH = (
    "give host:port as `ray start --head` shows it, usually port 6379, on a machine of the cluster "
    "(`ray start --address=host:port` makes this one such); leave it out for here"
)
_REFUSALS = (OSError, RuntimeError, ValueError)
"""Exceptions of Ray, by its code, when it cannot start or be reached."""


@dataclass(frozen=True)
class Pool:
    """Number of processes that hold the model, and the resources of each.

    Attributes:
        size: Number of processes.
        gpus: Fraction of a GPU that Ray reserves for each.
        threads: Compute threads of each.
    """

    size: int
    gpus: float
    threads: int


@contextmanager
def joined(address: str) -> Iterator[None]:
    """Connect to a Ray cluster while the body runs.

    Args:
        address: Address of a cluster for ``ray.init``; empty: one is started here for this run.

    Raises:
        SettingsError: Ray is not installed.
        ProcessError: The cluster does not respond, cannot be started, or failed.
    """
    os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
    os.environ.setdefault("RAY_BACKEND_LOG_LEVEL", "fatal")
    with explain_missing_extras():
        import ray
        import ray.data

    _init_ray(address)
    # Ray logs to its own files; the screen is ours.
    logging.getLogger("ray.data").setLevel(logging.ERROR)
    ray.data.DataContext.get_current().enable_progress_bars = False
    try:
        yield
    except ray.exceptions.RayError as error:
        reason = str(error).strip().partition("\n")[0]
        raise ProcessError(
            f"Ray gave up: {reason}", "run it again: finished images are kept; see Ray's logs"
        ) from error
    finally:
        ray.shutdown()


def _init_ray(address: str) -> None:
    import ray

    # Seconds to start one here, and number of tries (40 s each) to reach an existing one.
    tries = "1" if address else "120"
    os.environ.update(RAY_gcs_server_port_wait_time_s=tries)
    try:
        _check_port_open(address)
        ray.init(
            address or "local",
            include_dashboard=None if address else False,
            object_store_memory=None if address else _OBJECT_STORE_BYTES,
            log_to_driver=False,
            logging_level=logging.WARNING,
        )
    except Exception as error:
        # If a node is not up in time, Ray raises a bare Exception.
        if not isinstance(error, _REFUSALS) and type(error) is not Exception:
            raise
        where, hint = (f"at {address}", _REACH) if address else ("on this machine", _START)
        raise ProcessError(f"no Ray {where}: {error}", hint) from None


def _check_port_open(address: str) -> None:
    """Raise OSError if the port is closed, which Ray would take minutes to notice."""
    found = urlsplit(f"//{address}")
    if found.hostname and found.port:
        socket.create_connection((found.hostname, found.port), _PORT_CHECK_SECONDS).close()


def plan_pool(workers: int, models: int = 1) -> Pool:
    """Divide the cluster among models: one per GPU, else one per group of cores.

    Args:
        workers: Number of processes wanted; 0: as many as fit.
        models: Number of models that share a GPU, each in its own process.
    """
    import ray

    has = ray.cluster_resources()  # type: ignore[no-untyped-call]
    return share(int(has.get("CPU", 1)), int(has.get("GPU", 0)), workers, models)


def share(cpus: int, gpus: int, workers: int, models: int) -> Pool:
    """Divide processors and GPUs; see ``plan_pool``."""
    size = workers or gpus or max(cpus // _CORES, 1)
    each = max(cpus // size, 1)
    threads = each if gpus else max(each - 1, 1)
    return Pool(size, min(gpus / size, 1) / models, threads)
