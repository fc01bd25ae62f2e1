"""The clock jumps while the backend runs: libfaketime moves it for the whole process."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from pathlib import Path

import httpx
import libfaketime  # type: ignore[import-untyped]
import pytest

from tests.integration.faults.conftest import TOKEN, access_token
from tests.support.asking import ask, batch, jpeg, predicted, workers
from tests.support.http_server import Reply, Server
from tests.support.processes import Backend, running_backend
from tests.support.waiting import eventually

LIBRARY = next(Path(libfaketime.__file__).parent.glob("vendor/libfaketime/src/libfaketime.so*"))
UPLOAD, WEB = "/data/upload/1/a.jpg", "/b.jpg"


@dataclass(frozen=True)
class Shifted:
    """A backend whose clock the test sets, and where its images are."""

    backend: Backend
    studio: Server
    offset: Path

    @property
    def references(self) -> tuple[str, str]:
        """One image that never changes, and one that may."""
        return UPLOAD, f"{self.studio.url}{WEB}"

    def jump(self, days: int) -> None:
        """Set the clock so many days from the real one."""
        self.offset.write_text(f"{days:+d}d\n")

    def tells(self) -> int:
        """Days that the backend's clock is off, by the dates of its answers' heads."""
        date = httpx.get(f"{self.backend.url}/livez", timeout=30).headers["Date"]
        return round((parsedate_to_datetime(date) - datetime.now(UTC)) / timedelta(days=1))


@pytest.fixture(scope="module")
def shifted(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Shifted]:
    folder, studio = tmp_path_factory.mktemp("clock"), Server()
    offset = folder / "offset"
    offset.write_text("+0d\n")
    studio.replies = {
        "/api/token/refresh/": access_token(),
        UPLOAD: Reply(body=jpeg()),
        WEB: Reply(body=jpeg(1)),
    }
    variables = {
        "LD_PRELOAD": str(LIBRARY),
        "FAKETIME_TIMESTAMP_FILE": str(offset),
        "FAKETIME_NO_CACHE": "1",
        "FAKETIME_DONT_FAKE_MONOTONIC": "1",  # as the kernel has it
        "NO_FAKE_STAT": "1",  # what files were dated before the jump stays
        "LABEL_STUDIO_URL": studio.url,
        "LABEL_STUDIO_API_KEY": TOKEN,
        "ALLOWED_IMAGE_HOSTS": studio.host,
        "IMAGE_SECONDS": "30",
    }
    with running_backend("segmentation_backend", folder, **variables) as backend:
        yield Shifted(backend, studio, offset)
    studio.stop()


@pytest.mark.parametrize("days", [3650, -3650])
def test_a_jump_between_requests_changes_nothing_but_the_age_of_copies(
    shifted: Shifted, days: int
) -> None:
    shifted.jump(0)
    before = workers(shifted.backend)
    assert predicted(shifted.backend, *shifted.references) == [True, True]
    shifted.studio.requests.clear()
    shifted.jump(days)
    assert shifted.tells() == days
    assert predicted(shifted.backend, *shifted.references) == [True, True]
    # The token's age is not told by this clock, and what never changes has no age.
    assert shifted.studio.paths == [WEB]
    assert workers(shifted.backend) == before


@pytest.mark.parametrize("days", [3650, -3650])
def test_a_jump_during_a_prediction_ends_no_deadline(shifted: Shifted, days: int) -> None:
    shifted.jump(0)
    path = f"/data/upload/1/{days}.jpg"

    def answer(_request: object) -> Reply:
        shifted.jump(days)
        assert shifted.tells() == days
        return Reply(body=jpeg(2))

    shifted.studio.replies[path] = answer
    with ThreadPoolExecutor(1) as caller:
        asked = caller.submit(ask, shifted.backend, batch(path))
        eventually(lambda: path in shifted.studio.paths, seconds=60)
        assert [] not in asked.result(60)
    assert predicted(shifted.backend, *shifted.references) == [True, True]
