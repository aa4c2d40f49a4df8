import threading
import time

from tracking.background_calls import BackgroundCalls


def test_calls_are_done_in_their_order_and_the_caller_does_not_wait() -> None:
    calls, done, released = BackgroundCalls(), [], threading.Event()
    calls.add(lambda: released.wait(60))
    for number in range(100):
        calls.add(lambda number=number: done.append(number))
    assert done == []
    released.set()
    calls.wait(60)
    assert done == list(range(100))
    assert calls.failure(60) is None


def test_after_an_error_nothing_is_called() -> None:
    calls, done = BackgroundCalls(), []

    def fail() -> None:
        raise ValueError("first")

    calls.add(fail)
    calls.add(lambda: done.append(1))
    calls.wait(60)
    calls.add(lambda: done.append(2))
    calls.wait(60)
    assert str(calls.failure(60)) == "first"
    assert not calls.is_hanging
    assert done == []


def test_a_call_that_hangs_is_noticed_without_waiting_for_it() -> None:
    calls, done, released = BackgroundCalls(), [], threading.Event()
    calls.add(lambda: released.wait(60))
    calls.add(lambda: done.append(1))
    began = time.monotonic()
    while calls.failure(0.1) is None:
        assert time.monotonic() - began < 30
        time.sleep(0.01)
    assert str(calls.failure(0.1)) == "no answer within 0.1 s"
    assert calls.is_hanging
    calls.wait(60)  # returns at once
    assert time.monotonic() - began < 30
    released.set()
    time.sleep(0.05)
    assert done == []


def test_a_wait_has_an_end() -> None:
    calls, released = BackgroundCalls(), threading.Event()
    calls.add(lambda: released.wait(60))
    calls.wait(0.05)
    assert isinstance(calls.failure(60), TimeoutError)
    released.set()
