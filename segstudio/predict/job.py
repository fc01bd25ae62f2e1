"""One run: what is left to do, done, and written down as it gets ready."""

import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from segstudio.data.scratch_db import NameIndex
from segstudio.predict.failures import Failures
from segstudio.predict.items import Item, Outcome

_FLUSH_SECONDS = 60


class Sink(Protocol):
    """Where predictions go."""

    size: int
    """How many are written at a time."""

    def done(self) -> Iterator[str]:
        """Keys of the items whose predictions are there."""

    def write(self, outcomes: Sequence[Outcome]) -> None:
        """Write predictions: all of them or none."""


def pending_items(
    items: Iterable[Item], done: Iterable[str], failures: Failures, tally: Counter[str]
) -> Iterator[Item]:
    """The items that are neither there nor failed, each once; counts the others in ``tally``."""
    with NameIndex() as ledger:
        for key in done:
            ledger.claim(key, 0)
        for key in failures.known:
            ledger.claim(key, -1)
        for number, item in enumerate(items, start=1):
            first = ledger.claim(item.key, number)
            if first == number:
                yield item
            else:
                tally["failed_before" if first == -1 else "present"] += 1


@dataclass
class Writer:
    """Writes outcomes in portions, and the last portion whatever happens.

    Attributes:
        sink: Where predictions go.
        failures: Where failures go.
        tally: Counts ``predicted`` and ``failed``.
    """

    sink: Sink
    failures: Failures
    tally: Counter[str]
    _waiting: list[Outcome] = field(default_factory=list)
    _since: float = field(default_factory=time.monotonic)

    def write(self, outcomes: Iterable[Outcome], each: Callable[[Outcome], None]) -> None:
        """Take all outcomes, and tell of each."""
        try:
            for outcome in outcomes:
                self._waiting.append(outcome)
                each(outcome)
                if self._is_due():
                    self._flush()
        finally:
            self._flush()

    def _is_due(self) -> bool:
        late = time.monotonic() - self._since > _FLUSH_SECONDS
        return late or len(self._waiting) >= self.sink.size

    def _flush(self) -> None:
        # What is being written waits no longer: where that fails, it is not tried once more.
        portion, self._waiting = self._waiting, []
        predicted = [outcome for outcome in portion if outcome.prediction is not None]
        if predicted:
            self.sink.write(predicted)
        self.failures.note(portion)
        self.tally.update(predicted=len(predicted), failed=len(portion) - len(predicted))
        self._since = time.monotonic()
