"""Base of all image sources: a location to fetch from, a limit on bytes."""

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
    """Buffer for a download that stops at a size limit or a deadline."""

    def __init__(self, max_bytes: int, deadline: Deadline) -> None:
        super().__init__()
        self._max_bytes = max_bytes
        self._deadline = deadline

    def write(self, chunk: "ReadableBuffer", /) -> int:
        """Append a chunk.

        Raises:
            ImageDecodeError: More than ``max_bytes`` arrived.
            DeadlineExceededError: The deadline has passed.
        """
        self._deadline.remaining()
        written = super().write(chunk)
        check_size(self.tell(), self._max_bytes)
        return written


def check_size(size: int, max_bytes: int) -> None:
    """Refuse an encoded image of more than ``max_bytes``.

    Raises:
        ImageDecodeError: The size exceeds ``max_bytes``.
    """
    if size > max_bytes:
        raise ImageDecodeError(
            f"the image has more than {max_bytes / 1e6:.3g} MB",
            "make it smaller, or raise MAX_IMAGE_MB",
        )


@dataclass(frozen=True)
class TaskAccess:
    """Context of a task that its references need: whom to ask for an image, with which login.

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
"""Called with each step of a fetch and its outcome; neither contains a secret."""


def no_trace(_step: str, _outcome: str) -> None:
    """Ignore all steps."""


@dataclass(frozen=True)
class Fetched:
    """Result of fetching from a source.

    Attributes:
        data: Encoded image.
        etag: ETag of this content; empty if the server sent none.
    """

    data: bytes
    etag: str = ""


@dataclass(frozen=True)
class Location:
    """Location of the bytes of one image.

    Attributes:
        key: Key in the disk cache, unique for the image and the right to see it among all
            sources.
        lifetime: Maximum age of a cached copy in seconds: 0 disables caching, infinity means
            that the bytes under this key never change.
        fetch: Fetches the image. Given the ETag of a copy, returns None if the copy is still
            valid. Raises ``ImageError`` or ``DeadlineExceededError``.
        content_id: Identifier of the bytes if the reference always leads to the same ones;
            otherwise empty.
        what: Kind of location, human-readable.
        name: Name of the image without its signature: a copy under the same name is offered to
            ``fetch`` by its ETag. Defaults to the key.
    """

    key: str
    lifetime: float
    fetch: Callable[[Deadline, str], Fetched | None]
    content_id: str = ""
    name: str = ""
    what: str = ""


class Source(ABC):
    """A kind of reference, such as uploads or ``gs://``."""

    @abstractmethod
    def locate(self, reference: str, access: TaskAccess) -> Location | None:
        """Return the location of the image, without accessing disk or network.

        Args:
            reference: Image reference from ``task.data``.
            access: Task whose login and storages to use.

        Returns:
            None if the reference is of another kind.

        Raises:
            ImageReferenceError: The reference is of this kind, but malformed.
            ImageRefusedError: The reference points to a forbidden place.
        """
