"""Run a backend's app under gunicorn."""

import atexit
import ctypes
import gc
import logging
import os
import shutil
import signal
import sys
import tempfile
from importlib import import_module
from types import FrameType
from typing import Any

import gunicorn.glogging
from gunicorn.app.base import BaseApplication
from gunicorn.util import import_app

from ml_backend.errors import SettingsError
from ml_backend.serving.logs import configure_logging
from ml_backend.serving.settings import BackendSettings, read_settings

_SPARE_THREADS = 8
"""Threads in addition to the queue's, so that health checks are answered when it is full."""


_METRICS_FOLDER = "PROMETHEUS_MULTIPROC_DIR"

_GRACEFUL_SECONDS = 30
"""Seconds from SIGTERM to a forced end; ``Service.stop`` reserves some of them."""

_IDLE_SECONDS = 75
"""Seconds that an idle connection is kept open: longer than clients keep theirs (nginx 60, httpx
5), else a request sent while we close it is lost."""

_M_ARENA_MAX = -8
"""Constant of glibc's malloc.h."""


def serve(app: str, kind: type[BackendSettings]) -> None:
    """Serve until SIGTERM, which lets running requests finish, or SIGINT, which does not.

    Args:
        app: App for gunicorn, ``"package.module:create_app()"``. The module is imported before the
            workers fork, so that they share the libraries' memory (torch alone takes 260 MB);
            ``create_app`` runs in each worker, which loads its own model. The module is imported
            after the variable for metrics is set: prometheus_client reads it on import.
        kind: Settings class. Address, workers and queue length are read from it here, so an invalid
            variable ends the program with one line before anything is loaded.
    """
    try:
        settings = read_settings(kind)
    except SettingsError as error:
        sys.exit(f"error: {error}")
    _keep_one_arena()
    if settings.workers > 1 and _METRICS_FOLDER not in os.environ:
        os.environ[_METRICS_FOLDER] = tempfile.mkdtemp(prefix="segstudio-metrics-")
        atexit.register(_remove_folder, os.environ[_METRICS_FOLDER], os.getpid())
    configure_logging(settings.log_level)
    import_module(app.partition(":")[0])
    gc.freeze()  # a collection in a worker would write to shared memory, and so copy it
    _Server(app, settings).run()


def _remove_folder(folder: str, owner: int) -> None:
    if os.getpid() == owner:  # forked workers run this exit handler too
        shutil.rmtree(folder, ignore_errors=True)


def _keep_one_arena() -> None:
    """Let threads share glibc's first arena: each further one keeps 30 MB and more freed memory."""
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)  # other C libraries do not have it
    if mallopt is not None:
        mallopt(_M_ARENA_MAX, 1)


class _Logger(gunicorn.glogging.Logger):
    """Passes gunicorn's log lines to the root logger, for one format."""

    def setup(self, cfg: Any) -> None:  # noqa: ARG002
        self.error_log.propagate = True
        self.error_log.setLevel(logging.WARNING)


class _Server(BaseApplication):
    def __init__(self, app: str, settings: BackendSettings) -> None:
        self._app = app
        self._settings = settings
        super().__init__()

    def load_config(self) -> None:
        options = {
            "bind": f"{self._settings.host}:{self._settings.port}",
            "workers": self._settings.workers,
            "worker_class": "gthread",
            "threads": self._settings.max_queue + _SPARE_THREADS,
            "timeout": int(self._settings.predict_seconds) + 30,
            "graceful_timeout": _GRACEFUL_SECONDS,
            "keepalive": _IDLE_SECONDS,
            "logger_class": _Logger,
            "post_worker_init": _heed_sigterm,
            "child_exit": _forget_worker,
        }
        for name, value in options.items():
            self.cfg.set(name, value)

    def load(self) -> Any:
        return import_app(self._app)


def _heed_sigterm(worker: Any) -> None:
    from ml_backend.serving.app import service_of

    def stop(number: int, frame: FrameType | None) -> None:
        service_of(worker.wsgi).stop()
        worker.handle_exit(number, frame)

    signal.signal(signal.SIGTERM, stop)


def _forget_worker(_server: Any, worker: Any) -> None:
    if _METRICS_FOLDER in os.environ:
        from prometheus_client.multiprocess import mark_process_dead

        mark_process_dead(worker.pid)
