"""One event loop, over simulated time and over real time that is woken."""

import threading
import time

import pytest

from twin.loop import Loop, RealClock, SimulatedClock


def test_calls_come_in_the_order_of_time_and_then_of_asking():
    loop, called = Loop(SimulatedClock()), []
    loop.call_at(20, lambda: called.append(("late", loop.now())))
    loop.call_at(10, lambda: called.append(("early", loop.now())))
    loop.call_at(10, lambda: called.append(("second", loop.now())))
    loop.run(30)

    assert called == [("early", 10), ("second", 10), ("late", 20)]
    assert loop.now() == 30


def test_what_is_due_later_stays_for_another_run():
    loop, called = Loop(SimulatedClock()), []
    loop.call_every(10, lambda: called.append(loop.now()), first=5)
    loop.run(20)
    assert called == [5, 15]

    loop.run(40)
    assert called == [5, 15, 25, 35]


def test_a_real_event_ends_the_wait_for_the_next_one():
    loop, called = Loop(RealClock(speed=10)), []
    loop.call_at(600, lambda: called.append("a minute from now"))

    def arrive():
        called.append("posted")
        raise KeyboardInterrupt  # nothing else ends a run before its time

    threading.Timer(0.05, lambda: loop.post(arrive)).start()
    began = time.monotonic()
    with pytest.raises(KeyboardInterrupt):
        loop.run(1200)

    assert called == ["posted"]
    assert time.monotonic() - began < 30


def test_a_real_clock_runs_as_fast_as_it_is_told():
    clock = RealClock(speed=1000)
    loop = Loop(clock)
    began = time.monotonic()
    loop.run(50)

    assert time.monotonic() - began >= 0.05
    assert loop.now() >= 50
