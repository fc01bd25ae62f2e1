import threading
from concurrent.futures import ThreadPoolExecutor
from functools import partial

import pytest

from ml_backend.deadline import Deadline
from ml_backend.errors import DeadlineExceededError
from ml_backend.serving.executor import PriorityExecutor, wait_for
from tests.support.scenes import soon


def test_work_is_done_one_at_a_time_in_the_order_it_came() -> None:
    lane, alone, done = PriorityExecutor("test"), threading.Lock(), list[int]()

    def work(number: int) -> int:
        assert alone.acquire(blocking=False)
        done.append(number)
        alone.release()
        return number

    futures = [lane.submit(partial(work, number)) for number in range(50)]
    assert [future.result() for future in futures] == done == list(range(50))


def test_an_error_reaches_the_one_who_asked_and_the_next_is_served() -> None:
    lane = PriorityExecutor("test")
    with pytest.raises(ZeroDivisionError):
        lane.run(lambda: 1 // 0, soon())
    assert lane.run(lambda: 1, soon()) == 1


def test_who_waits_in_vain_is_told_and_their_work_is_not_begun() -> None:
    lane, begun, go_on, done = (
        PriorityExecutor("test"),
        threading.Event(),
        threading.Event(),
        list[str](),
    )

    def block() -> bool:
        begun.set()
        return go_on.wait(30)

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(lane.run, block, soon())
        assert begun.wait(30)
        with pytest.raises(DeadlineExceededError, match="too busy"):
            lane.run(lambda: done.append("late"), Deadline.after(1))
        go_on.set()
        assert first.result()
    lane.run(lambda: None, soon())
    assert done == []


def test_what_was_done_in_time_is_given_to_who_asks_late() -> None:
    lane = PriorityExecutor("test")
    done = lane.submit(lambda: 1)
    assert done.result(30) == 1
    assert wait_for(done, Deadline.after(-1)) == 1
