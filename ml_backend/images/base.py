"""What every kind of source shares: a place to fetch from, a limit on bytes."""

import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ml_backend.deadline import Deadline
from ml_backend.errors import ImageDecodeError

if TYPE_CHECKING:
    from _typeshed import ReadableBuffer


class Download(io.BytesIO):
    """Takes the bytes of an image as they come in, until there are too many or time is up."""

    def __init__(self, max_bytes: int, deadline: Deadline) -> None:
        super().__init__()
        self._max_bytes = max_bytes
        self._deadline = deadline

    def write(self, chunk: "ReadableBuffer", /) -> int:
        """Add bytes.

        Raises:
            ImageDecodeError: More than ``max_bytes``.
            DeadlineExceededError: The deadline has passed.
        """
        self._deadline.remaining()
        written = super().write(chunk)
        check_size(self.tell(), self._max_bytes)
        return written


def check_size(size: int, max_bytes: int) -> None:
    """Refuse an encoded image of more than ``max_bytes``.

    Raises:
        ImageDecodeError: It is larger.
    """
    if size > max_bytes:
        raise ImageDecodeError(
            f"the image has more than {max_bytes / 1e6:.3g} MB",
            "make it smaller, or raise MAX_IMAGE_MB",
        )


@dataclass(frozen=True)
class TaskAccess:
    """What a task adds to its references: whom to ask for an image, and as whom.

    Attributes:
        task: Task ID in Label Studio, which signs addresses of its storages for it.
        project: Project ID of the task.
        login: User name and password for the host of the task's images
            (``task_data_login`` and ``task_data_password`` of the project).
    """

    task: int | None = None
    project: int | None = None
    login: tuple[str, str] | None = field(default=None, repr=False)


NO_TASK = TaskAccess()

Trace = Callable[[str, str], None]
"""Is called with each step of a fetch and what came of it, neither with a secret."""


def no_trace(_step: str, _outcome: str) -> None:
    """Ignore the steps."""


@dataclass(frozen=True)
class Fetched:
    """What a source gave.

    Attributes:
        data: The encoded image.
        etag: ETag that the server names this content by; empty without one.
    """

    data: bytes
    etag: str = ""


@dataclass(frozen=True)
class Location:
    """Where the bytes of one image are.

    Attributes:
        key: Names the image, and the right to see it, among all images of all sources; for the
            disk cache.
        lifetime: Seconds for which a copy on disk may stand for the image: 0 for not at all,
            infinity where the bytes under this key never change.
        fetch: Gets the image. Given the ETag of a copy, returns None where the copy is still right.
            Raises ``ImageError``, or ``DeadlineExceededError``.
        content_id: Something that stands for the bytes, where the reference always leads to the
            same ones; empty where they may change.
        what: Kind of place, for people.
        name: Names the image whatever its signature: a copy under the same name is offered to
            ``fetch`` by its ETag. Empty: the key.
    """

    key: str
    lifetime: float
    fetch: Callable[[Deadline, str], Fetched | None]
    content_id: str = ""
    name: str = ""
    what: str = ""


class Source(ABC):
    """One kind of reference."""

    @abstractmethod
    def locate(self, reference: str, access: TaskAccess) -> Location | None:
        """Say where the image is, without touching disk or network.

        Args:
            reference: As found in ``task.data``.
            access: Of the task.

        Returns:
            None where the reference is of another kind.

        Raises:
            ImageReferenceError: It is of this kind, but malformed.
            ImageRefusedError: It points where we must not go.
        """
