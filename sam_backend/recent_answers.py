"""Recent answers on a task: a labeler's draft is stored some seconds late."""

import threading
import time
from collections.abc import Callable, Hashable, Sequence
from dataclasses import dataclass

from ml_backend.labelstudio.prompts import Context
from ml_backend.lru import LruCache
from sam_backend.mask_refinement import CompressedMask

KEEP_SECONDS = 180.0
"""Seconds that an answer counts: until long after the draft with it is stored."""

_KEPT_BYTES = 32 << 20
_ANSWER_BYTES = 2000


@dataclass(frozen=True)
class Place:
    """Image of a task.

    Attributes:
        project: Project as Label Studio sends it, ``<id>.<created unix time>``.
        task: Task ID.
        to_name: Name of the image tag.
        item: Page of the tag.
    """

    project: Hashable
    task: Hashable
    to_name: str
    item: int


@dataclass(frozen=True)
class Answer:
    """One suggestion.

    Attributes:
        context: Prompts that it answers.
        label: Label of the suggestion.
        region_ids: IDs of its regions.
        mask: Mask of the suggestion; None if no later suggestion excludes its pixels.
    """

    context: Context
    label: str | None
    region_ids: frozenset[str]
    mask: CompressedMask | None


@dataclass(frozen=True)
class _Kept:
    answers: tuple[tuple[float, Answer], ...]

    @property
    def nbytes(self) -> int:
        return sum(_ANSWER_BYTES + (a.mask.nbytes if a.mask else 0) for _, a in self.answers)


class RecentAnswers:
    """Recent answers on the images that labelers work on. Thread-safe.

    Args:
        clock: Function that returns a monotonic time in seconds.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._kept: LruCache[Place, _Kept] = LruCache(_KEPT_BYTES)
        self._lock = threading.Lock()

    def remember(self, place: Place, answers: Sequence[Answer]) -> None:
        """Store the suggestions of a call, replacing those that share a prompt."""
        now = self._clock()
        with self._lock:
            old = [
                (at, each)
                for at, each in self._current(place)
                if not any(each.context.shares(new.context) for new in answers)
            ]
            self._kept.put(place, _Kept((*old, *((now, each) for each in answers))))

    def on(self, place: Place) -> list[Answer]:
        """Return the answers on an image that still count, oldest first."""
        return [answer for _, answer in self._current(place)]

    def _current(self, place: Place) -> list[tuple[float, Answer]]:
        kept = self._kept.get(place)
        oldest = self._clock() - KEEP_SECONDS
        return [(at, each) for at, each in kept.answers if at >= oldest] if kept else []
