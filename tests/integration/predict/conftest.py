"""One Ray for all tests, which drivers join and leave."""

from collections.abc import Iterator
from contextlib import ExitStack

import pytest

from segstudio.predict import cluster
from tests.support.gcs_server import GcsServer, Key
from tests.support.ray_cluster import ENVIRONMENT, Ray, running_ray
from tests.unit.segstudio.conftest import run as run


@pytest.fixture(scope="package")
def cloud() -> Iterator[GcsServer]:
    """The Google Cloud Storage that Ray's workers use."""
    with GcsServer(Key()) as server:
        yield server


@pytest.fixture(scope="package")
def environment(cloud: GcsServer) -> Iterator[pytest.MonkeyPatch]:
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**ENVIRONMENT, **cloud.variables}.items():
            patch.setenv(name, value)
        yield patch


@pytest.fixture(scope="package")
def ray(environment: pytest.MonkeyPatch) -> Iterator[Ray]:
    with running_ray() as ray:
        environment.setenv("RAY_ADDRESS", ray.address)
        yield ray


@pytest.fixture(scope="module")
def joined(ray: Ray) -> Iterator[Ray]:
    """Be a driver of the cluster as long as a module's tests run."""
    with ExitStack() as stack:
        stack.enter_context(cluster.joined(ray.address))
        yield ray
