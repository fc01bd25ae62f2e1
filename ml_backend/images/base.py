"""What every kind of source shares: a place to fetch from, a limit on bytes."""

import io
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
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
class Location:
    """Where the bytes of one image are.

    Attributes:
        key: Names the image among all images of all sources; for the disk cache.
        lifetime: Seconds for which a copy on disk may stand for the image: 0 for not at all,
            infinity where the bytes under this key never change.
        fetch: Gets the encoded bytes; raises ``ImageError``, or ``DeadlineExceededError``.
        content_id: Something that stands for the bytes, where the reference always leads to the
            same ones; empty where they may change.
    """

    key: str
    lifetime: float
    fetch: Callable[[Deadline], bytes]
    content_id: str = ""


class Source(ABC):
    """One kind of reference."""

    @abstractmethod
    def locate(self, reference: str) -> Location | None:
        """Say where the image is, without touching disk or network.

        Returns:
            None where the reference is of another kind.

        Raises:
            ImageReferenceError: It is of this kind, but malformed.
            ImageRefusedError: It points where we must not go.
        """
