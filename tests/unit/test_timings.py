import re
from pathlib import Path

import pytest

from anb.timings import Timings
from anb_worker.sandbox import Limits

UNIT = Path(__file__).parents[2] / "userdata/units/worker/anb-worker@.service"


@pytest.mark.parametrize(
    ("broken", "promise"),
    [
        ({"lease_heartbeat_seconds": 60}, "a lease outlasts a heartbeat that fails"),
        ({"database_idle_seconds": 120}, "a connection that froze is forgotten before its lease ends"),
        ({"resend_seconds": 119}, "a message is sent again only when its first one is visible"),
    ],
)
def test_timings_that_break_a_promise_are_refused(broken, promise):
    with pytest.raises(ValueError, match=promise):
        Timings(**broken)


def test_a_worker_stops_before_systemd_kills_it():
    kills_after = int(re.findall(r"^TimeoutStopSec=(\d+)$", UNIT.read_text(), re.MULTILINE)[0])
    timings = Timings()

    assert timings.poll_seconds + timings.stop_grace_seconds + Limits().grace_seconds < kills_after
