"""The product's waits in the twin's time."""

from dataclasses import fields

import pytest

from anb.timings import Timings
from twin.launcher import accelerated


def test_every_wait_is_divided_and_whole_seconds_stay_whole():
    true, fast = Timings(), accelerated(Timings(), 6)

    assert (fast.lease_seconds, fast.lease_heartbeat_seconds) == (20, 5)
    assert all(type(getattr(fast, it.name)) is type(getattr(true, it.name)) for it in fields(Timings))


def test_whole_seconds_are_at_least_one():
    assert accelerated(Timings(), 20).poll_seconds == 1


def test_a_speed_at_which_whole_seconds_break_a_promise_is_refused():
    with pytest.raises(ValueError, match="promise"):
        accelerated(Timings(), 200)
