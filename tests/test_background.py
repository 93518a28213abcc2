from __future__ import annotations

import threading
from collections.abc import Iterator

import pytest

from sgmn.background import map_in_background, prefetch, run_tasks


def test_prefetch_keeps_order_and_errors():
    assert list(prefetch(iter(range(5)))) == list(range(5))
    assert list(prefetch(iter(()))) == []

    def fail_after_one() -> Iterator[int]:
        yield 1
        raise ZeroDivisionError

    items = prefetch(fail_after_one())
    assert next(items) == 1
    with pytest.raises(ZeroDivisionError):
        next(items)


def test_prefetch_produces_as_many_items_ahead_as_it_is_told():
    produced, third, threads = list[int](), threading.Event(), set(threading.enumerate())

    def produce() -> Iterator[int]:
        for number in range(6):
            produced.append(number)
            if number == 3:
                third.set()
            yield number

    items = prefetch(produce(), ahead=3)
    assert next(items) == 0
    assert third.wait(60)
    assert produced == [0, 1, 2, 3]  # one in use and three ahead
    items.close()
    assert set(threading.enumerate()) <= threads  # nothing goes on after that


def test_map_in_background_runs_one_action_at_a_time_on_another_thread():
    threads = set()

    def double(item: int) -> int:
        threads.add(threading.current_thread().name)
        if item == 3:
            raise ZeroDivisionError
        return item * 2

    assert list(map_in_background(double, iter(range(3)))) == [0, 2, 4]
    assert len(threads) == 1 and threading.current_thread().name not in threads
    with pytest.raises(ZeroDivisionError):
        list(map_in_background(double, iter(range(5))))


@pytest.mark.parametrize("processes", [1, 2])
def test_tasks_are_paired_with_their_results_and_an_error_ends_them(processes: int) -> None:
    assert dict(run_tasks(int, ["1", "2", "3"], processes)) == {"1": 1, "2": 2, "3": 3}
    with pytest.raises(ValueError, match="invalid literal"):
        list(run_tasks(int, ["one", "2"], processes))
