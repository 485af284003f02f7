"""What a fleet of web servers made of a burst."""

import pytest

from capacity import raw
from capacity.web_fleets import FLEETS, SIMULATED


@pytest.fixture
def folder(tmp_path):
    """A burst at minute 15, refused for four minutes until a second node serves."""
    lived = {
        "least": 1,
        "most": 2,
        "peak_uploads_per_second": 20.0,
        "minutes": [[60 * minute, 1 if minute < 19 else 2, 2] for minute in range(1, 31)],
        # A node that starts refuses too, before the burst: that is another story
        "asked_and_failed": [[100.0 * minute, 5.0 + 10.0 * min(max(minute - 15, 0), 4)] for minute in range(1, 31)],
    }
    found = {"title": "A", "cpu_seconds_per_upload": 0.1, "fleets": {"2": lived}}
    raw.write(tmp_path / SIMULATED, {"multipart10": found})
    return tmp_path


def test_it_tells_when_the_fleet_was_whole_and_what_was_refused_meanwhile(folder):
    found = FLEETS.summarise(folder)["multipart10"]["fleets"]["2"]

    assert found["full_after_minutes"] == 4
    assert found["failing_minutes"] == 4
    assert found["failed_share"] == pytest.approx(40 / 1500, abs=1e-4)


def test_a_fleet_that_never_was_whole_has_no_time_for_it(folder):
    data = raw.read(folder / SIMULATED)
    data["multipart10"]["fleets"]["2"]["minutes"] = [[60 * minute, 1, 2] for minute in range(1, 31)]
    raw.write(folder / SIMULATED, data)

    summary = FLEETS.summarise(folder)

    assert summary["multipart10"]["fleets"]["2"]["full_after_minutes"] is None
    assert "| n. d. |" in FLEETS.tables(summary)["bursts"]
    assert FLEETS.figures(summary)
